-- What all scripts of the queue share. It stands in front of each of them (see scripts.rs).
--
-- A job is in at most one of READY, DELAYED and LEASES. RANKS has exactly the members of DELAYED and LEASES, EPOCHS
-- exactly those of LEASES, and EXPIRED those of READY whose lease ran out, with its epoch. Somebody may have damaged
-- all that; the scripts then still run, and enqueueing a job puts it right.
-- All times are milliseconds of this server's clock, which stands still during a script.

local READY, DELAYED, LEASES, RANKS, EPOCHS, EXPIRED, EPOCH, HEARD, WAKE, GENERATION, REBUILDS = unpack(KEYS)
local LEASE_MS, OUTAGE_MS = tonumber(ARGV[1]), tonumber(ARGV[2])
local FIRST_ITEM = 3

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

-- Of a job whose rank is missing, which only damage explains: it is among the first.
local RANK_IF_MISSING = now_ms

-- Every width-th argument of the items, beginning with the offset-th: one column of what the caller sent.
local function column(offset, width)
  local values = {}
  for i = FIRST_ITEM + offset - 1, #ARGV, width do
    values[#values + 1] = ARGV[i]
  end
  return values
end

-- Calls the command unless it has nothing to work on. The caller sees to it that the list is short enough to unpack.
local function call_with(command, key, arguments)
  if #arguments == 0 then
    return 0
  end
  return redis.call(command, key, unpack(arguments))
end

-- The epoch under which each of the jobs is leased. Jobs that are not leased are absent.
local function leased_epochs(jobs)
  local epochs = {}
  if #jobs > 0 then
    for i, epoch in ipairs(redis.call('HMGET', EPOCHS, unpack(jobs))) do
      epochs[jobs[i]] = tonumber(epoch)
    end
  end
  return epochs
end

-- No epoch at or below the floor is handed out from now on.
local function raise_epoch(floor)
  if floor > (tonumber(redis.call('GET', EPOCH)) or 0) then
    redis.call('SET', EPOCH, floor)
  end
end

-- Moves every score of the key by a number of milliseconds, but none beyond the latest.
local function shift(key, ms, latest)
  local members = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  local arguments = {}
  for i = 1, #members, 2 do
    arguments[#arguments + 1] = math.min(tonumber(members[i + 1]) + ms, latest)
    arguments[#arguments + 1] = members[i]
    if #arguments == 2000 or i == #members - 1 then
      redis.call('ZADD', key, unpack(arguments))
      arguments = {}
    end
  end
end

-- The lease clock runs only while the queue can be reached: when nobody was heard for longer than anybody could be
-- silent in health, Redis or the network was away, and that time is given back to every lease. When the clock of
-- the server went back (another server took over, or it was set), what is planned goes back with it.
local function hear()
  local heard = tonumber(redis.call('GET', HEARD))
  local gap = now_ms - (heard or now_ms)
  if gap > OUTAGE_MS or gap < 0 then
    shift(LEASES, gap, now_ms + LEASE_MS)
  end
  if gap < 0 then
    shift(DELAYED, gap, math.huge)
  end
  if heard ~= now_ms then
    redis.call('SET', HEARD, now_ms)
  end
end

-- Leaves a marker for one waiting claimer when there is something to claim.
local function wake()
  if redis.call('EXISTS', READY) == 1 and redis.call('LLEN', WAKE) == 0 then
    redis.call('LPUSH', WAKE, 1)
  end
end

-- Names this server's turn as a primary by its replication id, which is new after every start and every failover, also
-- when one that was replaced takes over again and has lost what only it knew. The id changes as well when a primary
-- gets its first replica, or has been without any for an hour; that costs a rebuild without need.
local function turn()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or 'unknown'
end

-- Whether the queue was rebuilt in another turn than this one: it stems from a snapshot or a replica and may be older
-- than what was done since. A queue without generation is not stale but new.
local function is_stale()
  local generation = redis.call('GET', GENERATION)
  return generation and generation ~= turn()
end
