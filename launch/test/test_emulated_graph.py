"""The bottle episode through the real drivers: ur_rtde over TCP, pyserial over a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from dexpie.episodes import recorded_episodes
from dexpie.graph import config_dir
from dexpie_core import se3
from dexpie_sim.scene import TCP_OFFSET

ATTEMPTS = 3


def test_the_driver_is_told_the_tcp_of_the_simulated_cell() -> None:
    parameters = yaml.safe_load((config_dir() / "emulated.yaml").read_text())
    *position, rx, ry, rz = parameters["ur5_driver"]["ros__parameters"]["tcp_offset"]
    T = se3.make(se3.rotation_from_rotvec([rx, ry, rz]), position)
    np.testing.assert_allclose(T, TCP_OFFSET, atol=1e-9)


@pytest.mark.realtime
@pytest.mark.timeout(400)
def test_a_bottle_is_placed_through_the_real_drivers(tmp_path: Path) -> None:
    """One success is asked for: the demonstrator is not infallible, the chain of drivers has to be."""
    bags = tmp_path / "bags"
    told: list[tuple[int, str, str]] = []
    for count in range(1, ATTEMPTS + 1):
        collect(bags, count)
        told = [(e.seed, e.outcome, e.reason) for e in recorded_episodes(bags)]
        assert len(told) == count
        assert not any("fault" in reason for _, _, reason in told), told
        if any(outcome == "success" for _, outcome, _ in told):
            return
    pytest.fail(f"no success: {told}")


def collect(bags: Path, count: int) -> None:
    """Record until there are so many episodes."""
    command = f"collect --hardware emulated --task bottle --episodes {count} --out".split()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "dexpie", *command, bags], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
