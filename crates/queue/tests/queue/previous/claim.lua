-- Item: how many jobs to claim, 0 for a tick.
-- Returns the ms until the next delayed job is due or the next lease ends (-1: neither exists); the claims as job,
-- epoch, job, epoch and so on; and in the same form, of those of the jobs whose last lease ran out, its epoch.

local MOVED_PER_CALL = 1000

-- What a hash says of the jobs, as job, value, job, value and so on, of those that it has.
local function fields_of(hash, jobs)
  local found = {}
  for i, value in ipairs(redis.call('HMGET', hash, unpack(jobs))) do
    if value then
      found[#found + 1] = jobs[i]
      found[#found + 1] = value
    end
  end
  return found
end

-- Puts jobs that wait or were leased until now among the ready ones.
local function return_to_ready(key)
  local jobs = redis.call('ZRANGE', key, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, MOVED_PER_CALL)
  if #jobs == 0 then
    return
  end
  local ready = {}
  for i, rank in ipairs(redis.call('HMGET', RANKS, unpack(jobs))) do
    ready[2 * i - 1], ready[2 * i] = rank or RANK_IF_MISSING, jobs[i]
  end
  redis.call('ZADD', READY, unpack(ready))
  redis.call('ZREM', key, unpack(jobs))
  redis.call('HDEL', RANKS, unpack(jobs))
  if key == LEASES then
    call_with('HSET', EXPIRED, fields_of(EPOCHS, jobs))
    redis.call('HDEL', EPOCHS, unpack(jobs))
  end
end

local function claim(max)
  local popped = redis.call('ZPOPMIN', READY, max)
  if #popped == 0 then
    return {}, {}
  end
  local epoch = math.max((tonumber(redis.call('GET', EPOCH)) or 0) + 1, now_us) - 1
  local jobs, claims, leases, ranks = {}, {}, {}, {}
  for i = 1, #popped, 2 do
    local job, rank = popped[i], popped[i + 1]
    epoch = epoch + 1
    jobs[#jobs + 1] = job
    claims[i], claims[i + 1] = job, epoch
    leases[i], leases[i + 1] = now_ms + LEASE_MS, job
    ranks[i], ranks[i + 1] = job, rank
  end
  redis.call('SET', EPOCH, epoch)
  redis.call('ZADD', LEASES, unpack(leases))
  redis.call('HSET', RANKS, unpack(ranks))
  redis.call('HSET', EPOCHS, unpack(claims))
  local expired = {}
  if redis.call('EXISTS', EXPIRED) == 1 then
    expired = fields_of(EXPIRED, jobs)
    redis.call('HDEL', EXPIRED, unpack(jobs))
  end
  return claims, expired
end

local function ms_until_next_event()
  local soonest = -1
  for _, key in ipairs({ DELAYED, LEASES }) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then
      local ms = math.max(tonumber(first[2]) - now_ms, 0)
      soonest = soonest < 0 and ms or math.min(soonest, ms)
    end
  end
  return soonest
end

hear()
return_to_ready(DELAYED)
return_to_ready(LEASES)

local max = tonumber(ARGV[FIRST_ITEM])
local claims, expired = {}, {}
-- Out of a stale queue nothing is handed out: a job that looks ready there may long be somebody's, who would lose
-- an attempt through no fault of its own. The rebuild that an operator now begins puts an end to it.
if redis.call('EXISTS', READY) == 1 and not is_stale() then
  if max > 0 then
    claims, expired = claim(max)
  end
  wake()
end
return { ms_until_next_event(), claims, expired }
