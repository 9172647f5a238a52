-- Item: what to say. Returns how many connections to this server listen. A cluster hands it on to its other servers.

return redis.call('PUBLISH', 'assay:changes', ARGV[3])
