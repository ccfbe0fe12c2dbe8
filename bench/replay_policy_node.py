"""The policy node with a policy that replays a recorded motion and takes as long as it is told.

Parameter policy is a JSON file: `motion` (.npy of actions (N, 15), repeated for ever), `latency_s`
[low, high], uniform, from the observation to the answer, `spike_s` and `spike_every_s` (0: none), `seed`.
"""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_policy.policy_node import PolicyNode
from dexpie_ros.node import run

SCHEDULE = ScheduleConfig()


class ReplayPolicy:
    """Chunk c continues the motion at step c times the execution horizon, where its predecessor ends."""

    policy_id = "replay"
    info = SimpleNamespace(
        task="bottle",
        rate_hz=25.0,
        horizon=SCHEDULE.horizon,
        max_delay=SCHEDULE.max_delay,
        cameras=(),
        state_names=(),
    )

    def __init__(self, file: Path) -> None:
        self._set = json.loads(file.read_text())
        self._motion = np.load(self._set["motion"])
        self._rng = np.random.default_rng(self._set["seed"])
        self._chunks = 0
        self._last_spike_s = time.time()

    def warm_up(self, calls: int = 1) -> None:
        """Nothing has to."""

    def reset(self, seed: int) -> None:
        """From the motion's start."""
        self._chunks = 0

    def infer(self, observation: Any, prefix: np.ndarray) -> np.ndarray:
        """Targets (H, 15), late by as much as is drawn."""
        n = len(prefix)
        steps = np.arange(SCHEDULE.horizon) + self._chunks * SCHEDULE.execution_horizon - n
        targets = self._motion[steps % len(self._motion)]
        targets[:n] = prefix
        self._chunks += 1
        time.sleep(max(0.0, observation.stamp_s + self._latency_s() - time.time()))
        return targets

    def _latency_s(self) -> float:
        every_s = self._set["spike_every_s"]
        if every_s and time.time() - self._last_spike_s > every_s:
            self._last_spike_s = time.time()
            return float(self._set["spike_s"])
        return float(self._rng.uniform(*self._set["latency_s"]))


class ReplayPolicyNode(PolicyNode):
    """All of the node but its checkpoint."""

    def check(self, path: str) -> None:
        """Any file is one."""

    def load(self, path: str) -> ReplayPolicy:
        """The replay that the file describes."""
        return ReplayPolicy(Path(path))


if __name__ == "__main__":
    sys.exit(run(ReplayPolicyNode))
