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

PASSED=0 FAILED=0 BESIDE=()
FIGURES=$WORK/figures
: >"$FIGURES"
rm -f "$FIGURES".*
# free_disk is in GB.
free_disk() { df -BG --output=avail "$WORK" | tail -n 1 | tr -d ' G'; }
STARTED=$(date +%s)

# stage NAME COMMAND...: runs a command (a function as a rule) in a subshell
# that stops at its first error. What it prints is shown when it ends.
stage() {
  local name=$1 from rc log=$WORK/stage.log TIMEFORMAT='%U %S'
  shift
  printf '\n=== %s\n' "$name"
  from=$(date +%s)
  # `set -e` is off inside a tested command, so the status is taken apart.
  set +e
  { time { (
    set -e
    "$@"
  ) >"$log" 2>&1; }; } 2>"$log.time"
  rc=$?
  ended "$name" "$rc" $(($(date +%s) - from)) "$log"
}

# ended NAME STATUS SECONDS LOG shows a stage that has ended, and counts it.
# LOG.time has its processor time.
ended() {
  local name=$1 rc=$2 took=$3 log=$4 cpu said=passed
  cat "$log"
  cpu=$(awk 'END { printf "%d", $1 + $2 }' "$log.time")
  if [ "$rc" -eq 0 ]; then
    PASSED=$((PASSED + 1))
  else
    FAILED=$((FAILED + 1))
    said="FAILED, status $rc"
    { printf -- '--- %s\n' "$name" && tail -n 30 "$log"; } >>"$FIGURES.failed"
  fi
  printf -- '--- %s: %s (%d.%d min)\n' "$said" "$name" $((took / 60)) $(((took % 60) / 6))
  printf '%-58s %4d s  %4d s of processor time  %3d GB free  %s\n' "$name" "$took" "$cpu" "$(free_disk)" "$([ "$rc" -eq 0 ] && echo ok || echo FAILED)" >>"$FIGURES.stages"
}

# beside NAME COMMAND...: a stage that runs while the ones after it do, with
# the processor time that they leave: containers that start and servers that
# are waited for leave half of it. It has a session of its own, since Linux
# shares the processors out by sessions first (sched(7), autogroups).
# Stages that are measured come after `gather`.
beside() {
  local log=$WORK/beside.${#BESIDE[@]}
  printf '\n=== %s: begins, beside the following\n' "$1"
  export ROOT WORK BIN FIGURES
  declare -f >"$log.functions"
  # shellcheck disable=SC2016 # expanded by the new shell
  setsid nice -n 19 bash -c 'set -uo pipefail
    . "$1.functions"
    echo 19 2>/dev/null >/proc/self/autogroup || true
    log=$1 from=$(date +%s) TIMEFORMAT="%U %S"
    shift 2
    { time { ( set -e; "$@" ) >"$log" 2>&1; }; } 2>"$log.time"
    echo "$? $(($(date +%s) - from))" >"$log.ended"
  ' -- "$log" "$@" &
  BESIDE+=("$! $1")
}

# gather waits for the stages that run beside others, and counts them.
gather() {
  local i rc took
  for i in "${!BESIDE[@]}"; do
    printf '\n=== %s: its end\n' "${BESIDE[i]#* }"
    wait "${BESIDE[i]%% *}"
    rc=1 took=0
    [ ! -e "$WORK/beside.$i.ended" ] || read -r rc took <"$WORK/beside.$i.ended"
    ended "${BESIDE[i]#* }" "$rc" "$took" "$WORK/beside.$i"
  done
  BESIDE=()
}

# by_twos COMMAND...: runs a command for each line of standard input, with the
# words of the line, every other line beside the ones between. Most tools that
# read images keep one processor busy.
by_twos() {
  local lines half words pids=() pid rc=0
  lines=$(cat)
  for half in 0 1; do
    (
      set -e
      awk "NR % 2 == $half" <<<"$lines" | while read -r -a words; do "$@" "${words[@]}"; done
    ) &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || rc=1
  done
  return "$rc"
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
  if [ -e "$FIGURES.failed" ]; then
    printf '\n=== failures, the last lines of each\n'
    cat "$FIGURES.failed"
  fi
  printf '\ntook %d.%d min\n' $((took / 60)) $(((took % 60) / 6))
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  [ "$FAILED" -eq 0 ]
}

# tidy takes away what was made, also when the run was ended from outside.
tidy() {
  local one
  for one in "${BESIDE[@]}"; do kill -- "-${one%% *}" 2>/dev/null; done
  if [ -z "${SHUDL_CI_KEEP:-}" ] && [ -z "${SHUDL_CI_WORK:-}" ]; then
    chmod -R u+w "$WORK" 2>/dev/null
    rm -rf "$WORK"
  fi
}
trap tidy EXIT
trap 'exit 143' TERM INT HUP

# debian_mirror prints the mirror that this machine's apt uses for its own
# suite: read at run time, so that no host stands here.
debian_mirror() {
  # shellcheck disable=SC2016 # apt expands these
  apt-get indextargets --format '$(SITE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 ~ /\/debian\/?$/ { print $2; exit }'
}
