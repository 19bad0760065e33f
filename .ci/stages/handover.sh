# One user builds and holds no key, another signs and has no network.
# shellcheck shell=bash

# hand_over: what the second user publishes is what one push by the first
# published, signatures included, and a changed byte is refused.
hand_over() {
  local image layer
  mkdir -p "$WORK/h" "$WORK/s" && chown 10101:10101 "$WORK/h" && chown 10606:10606 "$WORK/s"
  (cd "$WORK/h" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" build --all --distro debian --to oci:handed --output refs >"$WORK/h/refs")
  mkdir -p "$WORK/homes/10606/.config"
  cp -a "$WORK/homes/10101/.config/shudl-assemble" "$WORK/homes/10606/.config/"
  chown -R 10606:10606 "$WORK/homes/10606"
  (cd "$WORK/s" && as_user 10606 022 UTC 2 unshare --user --map-current-user --net /usr/bin/time -v -o "$WORK/s/time" \
    "$BIN/shudl-assemble" push --all --distro debian --from "oci:$WORK/h/handed" --to oci:signed --output refs >"$WORK/s/refs")
  cut -d@ -f2 "$WORK/a/refs" | diff - <(cut -d@ -f2 "$WORK/s/refs")
  for image in "$IMAGES_A"/*/; do
    cmp "$image/index.json" "$WORK/s/signed/$(basename "$image")/index.json"
  done
  [ ! -e "$WORK/homes/10606/.cache/shudl-assemble" ]
  figure "push --from without network or store, $(wc -l <"$WORK/s/refs") images equal to one push, signatures included: $(awk -F': ' '/Elapsed/ {print $2} /Maximum resident/ {printf "peak %d MB", $2/1000}' "$WORK/s/time" | tr '\n' ' ')"
  layer=$(find "$WORK/h/handed/base-postgresql/blobs" -type f -size +10M | head -n 1)
  cp "$layer" "$WORK/h/changed" && printf x | dd of="$WORK/h/changed" bs=1 seek=1000000 conv=notrunc status=none
  mv -f "$WORK/h/changed" "$layer" && chmod 0444 "$layer"
  if (cd "$WORK/s" && as_user 10606 022 UTC 2 "$BIN/shudl-assemble" push --all --distro debian --from "oci:$WORK/h/handed" --to oci:again) 2>"$WORK/s/refusal"; then
    echo 'a changed layer was published'
    return 1
  fi
  grep 'content does not match its digest' "$WORK/s/refusal"
  [ ! -e "$WORK/s/again/base-postgresql/index.json" ]
  rm -rf "$WORK/h" "$WORK/s" "$WORK/homes/10606"
}

# local_copies: cosign 2 and 3 verify a copy of one tag, without a registry.
local_copies() {
  local key=$WORK/homes/10101/.config/shudl-assemble/cosign.pub dir=$WORK/copied/postgresql type
  mkdir -p "$WORK/copied"
  "$BIN/shudl-assemble" copy "oci:$IMAGES_A/postgresql:17-debian" "oci:$WORK/copied"
  printf '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' >"$WORK/copied/root.json"
  cosign verify --key "$key" --insecure-ignore-tlog=true --trusted-root "$WORK/copied/root.json" --local-image "$dir" >/dev/null
  cosign3 verify --key "$key" --insecure-ignore-tlog=true --private-infrastructure --local-image "$dir" >/dev/null
  for type in spdxjson cyclonedx slsaprovenance1; do
    cosign verify-attestation --type "$type" --key "$key" --insecure-ignore-tlog=true --trusted-root "$WORK/copied/root.json" --local-image "$dir" >/dev/null
    cosign3 verify-attestation --type "$type" --key "$key" --insecure-ignore-tlog=true --private-infrastructure --local-image "$dir" >/dev/null
  done
  rm -rf "$WORK/copied"
  figure "copy makes a layout that cosign 2 and 3 verify: signature, SBOM, provenance"
}
