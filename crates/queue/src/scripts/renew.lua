-- Items: job, epoch. Returns for each: 0 renewed, 1 superseded by a newer claim, 2 missing.

local jobs, claimed = column(1, 2), column(2, 2)
hear()
local epochs = leased_epochs(jobs)
local leases, results = {}, {}
for i, job in ipairs(jobs) do
  local epoch = tonumber(claimed[i])
  if epochs[job] == epoch then
    leases[#leases + 1] = now_ms + LEASE_MS
    leases[#leases + 1] = job
    results[i] = 0
  elseif epochs[job] and epochs[job] > epoch then
    results[i] = 1
  else
    -- Not leased, or under an older epoch: then Redis has lost this claim, not its scorer the job.
    results[i] = 2
  end
end
call_with('ZADD', LEASES, leases)
return results
