-- Deletes all that is kept of the pool, of whatever type it is.

return redis.call('UNLINK', unpack(KEYS))
