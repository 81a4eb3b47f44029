"""Scripts of the ledger: each is one step at the server, and does nothing for a store that is another one by now.

 PREFIX:c:KEY       P, owner (16) and attempt (16) of a claim; or D and the plan
 PREFIX:o:OWNER     there while the owner lives: see `leases`
 PREFIX:claims      keys by their time

The first reply is `other` if the random bytes of the store are not those that the caller knows.
"""

from __future__ import annotations

# mark, root, owner, key, attempt, now, milliseconds, adopt, doubtful attempts...
CLAIM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
local root, owner, key = ARGV[2], ARGV[3], ARGV[4]
local row = root .. 'c:' .. key
local known = redis.call('GET', row)
if known and string.sub(known, 1, 1) == 'D' then return {'done', string.sub(known, 2)} end
if redis.call('EXISTS', root .. 'o:' .. owner) == 0 then return {'fallen'} end
if known then
    local theirs, attempt = string.sub(known, 2, 17), string.sub(known, 18, 33)
    local free = redis.call('EXISTS', root .. 'o:' .. theirs) == 0
    local ours = free and ARGV[8] == '1'
    for at = 9, #ARGV do ours = ours or ARGV[at] == attempt end
    if not ours then return {free and 'lost' or 'pending'} end
end
redis.call('SET', row, 'P' .. owner .. ARGV[5], 'PX', ARGV[7])
redis.call('ZADD', root .. 'claims', ARGV[6], key)
return {'new'}
"""

# mark, root, key, plan, now, milliseconds
COMPLETE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
local row = ARGV[2] .. 'c:' .. ARGV[3]
local known = redis.call('GET', row)
if known and string.sub(known, 1, 1) == 'D' then return {'done', string.sub(known, 2)} end
redis.call('SET', row, 'D' .. ARGV[4], 'PX', ARGV[6])
redis.call('ZADD', ARGV[2] .. 'claims', ARGV[5], ARGV[3])
return {'stored'}
"""

# mark, root, key, owner
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
local row = ARGV[2] .. 'c:' .. ARGV[3]
local known = redis.call('GET', row)
if known and string.sub(known, 1, 17) == 'P' .. ARGV[4] then
    redis.call('DEL', row)
    redis.call('ZREM', ARGV[2] .. 'claims', ARGV[3])
end
return {'released'}
"""

# mark, root, before, most
EXPIRE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'other'} end
local old = redis.call('ZRANGEBYSCORE', ARGV[2] .. 'claims', '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
for _, key in ipairs(old) do
    redis.call('DEL', ARGV[2] .. 'c:' .. key)
    redis.call('ZREM', ARGV[2] .. 'claims', key)
end
return {'expired', #old}
"""
