# What the other stages need, from package registries by their own clients.
# shellcheck shell=bash

PACKAGES="bubblewrap runc skopeo umoci oci-image-tool docker-registry shellcheck iproute2 jq xz-utils zstd file curl openssl python3-venv etcd-server ca-certificates buildah time"

install_packages() {
  local missing=() p
  for p in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # No service is started: the tests start what they need, on loopback.
  printf '#!/bin/sh\nexit 101\n' >"$WORK/policy-rc.d"
  chmod 0755 "$WORK/policy-rc.d"
  local ours=no
  [ -e /usr/sbin/policy-rc.d ] || { cp "$WORK/policy-rc.d" /usr/sbin/policy-rc.d && ours=yes; }
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$WORK/apt.log" 2>&1 || {
    tail -20 "$WORK/apt.log"
    return 1
  }
  [ "$ours" = no ] || rm -f /usr/sbin/policy-rc.d
}

# build_peers builds the clients of others at the versions that the product
# itself links, from a module file of their own.
build_peers() {
  (cd "$ROOT/.ci/tools" && go build -o "$BIN/" \
    github.com/sigstore/cosign/v2/cmd/cosign github.com/anchore/syft/cmd/syft github.com/google/go-containerregistry/cmd/crane ./sbomcheck)
  "$BIN/cosign" version 2>&1 | grep -E 'GitVersion|^v' || true
}

# build_validators installs the validator of CycloneDX, which brings its schema.
build_validators() {
  python3 -m venv "$WORK/venv"
  "$WORK/venv/bin/pip" install -q --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0'
}

build_product() {
  go build -o "$BIN/shudl-assemble" ./cmd/shudl-assemble
  "$BIN/shudl-assemble" version
}
