# The project's own tests, short and long.
# shellcheck shell=bash

# unit_tests are what the README has; long forms have stages of their own.
unit_tests() {
  env -u SHUDL_TEST_FULL go test ./...
}

# race_tests may have little of the processors, and so much time.
race_tests() {
  CGO_ENABLED=1 env -u SHUDL_TEST_FULL go test -race -timeout 90m ./...
}

race_then_fuzz() {
  race_tests
  fuzz_tests
}

# network_tests leave out the long form of what has a stage of its own.
network_tests() {
  SHUDL_TEST_NETWORK=1 env -u SHUDL_TEST_FULL go test -count=1 -timeout 30m ./rootfs/...
  SHUDL_TEST_NETWORK=1 go test -count=1 -timeout 30m -run 'TestScripts/network' ./cmd/shudl-assemble
}

# encoder_tests holds the bytes of layers on other processors and without
# assembly: the golden digests are the same everywhere.
encoder_tests() {
  go test -count=1 -tags noasm ./layers
  [ -z "${SHUDL_TEST_FULL:-}" ] || {
    # Not two gigabytes through one compressor: there that takes ten minutes.
    SHUDL_TEST_FULL='' GOARCH=386 go test -count=1 ./layers
    GOAMD64=v3 go vet ./layers
  }
  figure "golden layer digests hold with assembly and without it (noasm)${SHUDL_TEST_FULL:+, and on 386}"
}

# alpine_tests draws package sets from the real index and asks the real apk,
# for a seventh of them in the short form.
alpine_tests() {
  local sets=40
  [ -z "${SHUDL_TEST_FULL:-}" ] || sets=300
  SHUDL_TEST_FULL=1 SHUDL_TEST_SETS=$sets go test -count=1 -timeout 40m -v -run 'APK|Real|Recipes' ./rootfs/apk | tee "$WORK/apk.log" | grep -E '^(---|ok|FAIL|PASS)|sets|seed' | tail -40
  grep -q '^ok' "$WORK/apk.log" && ! grep -q -e '--- SKIP' "$WORK/apk.log"
}

# alpine_boots builds the tests' Alpine images and starts them.
alpine_boots() {
  "$ROOT/.ci/alpine-boots" "$BIN/shudl-assemble"
}

fuzz_tests() {
  local pkg target
  for pkg in $(go list ./recipes/... ./rootfs/... ./layers/...); do
    for target in $(go test -list '^Fuzz' "$pkg" 2>/dev/null | grep '^Fuzz'); do
      printf '%s %s\n' "$pkg" "$target"
    done
  done >"$WORK/fuzz"
  by_twos fuzz_target <"$WORK/fuzz"
  figure "fuzz targets, ${SHUDL_FUZZ_TIME:-60s} each on a processor of its own: $(wc -l <"$WORK/fuzz")"
  [ -s "$WORK/fuzz" ]
}

# fuzz_target PACKAGE TARGET keeps one processor busy.
fuzz_target() {
  go test -run '^$' -fuzz "^$2\$" -fuzztime "${SHUDL_FUZZ_TIME:-60s}" -parallel 1 "$1"
}

benchmarks() {
  go test -run '^$' -bench . -benchtime 2x ./recipes/... ./rootfs/... ./layers/... | grep -E '^Benchmark|^ok' | tee -a "$FIGURES"
}

lock_check() {
  # A mirror moves on; what moved is reported and is no failure here.
  "$BIN/shudl-assemble" lock --check --distro debian || figure "lock --check: the mirror has moved (status $?)"
}
