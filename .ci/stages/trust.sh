# What is signed, read and attacked on real servers: Fulcio, Rekor, a timestamp
# authority, an OpenID provider, Debian's docker-registry and ociregistry.
# shellcheck shell=bash

# build_trust builds cosign 3, the servers and the program that holds the
# product to them, from a module file of their own. Most of what they are made
# of is compiled for cosign 2 already.
build_trust() {
  local name package
  while read -r name package; do
    timed_build "$name" "$package"
  done <<'PACKAGES'
cosign3 github.com/sigstore/cosign/v3/cmd/cosign
fulcio github.com/sigstore/fulcio
rekor-server github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix
timestamp-server github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server
trust .
PACKAGES
}

# timed_build NAME PACKAGE builds a command of .ci/trust's module.
timed_build() {
  (cd "$ROOT/.ci/trust" && /usr/bin/time -f '%e s, %U s of processor time' -o "$WORK/build.time" go build -o "$BIN/$1" "$2")
  figure "built $1: $(tail -n 1 "$WORK/build.time")"
}

# trust_table pushes images that are signed in every way, as a user with the
# first user's store and without network, and holds them to the tables of
# .ci/trust. With arguments for it, to a part of them.
trust_table() {
  lend_store 10505
  mkdir -p "$WORK/trust"
  # The user may not be able to read the checkout.
  cp -r "$ROOT/recipes/testdata/alpine" "$WORK/trust/recipes"
  cp -rL "$ROOT/../shared/alpine" "$WORK/trust/mirror"
  chown -R 10505:10505 "$WORK/trust"
  as_user 10505 022 UTC 2 unshare --user --map-root-user --net \
    sh -c 'ip link set lo up && exec "$@"' -- "$BIN/trust" check --dir "$WORK/trust/state" --bin "$BIN" \
    --cache "$WORK/homes/10505/.cache/shudl-assemble" --recipes "$WORK/trust/recipes" --mirror "$WORK/trust/mirror" "$@" |
    tee "$WORK/trust.log"
  grep '^trust: ' "$WORK/trust.log" | while read -r line; do figure "$line"; done
  grep -q '^trust: ' "$WORK/trust.log"
  chmod -R u+w "$WORK/trust" && rm -rf "$WORK/trust" "$WORK/homes/10505"
}

# fault_tests brings faults upon the write requests of pushes, and lets pushes
# meet at one tag; with SHUDL_TEST_FULL=1 upon every write.
fault_tests() {
  SHUDL_TEST_FAULTS=4 go test -count=1 -timeout 60m -v -run 'TestFaults|TestTwoPushesOfOneTagAtOnce' ./layers/publish >"$WORK/faults.log" || {
    grep -E '^ *--- FAIL|_test.go|^(panic|FAIL)' "$WORK/faults.log" | grep -v 'a push writes' | head -40
    tail -n 5 "$WORK/faults.log"
    return 1
  }
  grep -oE 'faults: .*' "$WORK/faults.log" | while read -r line; do figure "$line"; done
  figure "two pushes of one tag at once: $(grep -oE '[0-9]+ of [0-9]+ pushes failed .*' "$WORK/faults.log" |
    awk '{ f += $1; n += $3; l += $10 } END { print n " pushes, the tags whole each time; " f " failed, " l " lost a signature to another key" }')"
  grep -q 'faults: ' "$WORK/faults.log" && ! grep -q -e '--- SKIP' "$WORK/faults.log"
}
