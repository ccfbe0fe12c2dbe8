"""The steps of the simulated tasks under a value curve, told from the state in the dataset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dexpie.commands.plot_values import steps_of_task
from dexpie_core import se3
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, Tick, run_episode


def test_steps_of_a_demonstration() -> None:
    ticks: list[Tick] = []
    result = run_episode(LockstepCell(), EpisodeRequest(), ticks.append)
    dataset: Any = SimpleNamespace(
        meta={"state_names": list(ticks[0].scene.names)},
        state=np.array([tick.scene.values for tick in ticks], dtype=np.float32),
        tcp_pose=se3.pose9_from_matrix(np.array([tick.state.tcp_T for tick in ticks])),
        hand_q=np.array([tick.state.hand for tick in ticks]),
        episodes=[{"task": "bottle"}],
        episode_rows=lambda index: slice(0, len(ticks)),
    )
    steps = steps_of_task(dataset, 0)
    assert result.success and len(steps) == len(ticks)
    assert list(dict.fromkeys(steps)) == ["reach", "carry", "lower", "leave"]
    dataset.meta = {"state_names": ["ball.x"]}
    assert steps_of_task(dataset, 0) == ()
    dataset.meta, dataset.state = {"state_names": []}, None
    assert steps_of_task(dataset, 0) == ()
