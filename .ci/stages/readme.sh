# The README's two commands as a newcomer types them: a fresh clone, a fresh
# home, an unprivileged user, and nothing installed but Go, CA certificates
# and name resolution.
# shellcheck shell=bash

readme_commands() {
  local box=$WORK/readme goroot
  goroot=$(go env GOROOT)
  mkdir -p "$box/home" "$box/tmp"
  git clone -q "$ROOT" "$box/src"
  chown -R 10404:10404 "$box"
  local -a sandbox=(
    setpriv --reuid 10404 --regid 10404 --clear-groups
    bwrap --unshare-user --unshare-pid --unshare-ipc --die-with-parent --clearenv
    --ro-bind "$goroot" /go --proc /proc --dev /dev --tmpfs /usr --tmpfs /etc
    --ro-bind /etc/resolv.conf /etc/resolv.conf --ro-bind /etc/hosts /etc/hosts
    --ro-bind "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" /etc/ssl/certs/ca-certificates.crt
    --bind "$box/tmp" /tmp --bind "$box/home" /home/user --bind "$box/src" /src --chdir /src
    --setenv HOME /home/user --setenv PATH /go/bin --setenv GOFLAGS "$(go env GOFLAGS)"
    --setenv GOPROXY "$(go env GOPROXY)" --setenv SSL_CERT_FILE /etc/ssl/certs/ca-certificates.crt
    --setenv SHUDL_MIRROR_DEBIAN "$(debian_mirror)"
  )
  if [ -z "${SHUDL_CI_COLD:-}" ]; then
    # Downloads are kept from earlier stages, which have shown that they are
    # fetched, and so is the compiled MinIO; all else is made anew. .ci/full
    # does without.
    lend_store 10404
    mv "$WORK/homes/10404/.cache" "$box/home/.cache"
  fi
  "${sandbox[@]}" go test ./...
  "${sandbox[@]}" go run ./cmd/shudl-assemble push --all --distro debian --output refs | tee "$box/refs"
  cut -d@ -f2 "$box/refs" | sort | diff - <(cut -d@ -f2 "$WORK/a/refs" | sort)
  rm -rf "$box"
  figure "README commands in an empty sandbox: tests pass, same digests"
}
