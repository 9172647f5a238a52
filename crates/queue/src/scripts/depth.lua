-- Items: how many ranks each priority of a lane has, one a second; and the rank from which to look for the oldest job.
-- Returns how many jobs are ready, delayed, of those due, and leased; the time in seconds at which the oldest ready job that was met was
-- created (-1: none is ready); the rank from which to go on looking (-1: all were met); and 1 when the queue is current.

local LOOKS_PER_CALL = 500

local seconds, from = tonumber(ARGV[FIRST_ITEM]), tonumber(ARGV[FIRST_ITEM + 1])
local oldest = -1
-- Of each priority of each lane the first job is the oldest.
for _ = 1, LOOKS_PER_CALL do
  local first = redis.call('ZRANGE', READY, from, '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if not first[2] then
    from = -1
    break
  end
  local rank = tonumber(first[2])
  local created = rank % seconds
  oldest = oldest < 0 and created or math.min(oldest, created)
  from = rank - created + seconds
end
return {
  redis.call('ZCARD', READY),
  redis.call('ZCARD', DELAYED),
  redis.call('ZCOUNT', DELAYED, '-inf', now_ms),
  redis.call('ZCARD', LEASES),
  oldest,
  from,
  redis.call('GET', GENERATION) == turn() and 1 or 0,
}
