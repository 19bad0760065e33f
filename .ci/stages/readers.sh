# Every image, read by tools that are not ours.
# shellcheck shell=bash

POLICY=$WORK/policy.json

# one_tag IMAGE TAG: a layout of one tag, made by skopeo, as tools want it
# that take one image per layout.
one_tag() {
  local image=$1 tag=$2 dir=$WORK/one/$1
  printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' >"$POLICY"
  if [ ! -d "$dir" ]; then
    mkdir -p "$dir"
    skopeo --policy "$POLICY" copy -q "oci:$IMAGES_A/$image:$tag" "oci:$dir:$tag"
  fi
  printf '%s' "$dir"
}

# tags lists IMAGE TAG, one moving tag for each image: what a user types.
tags() {
  sed -E 's/@.*//' "$WORK/a/refs" | awk -F: '{print $1, $NF}' | while read -r image tag; do
    case $tag in *-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-debian) continue ;; esac
    printf '%s %s\n' "${image##*/}" "$tag"
  done | sort -u
}

read_layouts() {
  local image tag dir
  tags | while read -r image tag; do
    skopeo --policy /dev/null inspect --raw "oci:$IMAGES_A/$image:$tag" >"$WORK/raw" 2>/dev/null ||
      skopeo inspect "oci:$IMAGES_A/$image:$tag" >"$WORK/raw"
    dir=$(one_tag "$image" "$tag")
    oci-image-tool validate --type image --ref "name=$tag" "$dir"
  done
}

unpack_images() {
  local image tag dir
  tags | while read -r image tag; do
    dir=$(one_tag "$image" "$tag")
    [ -d "$WORK/bundle/$image" ] || {
      mkdir -p "$WORK/bundle"
      umoci unpack --image "$dir:$tag" "$WORK/bundle/$image"
    }
    find "$WORK/bundle/$image/rootfs" -xdev -perm /6000 -type f | grep . && exit 1
    true
  done
}

# start_registry runs Debian's docker-registry on loopback for one command.
with_registry() {
  local port=$1 pid rc
  shift
  cat >"$WORK/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $WORK/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
YML
  docker-registry serve "$WORK/registry.yml" >"$WORK/registry.log" 2>&1 &
  pid=$!
  for _ in $(seq 50); do
    curl -fs "http://127.0.0.1:$port/v2/" >/dev/null && break
    sleep 0.2
  done
  rc=0
  "$@" || rc=$?
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  return "$rc"
}

push_registry() {
  with_registry 15013 push_registry_and_verify
}

push_registry_and_verify() {
  local image tag to=127.0.0.1:15013/shudl
  (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" push --all --distro debian --to "$to" --output refs >"$WORK/a/refs-registry")
  cosign trusted-root create --out "$WORK/trusted_root.json"
  cut -d@ -f2 "$WORK/a/refs" | sort >"$WORK/a/digests"
  cut -d@ -f2 "$WORK/a/refs-registry" | sort | diff "$WORK/a/digests" -
  sed -E 's/@.*//' "$WORK/a/refs-registry" | sort -u | while read -r ref; do
    crane validate --insecure --remote "$ref"
    image=$(crane digest --insecure "$ref")
    cosign verify --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" --insecure-ignore-tlog=true \
      --trusted-root "$WORK/trusted_root.json" "${ref%:*}@$image" >/dev/null
    cosign verify-attestation --type spdxjson --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" --insecure-ignore-tlog=true \
      --trusted-root "$WORK/trusted_root.json" "${ref%:*}@$image" >/dev/null
    "$BIN/shudl-assemble" verify --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" "$ref" >/dev/null
  done
  figure "registry: $(wc -l <"$WORK/a/refs-registry") references valid for crane, cosign and verify"
}
