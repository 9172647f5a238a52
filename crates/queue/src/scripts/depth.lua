-- Items: the first and the last rank of each priority. Returns how many jobs are ready, delayed and leased, and the
-- time at which the oldest ready job was created (-1: none is ready).

local firsts, lasts = column(1, 2), column(2, 2)
local oldest = -1
for i, first in ipairs(firsts) do
  local found = redis.call('ZRANGE', READY, first, lasts[i], 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if found[2] then
    local created = tonumber(found[2]) - tonumber(first)
    oldest = oldest < 0 and created or math.min(oldest, created)
  end
end
return { redis.call('ZCARD', READY), redis.call('ZCARD', DELAYED), redis.call('ZCARD', LEASES), oldest }
