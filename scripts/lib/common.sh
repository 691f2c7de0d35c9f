# shellcheck shell=bash disable=SC2034  # the variables are for those who source this
# Sourced by the scripts beside it: what more than one of them needs. Changes no directory and starts nothing.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# The broker's version stands in one place, where Maven needs it.
KAFKA_VERSION=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$ROOT/scripts/kafka-broker/pom.xml")
KAFKA_LIBS="$ROOT/.deps/kafka/$KAFKA_VERSION/libs"

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# The comment at the head of a script is its help.
usage() {
  awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
}

usage_error() {
  echo "${0##*/}: $*; -h shows how to use it" >&2
  exit 2
}

# A TCP port that is free now. From below the range that the kernel hands to outgoing connections, so that nobody is
# given it between this look and the server's own bind.
free_port() {
  python3 - <<'PY'
import random, socket
for _ in range(200):
    port = random.randint(15000, 31999)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
PY
}

port_is_free() {
  ! (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# owned_pid FILE WORD...: prints the process id noted in FILE if that process lives and its command line holds every
# WORD. Process ids are reused: without the words, a stale file could have us signal a stranger.
owned_pid() {
  local file=$1 pid line word
  shift
  [ -s "$file" ] || return 1
  read -r pid < "$file"
  line=$(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline") || return 1
  for word in "$@"; do
    case $line in *"$word"*) ;; *) return 1 ;; esac
  done
  echo "$pid"
}

# wait_gone PID SECONDS: whether the process ended in time.
wait_gone() {
  local deadline=$((SECONDS + $2))
  while kill -0 "$1" 2> /dev/null; do
    # An unreaped child of ours has ended all the same, but not while threads of it live (l) and hold its ports.
    case $(ps -o stat= -p "$1" 2> /dev/null) in Z*l*) ;; Z* | "") return 0 ;; esac
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# claim_folder DIR MARKER FRESH: makes DIR ours, emptied if FRESH is 1. A folder with content is taken (and wiped) only if an
# earlier start left its marker in it.
claim_folder() {
  local dir=$1 marker=$2 fresh=$3
  if [ -d "$dir" ] && [ ! -e "$dir/$marker" ] && [ -n "$(ls -A "$dir")" ]; then
    die "$dir is not empty and was not made by this script; name another folder with --dir"
  fi
  if [ "$fresh" = 1 ] && [ -e "$dir/$marker" ]; then
    rm -rf "${dir:?}"
  fi
  mkdir -p "$dir"
  touch "$dir/$marker"
}

# On a fresh machine each script is one command: what is missing gets installed first.
ensure_dependencies() {
  local tool
  for tool in "$@"; do
    if [ ! -e "$tool" ] && ! command -v "$tool" > /dev/null; then
      "$ROOT/scripts/setup" --deps-only >&2
      return
    fi
  done
}
