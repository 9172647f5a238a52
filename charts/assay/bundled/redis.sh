# Starts the bundled Redis. It keeps nothing on disk: the queue is rebuilt from Postgres. The password stands in a file, since
# a process's arguments can be read by others.
set -eu
umask 077
cat >/tmp/redis.conf <<END
requirepass $REDIS_PASSWORD
bind * -::*
port 6379
dir /tmp
save ""
appendonly no
maxmemory ${REDIS_MAX_MEMORY_MI}mb
maxmemory-policy noeviction
END
exec redis-server /tmp/redis.conf
