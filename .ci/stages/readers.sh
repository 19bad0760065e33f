# Every image, read by tools that are not ours.
# shellcheck shell=bash

# tags lists FOLDER IMAGE TAG, a line for each image that was pushed. The
# folder is the image's name; of a second stream it is NAME-MAJOR.
tags() {
  sed -E 's/@.*//; s#^.*/##' "$WORK/a/refs" | awk -F: '{ folder = $1; if (seen[$1]++) { split($2, v, "."); folder = $1 "-" v[1] } print folder, $1, $2 }'
}

# one_tag FOLDER IMAGE TAG prints a layout of one tag, made by skopeo, as
# tools want it that take one image per layout.
one_tag() {
  local dir=$WORK/one/$1
  if [ ! -d "$dir" ]; then
    mkdir -p "$WORK/one"
    skopeo --insecure-policy copy -q "oci:$IMAGES_A/$2:$3" "oci:$dir:$3" >&2
  fi
  printf '%s' "$dir"
}

# read_layout FOLDER IMAGE TAG reads one.
read_layout() {
  local dir
  skopeo inspect "oci:$IMAGES_A/$2:$3" | jq -e .Digest >/dev/null
  dir=$(one_tag "$@")
  oci-image-tool validate --type image --ref "name=$3" "$dir"
}

# read_layouts reads each image in place with skopeo, its moving tag too, and
# holds a one-tag copy to oci-image-tool.
read_layouts() {
  tags | by_twos read_layout
  skopeo inspect "oci:$IMAGES_A/postgresql:17-debian" | jq -r '.Name, .Digest'
}

unpack_images() {
  mkdir -p "$WORK/bundle"
  tags | by_twos unpack_image
}

# unpack_image FOLDER IMAGE TAG unpacks one.
unpack_image() {
  local dir
  dir=$(one_tag "$@")
  [ -d "$WORK/bundle/$1" ] || umoci unpack --image "$dir:$3" "$WORK/bundle/$1"
  if find "$WORK/bundle/$1/rootfs" -xdev -type f -perm /6000 | grep .; then
    echo "$1 has setuid files"
    exit 1
  fi
}

# with_registry PORT COMMAND... runs Debian's docker-registry on loopback for one command.
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
  # `set -e` is off inside a tested command, so the status is taken apart.
  set +e
  (
    set -e
    "$@"
  )
  rc=$?
  set -e
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  return "$rc"
}

# push_registry pushes all images twice, as two users with one key, to two
# fresh registries at the same address: all that is stored is the same, byte by
# byte, signatures and the lists of referrers too.
push_registry() {
  with_registry 15013 push_registry_and_verify
  stored "$WORK/registry" >"$WORK/stored-a"
  rm -rf "$WORK/registry"
  with_registry 15013 push_registry_again
  stored "$WORK/registry" >"$WORK/stored-b"
  diff "$WORK/stored-a" "$WORK/stored-b"
  diff "$WORK/a/refs-registry" "$WORK/b/refs-registry"
  figure "two users with one key, two fresh registries at one address: $(wc -l <"$WORK/stored-a") files stored, byte-identical"
  rm -rf "$WORK/registry" "$WORK/homes/10202"
}

# stored lists what a registry keeps in a folder, with digests: blobs, and
# which of them are whose manifests, layers and tags. Uploads that were begun
# are left out.
stored() {
  (cd "$1" && find . -type f -not -path '*/_uploads/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}

push_registry_again() {
  as_second "$BIN/shudl-assemble" push --all --distro debian --to 127.0.0.1:15013/shudl --output refs >"$WORK/b/refs-registry"
}

# verify_reference REF holds one image in the registry to its readers.
verify_reference() {
  local ref=$1 image type key=$WORK/homes/10101/.config/shudl-assemble/cosign.pub
  local trust=(--key "$key" --insecure-ignore-tlog=true --trusted-root "$WORK/trusted_root.json")
  crane validate --insecure --remote "$ref"
  image=${ref%:*}@$(crane digest --insecure "$ref")
  cosign verify "${trust[@]}" "$image" >/dev/null
  for type in spdxjson cyclonedx slsaprovenance1; do
    cosign verify-attestation --type "$type" "${trust[@]}" "$image" >/dev/null
  done
  "$BIN/shudl-assemble" verify --key "$key" "$ref" >/dev/null
}

push_registry_and_verify() {
  local to=127.0.0.1:15013/shudl
  (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" push --all --distro debian --to "$to" --output refs >"$WORK/a/refs-registry")
  cosign trusted-root create --out "$WORK/trusted_root.json"
  cut -d@ -f2 "$WORK/a/refs" | sort >"$WORK/a/digests"
  cut -d@ -f2 "$WORK/a/refs-registry" | sort | diff "$WORK/a/digests" -
  sed -E 's/@.*//' "$WORK/a/refs-registry" | sort -u | by_twos verify_reference
  figure "registry: $(wc -l <"$WORK/a/refs-registry") references valid for crane, cosign and verify"
}
