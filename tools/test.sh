#!/usr/bin/env bash
# Runs the tests in the environment of tools/env.sh, in three parts: those that compute, on every core; those that wait
# for processes, several at a time; those that keep time, alone. Arguments go to pytest. All parts run, and a failure
# of any is the result.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
none=5 # pytest's status where no test was selected
status=0 ran=0

part() { # ARGUMENTS of pytest
  python -P -m pytest -p no:zarr "$@" # zarr's own plugin takes seconds to import
  local got=$?
  if [ "$got" = "$none" ]; then return; fi
  ran=1
  if [ "$got" != 0 ]; then status=$got; fi
}

stopped=2 # pytest's status after Ctrl-C
part -m "not processes and not realtime" -n "$(nproc)" --dist worksteal "$@"
[ "$status" = "$stopped" ] || part -m "processes and not realtime" -n $(($(nproc) + 1)) --dist worksteal "$@"
[ "$status" = "$stopped" ] || part -m realtime "$@"
if [ "$ran" = 0 ]; then
  echo "test: no test was selected by: $*" >&2
  exit "$none"
fi
exit "$status"
