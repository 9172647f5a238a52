-- Items: job, epoch, rank. Returns for each: 0 adopted, 1 superseded by a newer claim.

local jobs, claimed, ranked = column(1, 3), column(2, 3), column(3, 3)
hear()
local epochs = leased_epochs(jobs)
local leases, leased, ranks, adopted, results = {}, {}, {}, {}, {}
local floor = 0
for i, job in ipairs(jobs) do
  local epoch = tonumber(claimed[i])
  if epochs[job] and epochs[job] > epoch then
    results[i] = 1
  else
    epochs[job] = epoch
    leases[#leases + 1] = now_ms + LEASE_MS
    leases[#leases + 1] = job
    leased[#leased + 1] = job
    leased[#leased + 1] = epoch
    ranks[#ranks + 1] = job
    ranks[#ranks + 1] = ranked[i]
    adopted[#adopted + 1] = job
    results[i] = 0
    floor = math.max(floor, epoch)
  end
end
call_with('ZREM', READY, adopted)
call_with('ZREM', DELAYED, adopted)
call_with('HDEL', EXPIRED, adopted)
call_with('ZADD', LEASES, leases)
call_with('HSET', EPOCHS, leased)
call_with('HSET', RANKS, ranks)
raise_epoch(floor)
return results
