# Every image started as a user would start it.
# shellcheck shell=bash

# boot_images starts each unpacked image in runc, as its own user, with a
# read-only root and no network but loopback.
boot_images() {
  local log=$WORK/boots.log rc=0
  "$ROOT/.ci/boot/run" "$WORK/bundle" | tee "$log" || rc=$?
  grep '^works: ' "$log" | while read -r line; do figure "$line"; done
  return "$rc"
}
