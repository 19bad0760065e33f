# Shared by .ci/run and .ci/full: stages that are timed, counted and go on
# after a failure, so that one run shows all that is wrong.
# shellcheck shell=bash

set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=${SHUDL_CI_WORK:-$(mktemp -d "${TMPDIR:-/tmp}/shudl-ci.XXXXXX")}
BIN=$WORK/bin
mkdir -p "$BIN"
# Other users, which the stages become, read what is below.
chmod 0755 "$WORK" "$BIN"
PATH="$BIN:$PATH"
export PATH
cd "$ROOT" || exit 1

PASSED=0 FAILED=0
FIGURES=$WORK/figures
: >"$FIGURES"
STARTED=$(date +%s)

# stage NAME COMMAND...: runs a command (a function as a rule) in a subshell
# that stops at its first error.
stage() {
  local name=$1 from to rc
  shift
  printf '\n=== %s\n' "$name"
  from=$(date +%s)
  # `set -e` is off inside a tested command, so the status is taken apart.
  set +e
  (
    set -e
    "$@"
  )
  rc=$?
  to=$(date +%s)
  if [ "$rc" -eq 0 ]; then
    PASSED=$((PASSED + 1))
    printf -- '--- passed: %s (%d.%d min)\n' "$name" $(((to - from) / 60)) $((((to - from) % 60) / 6))
  else
    FAILED=$((FAILED + 1))
    printf -- '--- FAILED: %s (status %d, %d.%d min)\n' "$name" "$rc" $(((to - from) / 60)) $((((to - from) % 60) / 6))
  fi
  printf '%-44s %4d s  %s\n' "$name" $((to - from)) "$([ "$rc" -eq 0 ] && echo ok || echo FAILED)" >>"$FIGURES.stages"
}

# figure TEXT: a line for the summary at the end.
figure() {
  printf '%s\n' "$*" | tee -a "$FIGURES"
}

# finish prints the summary and exits with what it says.
finish() {
  local took=$(($(date +%s) - STARTED))
  printf '\n=== stages\n'
  cat "$FIGURES.stages"
  printf '\n=== figures\n'
  cat "$FIGURES"
  printf '\ntook %d.%d min\n' $((took / 60)) $(((took % 60) / 6))
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  if [ -z "${SHUDL_CI_KEEP:-}" ] && [ -z "${SHUDL_CI_WORK:-}" ]; then
    chmod -R u+w "$WORK" 2>/dev/null
    rm -rf "$WORK"
  fi
  [ "$FAILED" -eq 0 ]
}

# debian_mirror prints the mirror that this machine's apt uses for its own
# suite: read at run time, so that no host stands here.
debian_mirror() {
  # shellcheck disable=SC2016 # apt expands these
  apt-get indextargets --format '$(SITE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 ~ /\/debian\/?$/ { print $2; exit }'
}
