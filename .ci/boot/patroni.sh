#!/usr/bin/env bash
# Patroni on one etcd: a leader, a replica that follows, a switchover.
. "$(dirname "$0")/lib.sh"
user=$(user_of patroni)

etcd=$(command -v etcd || true)
if [ -z "$etcd" ]; then
  mkdir "$BOOT/etcd"
  (cd "$BOOT/etcd" && apt-get download etcd-server >/dev/null && dpkg-deb -x etcd-server_*.deb .)
  etcd=$BOOT/etcd/usr/bin/etcd
fi
"$etcd" --data-dir "$BOOT/etcd-data" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380 >"$BOOT/etcd.log" 2>&1 &
HELPERS+=($!)
until_true 20 curl -fs http://127.0.0.1:2379/health

# member NUMBER starts one: its ports end in the number.
member() {
  container "pg$1" patroni PATRONI_ETCD3_HOSTS=127.0.0.1:2379 PATRONI_SCOPE=lakehouse PATRONI_NAME="pg$1" \
    PATRONI_RESTAPI_LISTEN="127.0.0.1:800$1" PATRONI_POSTGRESQL_LISTEN="127.0.0.1:543$1" \
    PATRONI_RESTAPI_CONNECT_ADDRESS="127.0.0.1:800$1" PATRONI_POSTGRESQL_CONNECT_ADDRESS="127.0.0.1:543$1" \
    PATRONI_SUPERUSER_PASSWORD=super PATRONI_REPLICATION_PASSWORD=replica PATRONI_LOOP_WAIT=2 PATRONI_TTL=20 PATRONI_RETRY_TIMEOUT=5 \
    SHUDL_LOG_FORMAT=json --mount "$(volume "pg$1" "$user"):/var/lib/postgresql/data"
  start "pg$1"
}

member 1
alive pg1 120 curl -fs http://127.0.0.1:8001/leader
prove "leader on one etcd as uid ${user%%:*}, read-only root"
tail -n +1 "$BOOT/pg1/log" | grep -m 1 '"message"' | jq -e .message >/dev/null
answers '^patroni_primary.* 1' http://127.0.0.1:8001/metrics
prove "JSON logs, Prometheus metrics"

ask() { inside "$1" env PGPASSWORD=super psql -h 127.0.0.1 -p "$2" -U postgres -Atc "$3"; }
alive pg1 30 ask pg1 5431 'CREATE TABLE t AS SELECT 42 AS answer'
member 2
alive pg2 120 curl -fs http://127.0.0.1:8002/replica
[ "$(ask pg2 5432 'SELECT answer FROM t')" = 42 ]
prove "a second member copies and follows"

inside pg1 patronictl -c /tmp/patroni/patroni.yml switchover --force --candidate pg2 lakehouse
alive pg2 60 curl -fs http://127.0.0.1:8002/leader
alive pg2 30 ask pg2 5432 'INSERT INTO t VALUES (43)'
alive pg1 90 curl -fs http://127.0.0.1:8001/replica
prove "patronictl switches over"
stopped pg1 SIGTERM 40
stopped pg2 SIGTERM 40
