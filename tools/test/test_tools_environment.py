"""The set-up scripts: what they rewrite, what they refuse, and that the environment is the same twice."""

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def bash(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)


def load_relocate():
    spec = importlib.util.spec_from_file_location(
        "relocate_ros_wheels", ROOT / "tools" / "relocate_ros_wheels.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_exports_point_into_this_environment(tmp_path):
    prefix = "/opt/python/cp311-cp311"
    export = tmp_path / "rclpy" / "export.cmake"
    export.parent.mkdir()
    export.write_text(
        f'set(A "{prefix}/include/python3.11;{prefix}/lib/python3.11/site-packages/numpy/_core/include")\n'
        f"set(B {prefix}/lib/libx.so)\n"
    )
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00 untouched")
    relocate = load_relocate()
    assert relocate.relocate(tmp_path) == 1
    assert export.read_text() == (
        f'set(A "{sysconfig.get_path("include")};{np.get_include()}")\nset(B {sys.prefix}/lib/libx.so)\n'
    )
    assert (tmp_path / "binary").read_bytes() == b"\xff\xfe\x00 untouched"
    assert relocate.relocate(tmp_path) == 0


def test_sourcing_the_environment_twice_changes_nothing():
    once = bash("set -eu; . tools/env.sh; env | grep -E 'PATH|ROS|DDS|MUJOCO|VIRTUAL' | sort")
    twice = bash(
        "set -eu; . tools/env.sh; . tools/env.sh; env | grep -E 'PATH|ROS|DDS|MUJOCO|VIRTUAL' | sort"
    )
    assert once.returncode == 0, once.stderr
    assert once.stdout == twice.stdout
    assert "fastdds.xml" in once.stdout


def test_the_environment_keeps_what_the_caller_set():
    result = bash("export MUJOCO_GL=egl ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET; . tools/env.sh; env")
    assert "MUJOCO_GL=egl" in result.stdout.splitlines()
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET" in result.stdout.splitlines()


def test_setup_refuses_what_it_does_not_know():
    result = bash("tools/setup.sh --fast")
    assert result.returncode == 2
    assert "--fast" in result.stderr and result.stdout == ""


def test_every_requirement_is_pinned_once():
    pins = [
        line.split("==") for line in (ROOT / "requirements/pins.txt").read_text().splitlines() if "==" in line
    ]
    names = [name.lower().replace("_", "-") for name, _ in pins]
    assert len(names) == len(set(names))
    for file in ("runtime", "dev", "build", "ros-wheels"):
        for line in (ROOT / f"requirements/{file}.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, marker = line.partition(";")
                name = name.partition("[")[0]  # extras
                assert "=" not in name and name.lower() in names, (
                    f"{file}.txt: {line} has no version in pins.txt"
                )
                assert not marker or marker.strip().startswith("python_version"), line
