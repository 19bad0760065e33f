#!/usr/bin/env bash
# Trino to SERVER STARTED, and a query on tpch.
. "$(dirname "$0")/lib.sh"

container trino trino TRINO_BIND_ADDRESS=127.0.0.1 TRINO_INTERNAL_ADDRESS=127.0.0.1 SHUDL_LOG_FORMAT=json JAVA_OPTS=-Xmx1G \
  TRINO_ICEBERG_REST_URI=http://127.0.0.1:19120/iceberg/ TRINO_S3_ENDPOINT=http://127.0.0.1:9000 TRINO_S3_ACCESS_KEY=k TRINO_S3_SECRET_KEY=s \
  --mount "$(volume trino "$(user_of trino)"):/data/trino"
start trino
alive trino 300 inside trino /usr/lib/trino/bin/health-check
grep -m 1 'SERVER STARTED' "$BOOT/trino/log" | jq -e .message >/dev/null
prove "SERVER STARTED (in JSON) as uid $(user_of trino | cut -d: -f1), read-only root"

# query SQL prints the rows of the answer as JSON, a line each.
query() {
  local answer next
  # In a condition the shell goes on after an error, so each is returned.
  answer=$(curl -fs -H 'X-Trino-User: test' --data "$1" http://127.0.0.1:8080/v1/statement) || return 1
  while :; do
    jq -e 'if .error then .error.message | halt_error(1) else true end' <<<"$answer" >/dev/null || return 1
    jq -c '.data // [] | .[]' <<<"$answer"
    next=$(jq -r '.nextUri // empty' <<<"$answer")
    [ -n "$next" ] || return 0
    answer=$(curl -fs -H 'X-Trino-User: test' "$next") || return 1
  done
}
# A node counts as one for queries a moment after it says that it started.
until_true 60 query 'SELECT count(*) FROM tpch.tiny.orders'
[ "$(query 'SELECT count(*) FROM tpch.tiny.orders')" = '[15000]' ]
[ "$(query "SELECT count(*) FROM tpch.tiny.orders o JOIN tpch.tiny.customer c ON o.custkey = c.custkey WHERE c.mktsegment = 'BUILDING'")" = '[3706]' ]
query 'CREATE TABLE memory.default.nation AS SELECT * FROM tpch.tiny.nation' >/dev/null
[ "$(query 'SELECT count(*) FROM memory.default.nation')" = '[25]' ]
query 'SHOW CATALOGS' | grep -q lakehouse
prove "queries on tpch and memory; an Iceberg catalog from variables is loaded"
answers '^jvm_\|^# TYPE' -H 'X-Trino-User: test' http://127.0.0.1:8080/metrics
stopped trino SIGTERM 60
