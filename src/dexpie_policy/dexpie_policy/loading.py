"""From a folder to a policy that is warm, fits the cell, and whose speed is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from dexpie_core.errors import UsageError
from dexpie_core.latency import Latency, LatencyTracker
from dexpie_policy.fit import Cell, misfit

UNTIMED_RUNS = 3  # the first ones allocate, and compile where that was asked for
TIMED_RUNS = 20
TIMED_S = 3.0


def check_checkpoint(path: str) -> None:
    """Refuse what is no checkpoint before torch is imported."""
    from dexpie_training.checkpoint import find_checkpoint

    find_checkpoint(Path(path))


def load_policy(path: str, cell: Cell, device: str, threads: int, fast: bool) -> Any:
    """The policy of a run or checkpoint folder; UsageError with the reason where it does not fit the cell.

    threads: of the whole process, 0: what suits the network. fast: as fast as the device allows
    (dexpie_training.acceleration).
    """
    import torch

    from dexpie_training.acceleration import accelerate, suitable_threads
    from dexpie_training.policy import LoadedPolicy

    policy = LoadedPolicy.load(path, device, threads or None)
    reason = misfit(policy.info, cell)
    if reason:
        raise UsageError(f"{path}: {reason}")
    if not threads:
        torch.set_num_threads(suitable_threads(policy.actor.unet))
    if fast:
        accelerate(policy.actor)
    return policy


def warm_up(policy: Any) -> Latency:
    """Run it on zeros until it is as fast as it gets; how long it then takes."""
    policy.warm_up(UNTIMED_RUNS)
    tracker, begun = LatencyTracker(), time.monotonic()
    for _ in range(TIMED_RUNS):
        started = time.monotonic()
        policy.warm_up(1)
        tracker.add(time.monotonic() - started)
        if time.monotonic() - begun > TIMED_S:
            break
    latency = tracker.latency()
    assert latency is not None
    return latency
