"""Scripts of the spool: each is one step at the server, and names the store that it was done in.

 PREFIX:id                    the random bytes of the store
 PREFIX:u:OWNER               a hash: gen, size, chunk, stop, host, refreshed
 PREFIX:x:OWNER:GEN           the index: for each batch chunk (4), place in it (4), count (2), and for each record of it
                              offset (8) and length (4)
 PREFIX:d:OWNER:GEN:CHUNK     the bytes of records, one after another
 PREFIX:due                   owners by the second at which their input is dropped
 PREFIX:used                  bytes used by each host, and in total under the empty name

GEN is random for each log: a reader whose index is of an earlier log of the same owner finds no chunk of that name.
The index is appended after the bytes in the same step, so it never names bytes that were not written. Keys end
by themselves after a day without any replica; before that, each write drops a few inputs that are due. The sums end
first, after half a day, so none counts input that is gone.
"""

from __future__ import annotations

RECORD_COST = 64  # bytes that a record counts for besides its own
CHUNK_BYTES = 4 << 20
DAY_S = 86_400

_PARTS = """
local id = redis.call('GET', KEYS[1])
local root = ARGV[1]
local function drop(owner)
    local meta = root .. 'u:' .. owner
    local gen = redis.call('HGET', meta, 'gen')
    if gen then
        local host, size = redis.call('HGET', meta, 'host'), tonumber(redis.call('HGET', meta, 'size'))
        for chunk = 0, tonumber(redis.call('HGET', meta, 'chunk')) do
            redis.call('UNLINK', root .. 'd:' .. owner .. ':' .. gen .. ':' .. chunk)
        end
        redis.call('UNLINK', meta, root .. 'x:' .. owner .. ':' .. gen)
        for _, name in ipairs({'', host}) do
            if redis.call('HINCRBY', root .. 'used', name, -size) <= 0 then redis.call('HDEL', root .. 'used', name) end
        end
    end
    redis.call('ZREM', root .. 'due', owner)
end
local function sweep(now, most)
    local due = redis.call('ZRANGEBYSCORE', root .. 'due', '-inf', now, 'LIMIT', 0, most)
    for _, owner in ipairs(due) do drop(owner) end
    return #due
end
"""

# root, fresh id, owner, host, fresh gen, (total, host, own) bounds, (age, crowded age), index, count, data, stop
KEEP = (
    _PARTS
    + f"""
if not id then
    id = ARGV[2]
    redis.call('SET', KEYS[1], id)
end
local owner, host, count, data = ARGV[3], ARGV[4], tonumber(ARGV[12]), ARGV[13]
local now = tonumber(redis.call('TIME')[1])
sweep(now, 4)
local used, meta = root .. 'used', root .. 'u:' .. owner
local cost = #data + {RECORD_COST} * count
local known = redis.call('HMGET', meta, 'gen', 'size', 'chunk', 'host', 'refreshed')
local gen, size, chunk = known[1], tonumber(known[2] or '0'), tonumber(known[3] or '0')
if gen then host = known[4] end
local total = tonumber(redis.call('HGET', used, '') or '0')
local own = tonumber(redis.call('HGET', used, host) or '0')
if total + cost > tonumber(ARGV[6]) or own + cost > tonumber(ARGV[7]) or size + cost > tonumber(ARGV[8]) then
    return {{id, 'full'}}
end
if not gen then gen = ARGV[5] end
local place = redis.call('STRLEN', root .. 'd:' .. owner .. ':' .. gen .. ':' .. chunk)
if place >= {CHUNK_BYTES} then chunk = chunk + 1; place = 0 end
local index, log = root .. 'x:' .. owner .. ':' .. gen, root .. 'd:' .. owner .. ':' .. gen .. ':' .. chunk
local before = redis.call('STRLEN', index)
redis.call('APPEND', log, data)
redis.call('APPEND', index, struct.pack('>I4I4I2', chunk, place, count) .. ARGV[11])
redis.call('HSET', meta, 'gen', gen, 'size', size + cost, 'chunk', chunk, 'host', host)
if tonumber(ARGV[14]) > tonumber(redis.call('HGET', meta, 'stop') or '0') then
    redis.call('HSET', meta, 'stop', ARGV[14])
end
redis.call('HINCRBY', used, '', cost)
redis.call('HINCRBY', used, host, cost)
local age = ARGV[9]
if 2 * total > tonumber(ARGV[6]) then age = ARGV[10] end
redis.call('ZADD', root .. 'due', now + age, owner)
if place == 0 or now - tonumber(known[5] or '0') > 3600 then
    redis.call('HSET', meta, 'refreshed', now)
    for each = 0, chunk do redis.call('EXPIRE', root .. 'd:' .. owner .. ':' .. gen .. ':' .. each, {DAY_S}) end
    for _, each in ipairs({{meta, index}}) do redis.call('EXPIRE', each, {DAY_S}) end
    for _, each in ipairs({{used, root .. 'due'}}) do redis.call('EXPIRE', each, {DAY_S // 2}) end
end
return {{id, gen, before, chunk, place}}
"""
)

# root, owner, known gen, known bytes of the index, most bytes of it, fresh id
INDEX = """
local id, root = redis.call('GET', KEYS[1]), ARGV[1]
if not id then
    id = ARGV[6]
    redis.call('SET', KEYS[1], id)
end
local gen = redis.call('HGET', root .. 'u:' .. ARGV[2], 'gen')
if not gen then return {id} end
local at = 0
if gen == ARGV[3] then at = tonumber(ARGV[4]) end
local index = root .. 'x:' .. ARGV[2] .. ':' .. gen
return {id, gen, redis.call('GETRANGE', index, at, at + tonumber(ARGV[5]) - 1), redis.call('STRLEN', index)}
"""

# root, age, (owner, below)...
SPEND = """
local root, now = ARGV[1], tonumber(redis.call('TIME')[1])
for at = 3, #ARGV, 2 do
    local stop = redis.call('HGET', root .. 'u:' .. ARGV[at], 'stop')
    if stop and tonumber(stop) <= tonumber(ARGV[at + 1]) then
        redis.call('ZADD', root .. 'due', 'LT', now + ARGV[2], ARGV[at])
    end
end
return {}
"""

SWEEP = (
    _PARTS
    + """
return {sweep(tonumber(redis.call('TIME')[1]), tonumber(ARGV[2]))}
"""
)
