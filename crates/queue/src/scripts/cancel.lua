-- Items: job. Returns how many were in the queue.

local jobs = column(1, 1)
local removed = call_with('ZREM', READY, jobs) + call_with('ZREM', DELAYED, jobs) + call_with('ZREM', LEASES, jobs)
call_with('HDEL', EPOCHS, jobs)
call_with('HDEL', EXPIRED, jobs)
call_with('HDEL', RANKS, jobs)
return removed
