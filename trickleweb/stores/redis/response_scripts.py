"""Scripts of stored responses: each is one step at the server.

 PREFIX:r:NAME        a hash: growth, owner, head, size (of the body), bytes (of both)
 PREFIX:b:NAME:N      the body from byte N * CHUNK_BYTES on
 PREFIX:o:OWNER       there while the writer lives: see `leases`
 PREFIX:rused         names by the second of their last use
 PREFIX:rbytes        bytes of each client, and of all under the empty name; PREFIX:rcount has the numbers
 PREFIX:rnews         a stream of the names that grew or ended

Growth is b (begun), o (open), c (complete), x (cut) or d (dead before it was open). A name is 16 random bytes and the
client. An open response whose owner's lease has ended is cut by the first that notices. Sums end before the responses
they are of, so none is counted for ever.
"""

from __future__ import annotations

from trickleweb.stores.redis.news import KEPT

CHUNK_BYTES = 1 << 20
_DAY_S = 86_400
_SWEPT = 16  # names that a step looks at

_PARTS = f"""
local root = ARGV[1]
local now = tonumber(redis.call('TIME')[1])
local used, bytes, count = root .. 'rused', root .. 'rbytes', root .. 'rcount'
local function add(client, size)
    for _, name in ipairs({{'', client}}) do
        if redis.call('HINCRBY', bytes, name, size) < 0 then redis.call('HSET', bytes, name, 0) end
    end
end
local function drop(name)
    local key, client = root .. 'r:' .. name, string.sub(name, 17)
    local known = redis.call('HMGET', key, 'bytes', 'size')
    if known[1] then
        add(client, -known[1])
        redis.call('UNLINK', key)
        for chunk = 0, math.floor(known[2] / {CHUNK_BYTES}) do
            redis.call('UNLINK', root .. 'b:' .. name .. ':' .. chunk)
        end
    end
    if redis.call('HINCRBY', count, client, -1) <= 0 then redis.call('HDEL', count, client) end
    redis.call('ZREM', used, name)
end
local function growth_of(name)
    local key = root .. 'r:' .. name
    local known = redis.call('HMGET', key, 'growth', 'owner')
    local growth = known[1]
    if (growth == 'o' or growth == 'b') and redis.call('EXISTS', root .. 'o:' .. known[2]) == 0 then
        growth = growth == 'o' and 'x' or 'd'
        redis.call('HSET', key, 'growth', growth)
    end
    return growth
end
local function sweep(idle)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', used, '-inf', now - idle, 'LIMIT', 0, {_SWEPT})) do
        local growth = growth_of(name)
        if growth == 'o' or growth == 'b' then redis.call('ZADD', used, now, name) else drop(name) end
    end
end
local function number(key, name) return tonumber(redis.call('HGET', key, name) or '0') end
local function news(name) redis.call('XADD', root .. 'rnews', 'MAXLEN', '~', {KEPT}, '*', 'n', name) end
"""

# root, name, owner, (total bytes, client bytes, responses, client responses) bounds, (idle, least idle) seconds
BEGIN = (
    _PARTS
    + f"""
local name, client = ARGV[2], string.sub(ARGV[2], 17)
local function why_not()
    if redis.call('ZCARD', used) >= tonumber(ARGV[6]) or number(count, client) >= tonumber(ARGV[7]) then
        return 'too many responses are stored'
    end
    if number(bytes, '') >= tonumber(ARGV[4]) or number(bytes, client) >= tonumber(ARGV[5]) then
        return 'the stored responses leave no room'
    end
end
if redis.call('EXISTS', root .. 'o:' .. ARGV[3]) == 0 then return {{'fallen'}} end
sweep(tonumber(ARGV[8]))
if why_not() then sweep(tonumber(ARGV[9])) end
local why = why_not()
if why then return {{why}} end
local key = root .. 'r:' .. name
redis.call('HSET', key, 'growth', 'b', 'owner', ARGV[3], 'size', 0, 'bytes', 0, 'head', '')
redis.call('EXPIRE', key, {2 * _DAY_S})
redis.call('ZADD', used, now, name)
redis.call('HINCRBY', count, client, 1)
for _, each in ipairs({{used, bytes, count}}) do redis.call('EXPIRE', each, {_DAY_S}) end
return {{}}
"""
)

# root, name, data, h for a head or b or l for the last of a body, (one, total, client) bounds, least idle seconds
WRITE = (
    _PARTS
    + f"""
local name, data, kind = ARGV[2], ARGV[3], ARGV[4]
local key, client, growth = root .. 'r:' .. name, string.sub(name, 17), growth_of(name)
if growth ~= (kind == 'h' and 'b' or 'o') then return {{'ended', growth or ''}} end
if tonumber(redis.call('HGET', key, 'bytes')) + #data > tonumber(ARGV[5]) then
    return {{'full', 'a response exceeds the bound of one'}}
end
local function is_full()
    return number(bytes, '') + #data > tonumber(ARGV[6]) or number(bytes, client) + #data > tonumber(ARGV[7])
end
if is_full() then sweep(tonumber(ARGV[8])) end
if is_full() then return {{'full', 'the stored responses leave no room'}} end
if kind == 'h' then
    redis.call('HSET', key, 'head', data, 'growth', 'o')
else
    local size = tonumber(redis.call('HGET', key, 'size'))
    local at = 1
    while at <= #data do
        local chunk = math.floor((size + at - 1) / {CHUNK_BYTES})
        local stop = math.min(#data, (chunk + 1) * {CHUNK_BYTES} - size)
        local place = root .. 'b:' .. name .. ':' .. chunk
        redis.call('APPEND', place, string.sub(data, at, stop))
        redis.call('EXPIRE', place, {2 * _DAY_S})
        at = stop + 1
    end
    redis.call('HINCRBY', key, 'size', #data)
    if kind == 'l' then redis.call('HSET', key, 'growth', 'c') end
end
redis.call('HINCRBY', key, 'bytes', #data)
add(client, #data)
news(name)
return {{'stored'}}
"""
)

# root, name
END = (
    _PARTS
    + """
local name = ARGV[2]
local growth = growth_of(name)
if growth == 'b' or growth == 'd' then drop(name) end
if growth == 'o' then redis.call('HSET', root .. 'r:' .. name, 'growth', 'x') end
news(name)
return {}
"""
)

# root, name, at, most
READ = (
    _PARTS
    + f"""
local name, at = ARGV[2], tonumber(ARGV[3])
local key, growth = root .. 'r:' .. name, growth_of(name)
if not growth or growth == 'b' or growth == 'd' then return {{}} end
local size = tonumber(redis.call('HGET', key, 'size'))
local stop, data = math.min(size, at + tonumber(ARGV[4])), {{}}
while at < stop do
    local chunk = math.floor(at / {CHUNK_BYTES})
    local last = math.min(stop, (chunk + 1) * {CHUNK_BYTES})
    local place, first = root .. 'b:' .. name .. ':' .. chunk, at % {CHUNK_BYTES}
    local part = redis.call('GETRANGE', place, first, first + last - at - 1)
    if #part ~= last - at then return {{}} end
    data[#data + 1] = part
    at = last
end
return {{redis.call('HGET', key, 'head'), size, growth, table.concat(data)}}
"""
)

# root, (name, 1 while it is used)...
TOUCH = (
    _PARTS
    + f"""
for at = 2, #ARGV, 2 do
    redis.call('ZADD', used, 'XX', ARGV[at + 1] == '1' and now or 0, ARGV[at])
    redis.call('EXPIRE', root .. 'r:' .. ARGV[at], {2 * _DAY_S})
end
return {{}}
"""
)
