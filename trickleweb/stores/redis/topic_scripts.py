"""Scripts of topics: each is one step at the server.

PREFIX:t:TOPIC           a hash: inc (the incarnation), first, last, bytes
PREFIX:e:TOPIC:INC       a hash: NUMBER is an entry, aNUMBER its time
PREFIX:k:TOPIC:INC       a hash: the number of each key; PREFIX:z:TOPIC:INC has their times
PREFIX:topics            topics by the time of their last entry
PREFIX:topicbytes        the bytes of all entries
PREFIX:news              a stream of the topics of the latest entries, by which replicas wake each other
"""

from __future__ import annotations

from trickleweb.stores.redis.news import KEPT

_SWEPT = 2  # topics that are too old, with each entry
_MANY = 100  # when there are too many

# root, topic, data, key, now, (entries, topic bytes, life, key life, topics, total bytes), fresh incarnation, seconds
PUBLISH = f"""
local root, topic, data, key, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local most, most_bytes, life, key_life = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local all, total, meta = root .. 'topics', root .. 'topicbytes', root .. 't:' .. topic
local function names(name, inc)
    local tail = name .. ':' .. inc
    return root .. 'e:' .. tail, root .. 'k:' .. tail, root .. 'z:' .. tail
end
local function forget(count)
    local before = string.format('(%.0f', now - math.max(life, key_life))
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', all, '-inf', before, 'LIMIT', 0, count)) do
        local known = redis.call('HMGET', root .. 't:' .. name, 'inc', 'bytes')
        if known[1] then
            redis.call('UNLINK', root .. 't:' .. name, names(name, known[1]))
            redis.call('DECRBY', total, known[2])
        end
        redis.call('ZREM', all, name)
    end
end
local inc = redis.call('HGET', meta, 'inc')
if inc and key ~= '' then
    local _, keys = names(topic, inc)
    local known = redis.call('HGET', keys, key)
    if known then return {{known}} end
end
forget({_SWEPT})
inc = redis.call('HGET', meta, 'inc')
if not inc and redis.call('ZCARD', all) >= tonumber(ARGV[10]) then
    forget({_MANY})
    if redis.call('ZCARD', all) >= tonumber(ARGV[10]) then return {{'there are ' .. ARGV[10] .. ' topics already'}} end
end
if tonumber(redis.call('GET', total) or '0') + #data > tonumber(ARGV[11]) then
    return {{'topics keep ' .. ARGV[11] .. ' bytes already'}}
end
if not inc then
    inc = ARGV[12]
    redis.call('HSET', meta, 'inc', inc, 'first', 1, 'last', 0, 'bytes', 0)
end
local entries, keys, times = names(topic, inc)
local number = redis.call('HINCRBY', meta, 'last', 1)
redis.call('HSET', entries, number, data, 'a' .. number, ARGV[5])
local size, added = tonumber(redis.call('HGET', meta, 'bytes')) + #data, #data
if key ~= '' then
    redis.call('HSET', keys, key, number)
    redis.call('ZADD', times, ARGV[5], key)
end
local first = tonumber(redis.call('HGET', meta, 'first'))
while first <= number do
    local at = tonumber(redis.call('HGET', entries, 'a' .. first))
    if size <= most_bytes and number - first < most and at >= now - life then break end
    local length = redis.call('HSTRLEN', entries, first)
    redis.call('HDEL', entries, first, 'a' .. first)
    first, size, added = first + 1, size - length, added - length
end
redis.call('HSET', meta, 'first', first, 'bytes', size)
redis.call('INCRBY', total, added)
local old = redis.call('ZRANGEBYSCORE', times, '-inf', string.format('(%.0f', now - key_life), 'LIMIT', 0, {_MANY})
for _, each in ipairs(old) do
    redis.call('HDEL', keys, each)
    redis.call('ZREM', times, each)
end
redis.call('ZADD', all, ARGV[5], topic)
redis.call('XADD', root .. 'news', 'MAXLEN', '~', {KEPT}, '*', 't', topic)
for _, each in ipairs({{meta, entries, keys, times}}) do redis.call('EXPIRE', each, ARGV[13]) end
for _, each in ipairs({{all, total}}) do redis.call('EXPIRE', each, 2 * ARGV[13]) end
return {{number}}
"""

# root, topic, after, most, most bytes
READ = """
local meta = ARGV[1] .. 't:' .. ARGV[2]
local known = redis.call('HMGET', meta, 'inc', 'first', 'last')
if not known[1] then return {} end
local first, last, at = tonumber(known[2]), tonumber(known[3]), tonumber(ARGV[3]) + 1
local found, size, entries = {known[1], first, last}, 0, ARGV[1] .. 'e:' .. ARGV[2] .. ':' .. known[1]
if at < first then return found end
while at <= last and #found - 3 < tonumber(ARGV[4]) do
    local data = redis.call('HGET', entries, at)
    if not data then break end
    size = size + #data
    if #found > 3 and size > tonumber(ARGV[5]) then break end
    found[#found + 1] = data
    at = at + 1
end
return found
"""
