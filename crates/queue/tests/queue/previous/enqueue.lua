-- Items: job, rank, delay in ms, epoch of the job's row, whether the row says that a scorer holds it (1 or 0).
-- Returns how many of the jobs were put somewhere that were not there before.

local WIDTH = 5
local jobs = column(1, WIDTH)
if #jobs == 0 then
  return 0
end

local ready = redis.call('ZMSCORE', READY, unpack(jobs))
local delayed = redis.call('ZMSCORE', DELAYED, unpack(jobs))
local deadlines = redis.call('ZMSCORE', LEASES, unpack(jobs))
local epochs = leased_epochs(jobs)
local place = {}
for i, job in ipairs(jobs) do
  place[job] = (ready[i] and READY) or (delayed[i] and DELAYED) or (deadlines[i] and LEASES)
end

local add = { [READY] = {}, [DELAYED] = {}, [LEASES] = {} }
local ranks, leased, dropped = {}, {}, {}
local floor, placed = 0, 0

local function append(list, first, second)
  list[#list + 1] = first
  list[#list + 1] = second
end

for i, job in ipairs(jobs) do
  local at = FIRST_ITEM + (i - 1) * WIDTH
  local rank, delay_ms, epoch = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local held = ARGV[at + 4] == '1'
  floor = math.max(floor, epoch)

  -- A lease older than the row: Redis has lost the claims since, so the row decides, as if the job were unknown. It
  -- also decides about half a lease, be it without its epoch or without its deadline.
  local outdated = place[job] == LEASES and (epochs[job] or -1) < epoch
  if outdated or (not place[job] and epochs[job]) then
    place[job] = nil
    if not held then
      dropped[#dropped + 1] = job
    end
  end

  if not place[job] then
    placed = placed + 1
    if held then
      place[job], epochs[job] = LEASES, epoch
      append(add[LEASES], now_ms + LEASE_MS, job)
      append(leased, job, epoch)
    elseif delay_ms > 0 then
      place[job] = DELAYED
      append(add[DELAYED], now_ms + delay_ms, job)
    else
      place[job] = READY
    end
  end

  if place[job] == READY then
    append(add[READY], rank, job)
  else
    append(ranks, job, rank)
  end
end

call_with('ZREM', LEASES, dropped)
call_with('HDEL', EPOCHS, dropped)
call_with('HDEL', RANKS, dropped)
for key, arguments in pairs(add) do
  call_with('ZADD', key, arguments)
end
call_with('HSET', RANKS, ranks)
call_with('HSET', EPOCHS, leased)
raise_epoch(floor)
wake()
return placed
