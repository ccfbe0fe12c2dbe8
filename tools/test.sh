#!/usr/bin/env bash
# Runs the tests in the environment of tools/env.sh: first those that compute, on every core, then, one at a time,
# those that start processes or keep time. Arguments go to pytest. Both run, and either's failure is the result.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
none=5 # pytest's status where no test was selected
status=0 ran=0

part() { # ARGUMENTS of pytest
  python -P -m pytest "$@"
  local got=$?
  if [ "$got" = "$none" ]; then return; fi
  ran=1
  if [ "$got" != 0 ]; then status=$got; fi
}

part -m "not realtime" -n "$(nproc)" --dist worksteal "$@"
if [ "$status" != 2 ]; then part -m realtime "$@"; fi
if [ "$ran" = 0 ]; then
  echo "test: no test was selected by: $*" >&2
  exit "$none"
fi
exit "$status"
