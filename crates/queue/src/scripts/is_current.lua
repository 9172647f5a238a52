-- Returns 1 when the queue was rebuilt in this turn of the server and not lost since.

return redis.call('GET', GENERATION) == turn() and 1 or 0
