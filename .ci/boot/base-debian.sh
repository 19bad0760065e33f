#!/usr/bin/env bash
# The base: its tools run, and TLS trusts what it should and nothing else.
. "$(dirname "$0")/lib.sh"
image=${1:-base-debian}

authority
tls_server 8443

# shellcheck disable=SC2016 # for the container's shell
container tools "$image" -- bash -ec 'test "$(id -u)" = 10001; whoami; awk "BEGIN { print 1 }" >/dev/null; which curl wget bash; date +%Z
  test "$(locale charmap 2>/dev/null || echo UTF-8)" = UTF-8; test "$(TZ=Europe/Berlin date -d @0 +%H 2>/dev/null)" = 01; curl --version; wget --version | head -n 1; test -z "$(find / -xdev -perm /6000 -type f 2>/dev/null)"; ! touch /x 2>/dev/null'
finishes tools
grep -qx app "$BOOT/tools/log"
prove "tools, zones and locale as uid 10001"

container strange "$image" -- bash -c 'curl -sS https://localhost:8443/; echo "curl $?"; wget -qO- https://localhost:8443/; echo "wget $?"'
finishes strange
grep -qx 'curl 60' "$BOOT/strange/log" && grep -qx 'wget 5' "$BOOT/strange/log"
prove "curl and wget refuse an unknown authority"

container trusted "$image" --mount "$BOOT/tls/ca.crt:/tmp/ca.crt" SHUDL_CA_FILE=/tmp/ca.crt -- \
  bash -ec 'curl -fsS -o /dev/null https://localhost:8443/; wget -qO /dev/null https://localhost:8443/; openssl s_client -connect localhost:8443 -verify_return_error </dev/null >/dev/null 2>&1'
finishes trusted
prove "curl, wget and openssl accept it with SHUDL_CA_FILE"

container wrong "$image" SHUDL_CA_FILE=/nowhere -- true
if finishes wrong; then fail "an unreadable SHUDL_CA_FILE went unnoticed"; fi
grep -q 'cannot be read by uid 10001' "$BOOT/wrong/log"
