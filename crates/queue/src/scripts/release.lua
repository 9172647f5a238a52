-- Items: job, epoch, delay in ms, epoch of the job's row. Returns how many leases were given up.

local WIDTH = 4
local jobs = column(1, WIDTH)
if #jobs == 0 then
  return 0
end
hear()
local epochs = leased_epochs(jobs)
local held_ranks = redis.call('HMGET', RANKS, unpack(jobs))
local ready, delayed, released, undelayed = {}, {}, {}, {}
local floor = 0
for i, job in ipairs(jobs) do
  local at = FIRST_ITEM + (i - 1) * WIDTH
  local epoch, delay_ms = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  floor = math.max(floor, tonumber(ARGV[at + 3]))
  if epochs[job] == epoch then
    epochs[job] = nil
    released[#released + 1] = job
    if delay_ms > 0 then
      delayed[#delayed + 1] = now_ms + delay_ms
      delayed[#delayed + 1] = job
    else
      ready[#ready + 1] = held_ranks[i] or RANK_IF_MISSING
      ready[#ready + 1] = job
      undelayed[#undelayed + 1] = job
    end
  end
end
call_with('ZREM', LEASES, released)
call_with('HDEL', EPOCHS, released)
call_with('HDEL', RANKS, undelayed)
call_with('ZADD', READY, ready)
call_with('ZADD', DELAYED, delayed)
raise_epoch(floor)
wake()
return #released
