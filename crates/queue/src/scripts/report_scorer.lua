-- KEYS: when each scorer is no longer believed to be there, in ms of this server's clock; what each said of itself.
-- ARGV: name, slots, jobs held, for how many ms to believe it.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ms = now_ms + tonumber(ARGV[4])
local gone = redis.call('ZRANGE', KEYS[1], '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, 1000)
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
redis.call('ZADD', KEYS[1], until_ms, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
-- A pool that nobody scores for any more leaves nothing behind.
for _, key in ipairs(KEYS) do
  redis.call('PEXPIREAT', key, until_ms)
end
