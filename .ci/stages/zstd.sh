# --compression zstd: everything that is done with gzip layers, done with these.
# shellcheck shell=bash

with_zstd() {
  (cd "$WORK/z" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" "$@")
}

# zstd_images builds, hands over, verifies, copies, builds again and starts
# images whose layers are zstd, and has them read by tools of others.
zstd_images() {
  local image
  mkdir -p "$WORK/z" && chown 10101:10101 "$WORK/z"
  with_zstd build postgresql --distro debian --compression zstd --to oci:built --output refs
  for image in base-debian base-postgresql postgresql; do
    # The same tar streams as in the gzip layers.
    diff <(skopeo inspect --config "oci:$IMAGES_A/$image:latest-debian" | jq .rootfs) <(skopeo inspect --config "oci:$WORK/z/built/$image:latest-debian" | jq .rootfs)
    skopeo inspect --raw "oci:$WORK/z/built/$image:latest-debian" | jq -e 'all(.layers[]; .mediaType | endswith("tar+zstd"))' >/dev/null
    figure "zstd: $image $(layers_of "$WORK/z/built/$image") MB, gzip $(layers_of "$IMAGES_A/$image") MB, same diffIDs"
  done
  with_registry 15016 zstd_registry
  with_zstd test base --distro debian --from oci:built --progress plain
  # umoci 0.4.7 and oci-image-tool know no zstd: they read what skopeo converts.
  skopeo --insecure-policy copy -q --dest-compress --dest-compress-format gzip "oci:$WORK/z/built/base-debian:latest-debian" "dir:$WORK/z/dir"
  skopeo --insecure-policy copy -q "dir:$WORK/z/dir" "oci:$WORK/z/gzip:one"
  umoci unpack --image "$WORK/z/gzip:one" "$WORK/z/bundle"
  test -x "$WORK/z/bundle/rootfs/usr/bin/bash"
  rm -rf "$WORK/z" "$WORK/registry"
}

# layers_of LAYOUT: the compressed layers of its latest tag in MB.
layers_of() {
  skopeo inspect --raw "oci:$1:latest-debian" | jq '[.layers[].size] | add / 1e5 | round / 10'
}

zstd_registry() {
  local to=127.0.0.1:15016/shudl ref
  ref=$to/postgresql:latest-debian
  with_zstd push postgresql --distro debian --compression zstd --from oci:built --to "$to" --output refs >"$WORK/z/refs"
  with_zstd push postgresql --distro debian --compression zstd --to "$to" --output refs | diff "$WORK/z/refs" -
  with_zstd verify --layers --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" "$ref" >/dev/null
  with_zstd reproduce "$ref" --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" --progress quiet
  with_zstd copy "$ref" oci:copied
  with_zstd verify --layers --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" oci:copied/postgresql:latest-debian --no-chain >/dev/null
  # crane's validate takes every layer for gzip.
  skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$ref" "oci:$WORK/z/skopeo:one"
}

# podman_zstd has Podman pull such an image, unpack it and run it.
podman_zstd() {
  mkdir -p "$WORK/z" && chown 10101:10101 "$WORK/z"
  with_zstd push base-postgresql --distro debian --compression zstd --to 127.0.0.1:15014/shudl --output refs
  podman run --rm --network none 127.0.0.1:15014/shudl/base-postgresql:latest-debian postgres --version
  rm -rf "$WORK/z"
}
