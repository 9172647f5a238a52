-- Returns 1 when the queue was rebuilt for this run of the server and not lost since.

return redis.call('GET', GENERATION) == run_id() and 1 or 0
