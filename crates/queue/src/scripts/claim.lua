-- Items: how many jobs to claim, 0 for a tick; and how many ranks a lane has.
-- Returns the ms until the next delayed job is due or the next lease ends (-1: neither exists); the claims as job,
-- epoch, job, epoch and so on; and in the same form, of those of the jobs whose last lease ran out, its epoch.

local MOVED_PER_CALL = 1000
local LANE = tonumber(ARGV[FIRST_ITEM + 1])

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

local function lane_of(rank)
  return math.floor(tonumber(rank) / LANE)
end

-- Only what is smaller than the number, as an end of ZRANGE.
local function below(number)
  return string.format('(%.0f', number)
end

-- The lanes that have ready jobs, at most max of them, each with its most urgent job: in the order of their turns, which
-- begins behind the lane that was served last. A look for each lane that is found, and one or two that find none, however
-- many jobs wait.
local function lanes_in_turn(max)
  local served = tonumber(redis.call('GET', SERVED))
  local behind = served and (served + 1) * LANE or 0
  local lanes = {}
  local function look(from, to)
    while #lanes < max do
      local first = redis.call('ZRANGE', READY, from, to, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
      if not first[1] then
        return
      end
      local lane = lane_of(first[2])
      lanes[#lanes + 1] = { number = lane, job = first[1], rank = first[2] }
      from = (lane + 1) * LANE
    end
  end
  look(behind, '(+inf')
  look('(-inf', below(behind))
  return lanes
end

-- Takes up to max ready jobs, one of each lane in turn, and notes whose turn was the last. Returns the jobs and their
-- ranks. All lanes get the same number in one go, and what some of them do not have is shared out among the others again;
-- put in the order of their turns, that is the same as going round.
local function take_in_turn(max)
  local lanes = lanes_in_turn(max)
  local rounds, count = {}, 0
  local function take(lane, job, rank)
    count, lane.taken = count + 1, (lane.taken or 0) + 1
    local round = rounds[lane.taken] or {}
    rounds[lane.taken] = round
    round[#round + 1], round[#round + 2] = job, rank
  end
  for _, lane in ipairs(lanes) do
    take(lane, lane.job, lane.rank)
  end
  while count < max and #lanes > 0 do
    local share = math.max(math.floor((max - count) / #lanes), 1)
    local left = {}
    for _, lane in ipairs(lanes) do
      local wanted = math.min(share, max - count)
      if wanted == 0 then
        break
      end
      local first, last = lane.number * LANE, below((lane.number + 1) * LANE)
      local found =
        redis.call('ZRANGE', READY, first, last, 'BYSCORE', 'LIMIT', lane.taken, wanted, 'WITHSCORES')
      for i = 1, #found, 2 do
        take(lane, found[i], found[i + 1])
      end
      if #found == 2 * wanted then
        left[#left + 1] = lane
      end
    end
    lanes = left
  end
  local jobs, ranks = {}, {}
  for _, round in ipairs(rounds) do
    for i = 1, #round, 2 do
      jobs[#jobs + 1], ranks[#ranks + 1] = round[i], round[i + 1]
    end
  end
  if count > 0 then
    redis.call('ZREM', READY, unpack(jobs))
    redis.call('SET', SERVED, lane_of(ranks[#ranks]))
  end
  return jobs, ranks
end

local function claim(max)
  local jobs, ranked = take_in_turn(max)
  if #jobs == 0 then
    return {}, {}
  end
  local epoch = math.max((tonumber(redis.call('GET', EPOCH)) or 0) + 1, now_us) - 1
  local claims, leases, ranks = {}, {}, {}
  for i, job in ipairs(jobs) do
    local at = 2 * i - 1
    epoch = epoch + 1
    claims[at], claims[at + 1] = job, epoch
    leases[at], leases[at + 1] = now_ms + LEASE_MS, job
    ranks[at], ranks[at + 1] = job, ranked[i]
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
