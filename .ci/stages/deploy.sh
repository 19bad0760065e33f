# What `deploy` writes, started by Podman: the compose files by
# podman-compose, the pods of the Kubernetes manifests by `podman kube play`.
# shellcheck shell=bash

PODMAN_PACKAGES="podman podman-compose netavark aardvark-dns catatonit python3-yaml"

# with_podman COMMAND...: runs a command with an engine of its own, and the
# images in a registry that it pulls from.
with_podman() {
  PACKAGES=$PODMAN_PACKAGES install_packages
  mkdir -p "$WORK/podman"
  local soft
  soft=$(ulimit -Hn)
  # No limit above this machine's own can be asked for where the right to
  # raise them is missing.
  cat >"$WORK/podman/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$soft:$soft", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
CONF
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$WORK/podman/graph" "$WORK/podman/run" >"$WORK/podman/storage.conf"
  printf '[[registry]]\nlocation = "127.0.0.1:15014"\ninsecure = true\n' >"$WORK/podman/registries.conf"
  export CONTAINERS_CONF=$WORK/podman/containers.conf CONTAINERS_STORAGE_CONF=$WORK/podman/storage.conf
  export CONTAINERS_REGISTRIES_CONF=$WORK/podman/registries.conf
  # Without systemd nothing runs the health checks by itself; `well` does.
  export DISABLE_HC_SYSTEMD=true
  local rc
  # `set -e` is off inside a tested command, so the status is taken apart.
  set +e
  (
    set -e
    with_registry 15014 "$@"
  )
  rc=$?
  set -e
  podman pod rm -fa >/dev/null 2>&1 || true
  podman rm -fa -t 10 >/dev/null 2>&1 || true
  podman volume rm -fa >/dev/null 2>&1 || true
  podman network prune -f >/dev/null 2>&1 || true
  podman secret rm -a >/dev/null 2>&1 || true
  podman rmi -fa >/dev/null 2>&1 || true
  umount -l "$WORK/podman/graph/overlay" 2>/dev/null || true
  rm -rf "$WORK/podman" "$WORK/registry"
  return "$rc"
}

# bring IMAGE...: from the layout into the registry.
bring() {
  local image
  for image; do
    "$BIN/shudl-assemble" copy "oci:$IMAGES_A/$image:latest-debian" 127.0.0.1:15014/shudl >/dev/null
  done
}

# written KIND STACK FILE: the manifests, and the passwords beside them, made
# by the very command that is printed.
written() {
  local folder
  folder=$(dirname "$3")
  mkdir -p "$folder"
  "$BIN/shudl-assemble" deploy "$1" --stack "$2" --distro debian --from "oci:$IMAGES_A" --registry 127.0.0.1:15014/shudl >"$3" 2>"$folder/notes"
  [ -d "$folder/secrets" ] || (cd "$folder" && tail -n 1 notes | grep mkdir | sh)
}

# well CONTAINER...: waits until the health checks say so.
well() {
  local name
  for name; do
    for _ in $(seq 150); do
      podman healthcheck run "$name" >/dev/null 2>&1 && continue 2
      sleep 2
    done
    echo "$name is not healthy"
    podman logs --tail 40 "$name"
    return 1
  done
}

# metered CONTAINER: waits until the exporter reaches its server.
metered() {
  local metrics
  for _ in $(seq 150); do
    metrics=$(podman exec "$1" curl -fsS http://127.0.0.1:9187/metrics || true)
    ! grep -q '^pg_up 1$' <<<"$metrics" || return 0
    sleep 1
  done
  echo "$1 does not reach its server"
  podman ps -a
  podman ps -aq | xargs -rn1 podman logs --tail 12
  return 1
}

# asked CONTAINER SQL: the rows, over the network and with the password.
asked() {
  # shellcheck disable=SC2016 # the container expands it
  podman exec "$1" sh -c 'PGPASSWORD=$(cat /run/secrets/postgresql-password) exec psql -h postgresql -U postgres -qAtc "$1"' -- "$2"
}

# Projects and networks are named after the process: podman's name server
# would mix the addresses of a run that was ended from outside with these.
compose_standalone() {
  local folder=$WORK/podman/one project=one$$
  bring postgresql postgres-exporter
  written compose standalone "$folder/compose.yaml"
  cd "$folder" || return
  podman-compose -p "$project" up -d >up.log 2>&1 || { tail -20 up.log; return 1; }
  well "${project}_postgresql_1" "${project}_exporter_1"
  metered "${project}_exporter_1"
  timeout 5 bash -c '</dev/tcp/127.0.0.1/5432'
  asked "${project}_postgresql_1" 'CREATE TABLE kept AS SELECT 42 AS n'
  # The containers go, the data stay, and the roles are made once more.
  podman-compose -p "$project" down -t 30 >down.log 2>&1
  podman-compose -p "$project" up -d >up.log 2>&1 || { tail -20 up.log; return 1; }
  well "${project}_postgresql_1"
  metered "${project}_exporter_1"
  [ "$(asked "${project}_postgresql_1" 'SELECT n FROM kept')" = 42 ]
  figure "deploy compose, standalone: healthy under podman-compose, data kept, pg_up 1"
}

play_standalone() {
  local folder=$WORK/podman/play network=play$$
  bring postgresql postgres-exporter
  written compose standalone "$folder/compose.yaml"
  written kubernetes standalone "$folder/manifests.yaml"
  /usr/bin/python3 "$ROOT/.ci/deploy/play.py" "$folder/secrets" <"$folder/manifests.yaml" >"$folder/played.yaml"
  podman network create "$network" >/dev/null
  podman kube play --network "$network" "$folder/played.yaml" >"$folder/play.log" 2>&1 || { tail -20 "$folder/play.log"; return 1; }
  well lakehouse-postgresql-exporter
  metered lakehouse-postgresql-exporter
  [ "$(podman inspect lakehouse-postgresql-postgresql --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}}')" = "true 1073741824" ]
  figure "deploy kubernetes, standalone: its pods run under podman kube play, pg_up 1"
}

compose_lakehouse() {
  local folder=$WORK/podman/lake project=lake$$
  bring postgresql postgres-exporter minio nessie trino spark
  written compose lakehouse "$folder/compose.yaml"
  # As above, and podman gives up its default of processes with any other limit.
  [ "$(ulimit -Hn)" -ge 131072 ] || sed -i "s/nofile: 131072/nofile: $(ulimit -Hn)\n      nproc: 4096/" "$folder/compose.yaml"
  cd "$folder" || return
  podman-compose -p "$project" up -d >up.log 2>&1 || { tail -20 up.log; return 1; }
  well "${project}_postgresql_1" "${project}_exporter_1" "${project}_minio_1" "${project}_nessie_1" "${project}_trino_1" "${project}_spark-master_1" "${project}_spark-worker_1"
  metered "${project}_exporter_1"
  podman exec "${project}_spark-master_1" spark-sql -S -e "CREATE NAMESPACE lakehouse.demo; CREATE TABLE lakehouse.demo.people (id bigint, city string) USING iceberg; INSERT INTO lakehouse.demo.people VALUES (1, 'Oslo'), (2, 'Rome')" >spark.log 2>&1 || { tail -20 spark.log; return 1; }
  [ "$(podman logs "${project}_spark-worker_1" 2>&1 | grep -c 'Asked to launch executor')" -gt 0 ]
  [ "$(trino_rows 'SELECT count(*), sum(id) FROM lakehouse.demo.people')" = '[[2,3]]' ]
  figure "deploy compose, lakehouse: nine services under podman-compose, Trino reads what Spark wrote"
}

# trino_rows SQL: the rows of the answer as JSON, through the published port.
trino_rows() {
  local answer next
  answer=$(curl -fsS -H 'X-Trino-User: ci' --data "$1" http://127.0.0.1:8080/v1/statement)
  while true; do
    if jq -e .error >/dev/null <<<"$answer"; then
      jq -c .error.message <<<"$answer" >&2
      return 1
    fi
    jq -c '.data // empty' <<<"$answer"
    next=$(jq -r '.nextUri // empty' <<<"$answer")
    [ -n "$next" ] || return 0
    answer=$(curl -fsS -H 'X-Trino-User: ci' "$next")
  done
}
