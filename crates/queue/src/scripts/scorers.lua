-- KEYS: as for report_scorer. Returns for each scorer that is there: name, slots, jobs held.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. now_ms, '+inf', 'BYSCORE')) do
  local slots, held = string.match(redis.call('HGET', KEYS[2], name) or '', '^(%d+) (%d+)$')
  if slots then
    found[#found + 1] = { name, tonumber(slots), tonumber(held) }
  end
end
return found
