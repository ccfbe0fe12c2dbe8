# Sourced (bash), never run: puts the project's Python, ROS 2 and packages on the paths. `make setup` comes first.
# Sourcing it twice changes nothing. What the caller has set of ROS_*, RMW_*, FASTDDS_* and MUJOCO_GL stays.

_dexpie_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
_dexpie_options="$(set +o)"
set +eu

_dexpie_prepend() { # NAME DIRECTORY: puts it in front, unless it is in there
  local current="${!1}"
  case ":$current:" in
    *":$2:"*) ;;
    *) export "$1=$2${current:+:$current}" ;;
  esac
}

if [ -x "$_dexpie_root/.venv/bin/python" ]; then
  export VIRTUAL_ENV="$_dexpie_root/.venv"
  _dexpie_prepend PATH "$VIRTUAL_ENV/bin"
  unset PYTHONHOME
fi

# The wheels of ROS: the virtual environment is the underlay. A sourced distribution needs none of this.
if [ -n "$VIRTUAL_ENV" ] && [ -e "$VIRTUAL_ENV/share/rclpy/package.xml" ] && [ -z "$ROS_DISTRO" ]; then
  _dexpie_prepend AMENT_PREFIX_PATH "$VIRTUAL_ENV"
  _dexpie_prepend CMAKE_PREFIX_PATH "$VIRTUAL_ENV"
  _dexpie_prepend LD_LIBRARY_PATH "$VIRTUAL_ENV/lib"
  for _dexpie_libs in "$VIRTUAL_ENV"/lib/python3*/site-packages/ros_*.libs; do
    [ -d "$_dexpie_libs" ] && _dexpie_prepend LD_LIBRARY_PATH "$_dexpie_libs"
  done
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 # LD_LIBRARY_PATH is complete: rclpy need not start Python anew
  export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
fi

if [ -f "$_dexpie_root/install/local_setup.bash" ]; then
  _dexpie_prefix="$(cd "$_dexpie_root/install" && pwd)"
  case ":$AMENT_PREFIX_PATH:" in
    *":$_dexpie_prefix/dexpie:"*) ;;
    *) . "$_dexpie_prefix/local_setup.bash" ;;
  esac
fi

export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$_dexpie_root/launch/config/fastdds.xml}"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
if [ -z "$MUJOCO_GL" ]; then
  if [ -e /dev/nvidiactl ]; then export MUJOCO_GL=egl; else export MUJOCO_GL=osmesa; fi
fi
if [ "$MUJOCO_GL" != glfw ]; then export PYOPENGL_PLATFORM="${PYOPENGL_PLATFORM:-$MUJOCO_GL}"; fi
# Threads of torch sleep while they wait for one another. Spinning, the default, stalls them for seconds a step as
# soon as anything else wants one of the cores.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-1}"

eval "$_dexpie_options"
unset -f _dexpie_prepend
unset _dexpie_root _dexpie_options _dexpie_libs _dexpie_prefix
