#!/usr/bin/env bash
# The tests' Alpine base: apk finds in it what the lock says and nothing
# changed, its tools run, and TLS trusts what it should and nothing else.
. "$(dirname "$0")/lib.sh"

locked() { jq -r '.images[] | select(.image == "base-alpine") | .artifacts[] | select(.kind == "apk") | .name + "-" + .version' "$BUNDLES/alpine.lock" | LC_ALL=C sort; }

container info alpine-base --user 0:0 -- sh -c 'apk --no-network info -v 2>/dev/null'
finishes info >/dev/null
LC_ALL=C sort "$BOOT/info/log" >"$BOOT/info/sorted"
diff <(locked) "$BOOT/info/sorted"
[ "$(wc -l <"$BOOT/info/sorted")" -ge 20 ]
prove "apk info lists the lock's $(wc -l <"$BOOT/info/sorted") packages"

container audit alpine-base --user 0:0 -- sh -c 'apk --no-network audit --system 2>&1 | grep -v "^WARNING: opening from cache"; true'
finishes audit
[ ! -s "$BOOT/audit/log" ] || fail "apk audit --system found something"
container verify alpine-base --user 0:0 -- sh -c 'apk info --who-owns /usr/bin/wget; apk info --who-owns /bin/ls; apk info --contents wget'
finishes verify
grep -q '/usr/bin/wget is owned by wget-' "$BOOT/verify/log"
grep -q '/bin/ls.* owned by coreutils-' "$BOOT/verify/log"
printf 'changed' >"$BOOT/changed"
container tampered alpine-base --user 0:0 --mount "$BOOT/changed:/usr/bin/wget" -- sh -c 'apk --no-network audit --system 2>/dev/null; true'
finishes tampered
grep -q 'usr/bin/wget' "$BOOT/tampered/log" || fail "apk audit --system does not see a changed file"
prove "apk audit --system finds nothing, and a changed file where there is one"

# shellcheck disable=SC2016 # for the container's shell
container tools alpine-base -- sh -ec 'test "$(id -u)" = 10001; whoami; wget --version | head -n 1; ls --version | head -n 1; echo a | grep -c a; echo "{}" | jq -c .; test "$(readlink /bin/vi || readlink /usr/bin/vi)" = /bin/busybox; echo x | awk "{print}"; ! touch /x 2>/dev/null'
finishes tools
grep -qx app "$BOOT/tools/log"
grep -q 'GNU coreutils' "$BOOT/tools/log"
prove "GNU tools and busybox's applets as uid 10001"

authority
tls_server 8443
container strange alpine-base -- sh -c 'wget -qO- https://localhost:8443/; echo "wget $?"'
finishes strange
grep -qx 'wget 5' "$BOOT/strange/log"
prove "wget refuses an unknown authority"
cat "$BUNDLES/alpine-base/rootfs/etc/ssl/certs/ca-certificates.crt" "$BOOT/tls/ca.crt" >"$BOOT/bundle.crt"
[ "$(grep -c BEGIN "$BOOT/bundle.crt")" -gt 100 ]
container trusted alpine-base --mount "$BOOT/bundle.crt:/etc/ssl/certs/ca-certificates.crt" -- wget -qO /dev/null https://localhost:8443/
finishes trusted
prove "wget accepts one in the bundle"
