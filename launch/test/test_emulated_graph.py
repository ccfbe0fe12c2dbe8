"""The bottle episode through the real drivers: ur_rtde over TCP, pyserial over a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from dexpie.episodes import recorded_episodes
from dexpie.graph import config_dir
from dexpie_core import se3
from dexpie_sim.scene import TCP_OFFSET

EPISODES = 2


def test_the_driver_is_told_the_tcp_of_the_simulated_cell() -> None:
    parameters = yaml.safe_load((config_dir() / "emulated.yaml").read_text())
    *position, rx, ry, rz = parameters["ur5_driver"]["ros__parameters"]["tcp_offset"]
    T = se3.make(se3.rotation_from_rotvec([rx, ry, rz]), position)
    np.testing.assert_allclose(T, TCP_OFFSET, atol=1e-9)


def test_a_bottle_is_placed_through_the_real_drivers(tmp_path: Path, ros_domain_id: int) -> None:
    """One success is asked for: the demonstrator is not infallible, the chain of drivers has to be."""
    bags = tmp_path / "bags"
    done = subprocess.run(
        [
            sys.executable, "-P", "-m", "dexpie", "collect", "--hardware", "emulated", "--task", "bottle",
            "--episodes", str(EPISODES), "--out", str(bags),
        ],
        env={**os.environ, "ROS_DOMAIN_ID": str(ros_domain_id)}, capture_output=True, text=True, timeout=160,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    episodes = recorded_episodes(bags)
    assert len(episodes) == EPISODES
    told = [(e.seed, e.outcome, e.reason) for e in episodes]
    assert any(e.outcome == "success" for e in episodes), told
    assert not any("fault" in e.reason for e in episodes), told
