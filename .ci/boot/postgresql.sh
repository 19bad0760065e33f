#!/usr/bin/env bash
# PostgreSQL by the contract of the official image.
. "$(dirname "$0")/lib.sh"
image=${1:-postgresql}
user=$(user_of "$image")
data=/var/lib/postgresql/data

container refused "$image" --mount "$(volume refused "$user"):$data"
if finishes refused; then fail "started without a password"; fi
grep -q POSTGRES_PASSWORD "$BOOT/refused/log"
prove "refuses to start without a password"

volume=$(volume one "$user")
mkdir "$BOOT/init"
printf '%s' 'p4ss word$%"' >"$BOOT/init/password"
echo "CREATE TABLE made_by_sql (t text); INSERT INTO made_by_sql VALUES ('grüße');" >"$BOOT/init/10.sql"
echo "INSERT INTO made_by_sql VALUES ('from gz');" | gzip >"$BOOT/init/20.sql.gz"
echo "psql -v ON_ERROR_STOP=1 -U \"\$POSTGRES_USER\" -d \"\$POSTGRES_DB\" -c \"INSERT INTO made_by_sql VALUES ('from sh')\"" >"$BOOT/init/30.sh"
echo "INSERT INTO made_by_sql VALUES ('from xz');" | xz >"$BOOT/init/40.sql.xz"
chmod -R a+rX "$BOOT/init"
one=("$image" POSTGRES_USER=owner POSTGRES_DB=shop POSTGRES_PASSWORD_FILE=/docker-entrypoint-initdb.d/password
  --mount "$BOOT/init:/docker-entrypoint-initdb.d" --mount "$volume:$data")
container one "${one[@]}"
start one
alive one 120 inside one pg_isready -q -h 127.0.0.1 -U postgres
ask() { inside "$1" env PGPASSWORD='p4ss word$%"' psql -h 127.0.0.1 -U owner -d shop -Atc "$2"; }
[ "$(ask one 'SELECT count(*) FROM made_by_sql')" = 4 ]
[ "$(ask one "SELECT t FROM made_by_sql WHERE t LIKE 'gr%'")" = grüße ]
[ "$(ask one 'SHOW data_checksums')" = on ]
[ "$(ask one "SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = 'owner'")" = t ]
ask one 'CREATE EXTENSION pgcrypto; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION "uuid-ossp"'
if inside one env PGPASSWORD=wrong psql -h 127.0.0.1 -U owner -d shop -c 'SELECT 1' 2>/dev/null; then fail "a wrong password opens it"; fi
prove "initdb and SELECT as uid ${user%%:*}, read-only root; .sql, .sql.gz, .sql.xz and .sh run once"

stopped one SIGINT 20
[ "$(grep -c 'database system is shut down' "$BOOT/one/log")" -ge 1 ]
container again "${one[@]}" -- postgres -c work_mem=7MB
start again
alive again 60 inside again pg_isready -q -h 127.0.0.1 -U postgres
[ "$(ask again 'SHOW work_mem')" = 7MB ]
[ "$(ask again 'SELECT count(*) FROM made_by_sql')" = 4 ]
stopped again SIGINT 20
prove "fast shutdown on SIGINT, data and arguments kept"

volume=$(volume other 4711:4711)
container other "$image" --user 4711:4711 POSTGRES_PASSWORD=secret --mount "$volume:$data"
start other
alive other 120 inside other pg_isready -q -h 127.0.0.1 -U postgres
[ "$(inside other env PGPASSWORD=secret psql -h 127.0.0.1 -U postgres -Atc 'SELECT 1')" = 1 ]
stopped other SIGINT 20
prove "runs as an unknown uid"

volume=$(volume root 0:0)
container root "$image" --user 0:0 --capabilities '["CAP_CHOWN","CAP_SETUID","CAP_SETGID","CAP_FOWNER","CAP_DAC_OVERRIDE","CAP_SYS_CHROOT"]' \
  POSTGRES_PASSWORD=secret --mount "$volume:$data"
start root
alive root 120 inside root pg_isready -q -h 127.0.0.1 -U postgres
[ "$(stat -c %u "$volume/PG_VERSION")" = "${user%%:*}" ]
stopped root SIGINT 20
prove "root steps down and a root-owned volume works"
