-- Items: which of the two sets of waiting jobs (ready or delayed), and a cursor of Redis, 0 at first. Returns the next
-- cursor, 0 at the end, and some of the set's jobs.

local PER_CALL = 1000

local key = ARGV[FIRST_ITEM] == 'ready' and READY or DELAYED
local page = redis.call('ZSCAN', key, ARGV[FIRST_ITEM + 1], 'COUNT', PER_CALL)
local jobs = {}
for i = 1, #page[2], 2 do
  jobs[#jobs + 1] = page[2][i]
end
return { page[1], jobs }
