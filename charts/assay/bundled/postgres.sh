# Starts the bundled Postgres, making its data first when there is none. Any image will do that has /bin/sh and Postgres.
set -eu
data=/data/postgres

if [ ! -s "$data/PG_VERSION" ]; then
	# Made beside it and moved at the end: a half-made one is not taken for whole.
	rm -rf "$data.new"
	initdb --pgdata="$data.new" --username=assay --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256
	echo 'host all all all scram-sha-256' >>"$data.new/pg_hba.conf"
	echo 'CREATE DATABASE assay' | postgres --single -D "$data.new" postgres
	mv "$data.new" "$data"
fi

# The Secret says what the password is, also when it was changed or made anew since.
echo "ALTER ROLE assay PASSWORD '$POSTGRES_PASSWORD'" | postgres --single -D "$data" postgres >/dev/null

postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=200 &
server=$!
# To Postgres SIGTERM means to wait until all clients have left.
trap 'kill -INT $server' TERM INT
code=0
wait $server || code=$?
# The first wait may have ended because of the signal.
while kill -0 $server 2>/dev/null; do
	code=0
	wait $server || code=$?
done
exit $code
