-- Item: the token of begin_rebuild. Returns 1 when the queue is whole now, 0 when it was lost again meanwhile.

local here = turn()
if redis.call('HGET', REBUILDS, ARGV[FIRST_ITEM]) == here then
  redis.call('SET', GENERATION, here)
  -- Of rebuilds that ran beside this one, the rest finds the generation set; abandoned tokens go with them.
  redis.call('DEL', REBUILDS)
end
return redis.call('GET', GENERATION) == here and 1 or 0
