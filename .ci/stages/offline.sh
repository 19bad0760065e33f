# The same digests without a network.
# shellcheck shell=bash

bundle_offline() {
  # The short form leaves out what takes minutes to compile.
  local images=(patroni trino)
  [ -z "${SHUDL_TEST_FULL:-}" ] || images=(--all)
  mkdir -p "$WORK/c" && chown 10303:10303 "$WORK/c"
  (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" fetch "${images[@]}" --distro debian --bundle "$WORK/a/bundle.tar")
  figure "bundle: $(stat -c %s "$WORK/a/bundle.tar") bytes"
  # Another user with an empty cache, in a network namespace that has no
  # interface but loopback, which is down.
  (cd "$WORK/c" && as_user 10303 022 UTC 2 unshare --user --map-current-user --net \
    "$BIN/shudl-assemble" build "${images[@]}" --distro debian --offline --bundle "$WORK/a/bundle.tar" --output refs >"$WORK/c/refs")
  cut -d@ -f2 "$WORK/a/refs" | sort >"$WORK/c/want"
  cut -d@ -f2 "$WORK/c/refs" | sort >"$WORK/c/got"
  [ -z "${SHUDL_TEST_FULL:-}" ] || diff "$WORK/c/want" "$WORK/c/got"
  [ -s "$WORK/c/got" ] && [ -z "$(comm -13 "$WORK/c/want" "$WORK/c/got")" ]
  rm -rf "$WORK/c/shudl-images" "$WORK/homes/10303" "$WORK/a/bundle.tar"
  figure "offline from the bundle: $(wc -l <"$WORK/c/refs") references, same digests"
}
