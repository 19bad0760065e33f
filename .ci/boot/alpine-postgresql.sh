#!/usr/bin/env bash
# A musl PostgreSQL on the tests' Alpine base serves SQL as uid 70.
. "$(dirname "$0")/lib.sh"
data=$(volume data 70:70)

container init alpine-postgresql --mount "$data:/var/lib/postgresql" -- /opt/postgresql/bin/initdb --auth=trust --username=postgres --encoding=UTF8 --locale=C -D /var/lib/postgresql/data
finishes init >/dev/null || { cat "$BOOT/init/log"; fail initdb; }
container server alpine-postgresql --mount "$data:/var/lib/postgresql" -- /opt/postgresql/bin/postgres -D /var/lib/postgresql/data -k /tmp -h 127.0.0.1 -p 5470
start server
alive server 60 psql -h 127.0.0.1 -p 5470 -U postgres -Atc 'SELECT 1'
answer=$(psql -h 127.0.0.1 -p 5470 -U postgres -At -c 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS n' -c 'SELECT sum(n) FROM t' -c 'SHOW server_version')
grep -qx 500500 <<<"$answer"
grep -qx 16.15 <<<"$answer"
[ "$(stat -c %u "$data/data/PG_VERSION")" = 70 ]
# shellcheck disable=SC2016 # for the shell of the container
inside server sh -c 'test "$(id -u)" = 70; whoami' | grep -qx postgres
stopped server INT 30
prove "PostgreSQL 16.15 serves SQL as uid 70"
