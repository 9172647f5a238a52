-- Takes as many of those that are wanted as the rate leaves: domain::rate.
-- KEYS: the theoretical arrival time, in µs by this server's clock. ARGV: interval in µs, quota, wanted.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local latest = now + interval * tonumber(ARGV[2])
local found = redis.call('GET', KEYS[1])
local tat = math.min(math.max(tonumber(found) or now, now), latest)
local granted = math.min(tonumber(ARGV[3]), math.floor((latest - tat) / interval))
if granted > 0 then
    tat = tat + granted * interval
    -- A time that has passed says no more than none.
    redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
end
return {granted, tat, now}
