# Shared by the boot scripts: containers from bundles, by runc.
# shellcheck shell=bash disable=SC2016 # jq's variables are not the shell's

set -euo pipefail
: "${BUNDLES:?run me by .ci/boot/run}"
BOOT=$(mktemp -d "${TMPDIR:-/tmp}/shudl-boot.XXXXXX")
CONTAINERS=()
HELPERS=()
trap finish EXIT

# finish ends what this script started, and nothing else.
finish() {
  local status=$? name
  for name in ${CONTAINERS[@]+"${CONTAINERS[@]}"}; do
    if [ "$status" -ne 0 ]; then
      echo "--- last lines of $name"
      tail -n 60 "$BOOT/$name/log" || true
    fi
    runc --root "$BOOT/state" delete --force "$name" 2>/dev/null || true
  done
  for name in ${HELPERS[@]+"${HELPERS[@]}"}; do
    kill "$name" 2>/dev/null || true
  done
  rm -rf "$BOOT"
}

# prove TEXT: a line of what was shown, for the summary.
prove() { echo "proved: $*"; }

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# container NAME IMAGE [NAME=VALUE...] [--mount SOURCE:TARGET]... [-- ARGS...]
# prepares a container: the image's own config with a read-only root, a tmpfs
# at /tmp, the network of this script, more environment and other arguments.
container() {
  local name=$1 bundle=$BUNDLES/$2 dir=$BOOT/$1 own
  shift 2
  mkdir -p "$dir"
  printf '127.0.0.1 localhost %s\n' "$name" >"$dir/hosts"
  echo 'nameserver 127.0.0.1' >"$dir/resolv.conf"
  jq --arg resolv "$dir/resolv.conf" --arg root "$(realpath "$bundle/rootfs")" --arg name "$name" --arg hosts "$dir/hosts" --argjson files "$(ulimit -Hn)" '
    .root = {path: $root, readonly: true} | .hostname = $name | .process.terminal = false
    | .linux.namespaces |= map(select(.type != "network" and .type != "user"))
    | del(.linux.uidMappings, .linux.gidMappings) | .process.noNewPrivileges = true
    | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: $files, hard: $files}]
    | .mounts = [.mounts[] | select(.destination as $d | ["/tmp", "/etc/resolv.conf", "/etc/hosts", "/run"] | index($d) | not)
        | select(.options // [] | index("cgroup") | not)]
    | .mounts += [
        {destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"]},
        {destination: "/etc/resolv.conf", type: "bind", source: $resolv, options: ["rbind", "ro"]},
        {destination: "/etc/hosts", type: "bind", source: $hosts, options: ["rbind", "ro"]}]
  ' "$bundle/config.json" >"$dir/config.json"
  while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    --mount)
      edit "$dir" --arg from "${2%%:*}" --arg to "${2#*:}" '.mounts += [{destination: $to, type: "bind", source: $from, options: ["rbind", "rw"]}]'
      shift
      ;;
    --user)
      edit "$dir" --argjson uid "${2%%:*}" --argjson gid "${2#*:}" '.process.user = {uid: $uid, gid: $gid}'
      shift
      ;;
    --capabilities)
      edit "$dir" --argjson caps "$2" '.process.capabilities = ({} | .bounding = $caps | .effective = $caps | .permitted = $caps)'
      shift
      ;;
    *=*) edit "$dir" --arg set "$1" --arg key "${1%%=*}=" '.process.env |= (map(select(startswith($key) | not)) + [$set])' ;;
    *) fail "container: $1" ;;
    esac
    shift
  done
  [ $# -gt 0 ] || return 0
  own=$(entrypoint_length "$bundle")
  edit "$dir" --argjson own "$own" '.process.args |= .[:$own]'
  for own; do
    edit "$dir" --arg one "$own" '.process.args += [$one]'
  done
}

# entrypoint_length says how many of the arguments are the image's entrypoint:
# up to the last that a recipe's entrypoint script names.
entrypoint_length() {
  jq '.process.args | [to_entries[] | select(.value | test("entrypoint")) | .key] | (max // -1) + 1' "$1/config.json"
}

# edit DIR JQ-ARGUMENTS... changes a container's config.
edit() {
  local dir=$1
  shift
  jq "$@" <"$dir/config.json" >"$dir/config.new"
  mv "$dir/config.new" "$dir/config.json"
}

# start NAME runs a prepared container in the background.
start() {
  CONTAINERS+=("$1")
  runc --root "$BOOT/state" run --detach --bundle "$BOOT/$1" "$1" >"$BOOT/$1/log" 2>&1 </dev/null
}

# finishes NAME runs a prepared container to its end, and gives its status.
finishes() {
  local status=0
  CONTAINERS+=("$1")
  runc --root "$BOOT/state" run --bundle "$BOOT/$1" "$1" >"$BOOT/$1/log" 2>&1 </dev/null || status=$?
  cat "$BOOT/$1/log"
  return "$status"
}

# inside NAME COMMAND... runs a command in a running container, as its user
# and with its environment.
inside() {
  local name=$1
  shift
  runc --root "$BOOT/state" exec "$name" "$@"
}

running() { [ "$(runc --root "$BOOT/state" state "$1" 2>/dev/null | jq -r .status)" = running ]; }

# stopped NAME SIGNAL SECONDS ends a container by its stop signal.
stopped() {
  runc --root "$BOOT/state" kill "$1" "$2"
  for _ in $(seq $((10 * $3))); do
    running "$1" || return 0
    sleep 0.1
  done
  fail "$1 still runs $3 seconds after $2"
}

# until_true SECONDS COMMAND... tries until it succeeds.
until_true() {
  local seconds=$1 from=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - from)) -lt "$seconds" ] || fail "not within $seconds seconds: $*"
    sleep 0.3
  done
}

# alive NAME SECONDS COMMAND... is until_true for a container that must not
# end meanwhile.
alive() {
  local name=$1 seconds=$2 from=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    running "$name" || fail "$name ended: $*"
    [ $((SECONDS - from)) -lt "$seconds" ] || fail "not within $seconds seconds: $*"
    sleep 0.3
  done
}

# volume NAME UID:GID makes a folder that a user of the image owns.
volume() {
  mkdir -p "$BOOT/volumes/$1"
  chown "$2" "$BOOT/volumes/$1"
  chmod 700 "$BOOT/volumes/$1"
  echo "$BOOT/volumes/$1"
}

# user_of IMAGE prints uid:gid of the image's config.
user_of() { jq -r '.process.user | "\(.uid):\(.gid)"' "$BUNDLES/$1/config.json"; }

# authority makes a certificate authority and a server certificate for
# localhost in $BOOT/tls.
authority() {
  local dir=$BOOT/tls
  mkdir -p "$dir"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=boot-test-ca -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$dir/server.key" -out "$dir/server.csr" 2>/dev/null
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$dir/ext"
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 -extfile "$dir/ext" -out "$dir/server.crt" 2>/dev/null
  chmod 644 "$dir"/*
}

# tls_server PORT answers HTTPS with that certificate until the script ends.
tls_server() {
  (cd "$BOOT/tls" && exec openssl s_server -quiet -www -accept "127.0.0.1:$1" -cert server.crt -key server.key >/dev/null 2>&1 </dev/null) &
  HELPERS+=($!)
  until_true 10 curl -fsk "https://localhost:$1/"
}

# answers PATTERN CURL-ARGUMENTS... says whether an answer has a line with it.
# The answer is read to its end first: grep -q would leave curl with a closed
# pipe.
answers() {
  local pattern=$1 body
  shift
  body=$(curl -fs "$@") && grep -q "$pattern" <<<"$body"
}
