"""`dexpie plot values`: the critic's value over time, with the steps of the simulated tasks."""

from __future__ import annotations

import numpy as np

from dexpie_training.dataset import Dataset
from dexpie_training.plots import values
from dexpie_training.plots.values import PlotValuesOptions

__all__ = ["PlotValuesOptions", "run_plot_values", "steps_of_task"]


def run_plot_values(options: PlotValuesOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {values.run_plot_values(options, steps_of_task)}")


def steps_of_task(dataset: Dataset, index: int) -> tuple[str, ...]:
    """Step of the task at every row of an episode, from the simulated state; empty where there is none."""
    names = tuple(dataset.meta["state_names"])
    if dataset.state is None:
        return ()
    from dexpie_core import se3
    from dexpie_sim.progress.oracle import RULES
    from dexpie_sim.tasks import make_task
    from dexpie_sim.tasks.base import SceneReading

    task = str(dataset.episodes[index]["task"])
    if task not in RULES or make_task(task).names != names:
        return ()
    rules, rows = RULES[task], dataset.episode_rows(index)
    scenes = np.asarray(dataset.state[rows], dtype=np.float64)
    poses = se3.matrix_from_pose9(dataset.tcp_pose[rows])
    return tuple(
        rules.steps[rules.standing(SceneReading(names, scene, False, False, "", ""), T, hand).step]
        for scene, T, hand in zip(scenes, poses, dataset.hand_q[rows], strict=True)
    )
