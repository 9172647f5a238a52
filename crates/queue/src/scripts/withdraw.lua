-- Items: job. Returns how many were waiting. Leased ones stay.

local jobs = column(1, 1)
if #jobs == 0 then
  return 0
end
local delayed = {}
for i, due in ipairs(redis.call('ZMSCORE', DELAYED, unpack(jobs))) do
  if due then
    delayed[#delayed + 1] = jobs[i]
  end
end
call_with('HDEL', RANKS, delayed)
call_with('HDEL', EXPIRED, jobs)
return redis.call('ZREM', READY, unpack(jobs)) + call_with('ZREM', DELAYED, delayed)
