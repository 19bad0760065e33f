# Patroni on a real API server, by the manifests that deploy prints.
# shellcheck shell=bash

KUBERNETES=v1.36.3

# build_kubernetes builds kube-apiserver and kube-controller-manager, from a
# module file of their own, and the program that starts them. The servers are
# kept beside Go's build cache, in a folder that is named by what they are made
# of.
build_kubernetes() {
  local folder name
  folder=$(go env GOCACHE)/shudl-kubernetes/$(cat "$ROOT/.ci/kube/servers/go.mod" "$ROOT/.ci/kube/servers/go.sum" "$ROOT/.ci/stages/kubernetes.sh" | sha256sum | cut -c 1-16)
  for name in kube-apiserver kube-controller-manager; do
    if [ ! -x "$folder/$name" ]; then
      mkdir -p "$folder"
      kubernetes_server "$name" "$folder"
    fi
    ln -sf "$folder/$name" "$BIN/$name"
  done
  in_kube go build -o "$BIN/kube" .
}

# in_kube COMMAND... runs Go on the program. What it shares with the product has
# the product's versions, also where these are newer than in its own file.
in_kube() {
  cp "$ROOT/.ci/kube/go.mod" "$WORK/kube.mod"
  LC_ALL=C sort -u "$ROOT/go.sum" "$ROOT/.ci/kube/go.sum" >"$WORK/kube.sum"
  (cd "$ROOT/.ci/kube" && GOFLAGS="${GOFLAGS:-} -mod=mod -modfile=$WORK/kube.mod" "$@")
}

# kubernetes_server NAME FOLDER builds a server, which knows its version only
# from the linker's flags.
kubernetes_server() {
  local version=k8s.io/component-base/version
  (cd "$ROOT/.ci/kube/servers" && CGO_ENABLED=0 /usr/bin/time -f '%e s, %U s of processor time' -o "$WORK/build.time" \
    go build -p 1 -trimpath -ldflags "-s -w -X $version.gitVersion=$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=36" \
    -o "$2/$1" "k8s.io/kubernetes/cmd/$1")
  figure "built $1: $(tail -n 1 "$WORK/build.time")"
}

# lint_kubernetes is not among lint_go's modules: compiling what the program is
# made of takes minutes.
lint_kubernetes() {
  in_kube go vet ./...
  in_kube "$BIN/staticcheck" ./...
}

# kubernetes_of STORE holds Patroni with a store to what its page says, and
# keeps the times.
kubernetes_of() {
  local log=$WORK/kubernetes-$1.log rc=0
  "$BIN/kube" --command "$BIN/shudl-assemble" --from "oci:$IMAGES_A" --servers "$BIN" --dcs "$1" >"$log" || rc=$?
  cat "$log"
  { grep "^$1: " "$log" || true; } | while read -r line; do figure "kubernetes: $line"; done
  return "$rc"
}
