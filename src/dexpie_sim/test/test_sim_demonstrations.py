"""The virtual operator does every task from every stage: at least 95 of 100 times.

Here with fewer seeds; DEXPIE_DEMONSTRATIONS=100 for the whole figure.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from dexpie_sim.config import preset
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig, run_episode
from dexpie_sim.tasks import TASKS, make_task

COUNT = int(os.environ.get("DEXPIE_DEMONSTRATIONS", "6"))
ALL = [(task, stage) for task in TASKS for stage in make_task(task).stages]


def _demonstrate(task: str, stage: str, seeds: range) -> list[tuple[int, str]]:
    """Seed and reason of the demonstrations that failed."""
    cell = LockstepCell(LockstepConfig(cell=preset("default", task=task)))
    results = [(seed, run_episode(cell, EpisodeRequest(stage=stage, seed=seed))) for seed in seeds]
    return [(seed, r.reason) for seed, r in results if not r.success]


@pytest.mark.slow
@pytest.mark.timeout(4 * COUNT + 120)
@pytest.mark.parametrize(("task", "stage"), ALL)
def test_at_least_95_of_100_demonstrations_succeed(task: str, stage: str) -> None:
    halves = [range(0, COUNT, 2), range(1, COUNT, 2)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        failed = [f for half in pool.map(partial(_demonstrate, task, stage), halves) for f in half]
    assert len(failed) <= 0.05 * COUNT, failed
