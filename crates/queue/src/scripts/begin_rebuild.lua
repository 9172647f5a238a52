-- Item: a token. What stems from an older turn of the server is dropped first, so that a snapshot or a failover is
-- the same loss as a flush: nothing in the queue is older than the rebuild, or than a claim that was adopted.

if is_stale() then
  redis.call('UNLINK', READY, DELAYED, LEASES, RANKS, EPOCHS, EXPIRED, GENERATION, REBUILDS)
end
redis.call('HSET', REBUILDS, ARGV[FIRST_ITEM], turn())
return 1
