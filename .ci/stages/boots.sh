# Every image started as a user would start it, and held to its contract.
# shellcheck shell=bash

# contracts runs the test command and keeps a line for each image.
contracts() {
  local who=$1 log=$WORK/contracts-$1.log rc=0
  shift
  "$@" >"$log" || rc=$?
  cat "$log"
  grep -E '^(base-|postgres|patroni|minio|nessie|trino|spark).* met ' "$log" | while read -r line; do figure "contract as $who: $line"; done
  return "$rc"
}

# boot_images holds all images to their contracts as root.
boot_images() {
  contracts root "$BIN/shudl-assemble" test --all --distro debian --from "oci:$IMAGES_A" --progress plain
}

# boot_images_unprivileged does the same as a user who has nothing but an id of
# their own.
boot_images_unprivileged() {
  contracts user as_user 10101 022 UTC 2 "$BIN/shudl-assemble" test "$@" --distro debian --from "oci:$IMAGES_A" --progress plain
}

# boot_images_twice is the short form of both: all images as root, and beside
# that, since either waits most of the time, those that need no JVM as any user.
boot_images_twice() {
  local pid rc=0
  boot_images_unprivileged base postgresql base-postgresql minio patroni postgres-exporter >"$WORK/user.log" 2>&1 &
  pid=$!
  boot_images || rc=$?
  wait "$pid" || rc=$?
  cat "$WORK/user.log"
  return "$rc"
}

# stack_of NAME root|user starts a stack, as root or as a user who has nothing
# but an id of their own, and keeps its times.
stack_of() {
  local name=$1 who=$2 log=$WORK/stack-$1-$2.log rc=0
  local run=("$BIN/shudl-assemble" test --stack "$name" --distro debian --from "oci:$IMAGES_A" --progress plain)
  [ "$who" = root ] || run=(as_user 10101 022 UTC 2 "${run[@]}")
  "${run[@]}" >"$log" || rc=$?
  cat "$log"
  { grep -E '^(writes stopped|rows kept) ' "$log" || true; } | while read -r line; do figure "failover as $who: $line"; done
  grep "^stack $name " "$log" | while read -r line; do figure "as $who: $line"; done
  return "$rc"
}
