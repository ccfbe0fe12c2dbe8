"""Episodes in simulated time, several at once in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexpie.worker_pool import check_cancelled, run_in_workers


@dataclass(frozen=True)
class LockstepOptions:
    """How every episode is run."""

    task: str = "bottle"
    policy: str = ""  # run folder; empty: the virtual operator demonstrates
    record: str = ""  # folder of bags; empty: nothing is recorded
    images: bool = False  # render and record the cameras
    synchronous: bool = False
    latency_ticks: int = 3  # a chunk asked for at tick t is there at t + latency_ticks
    stage: str = "initial"
    positions: str = "train"  # range of the object positions: train or held_out


@dataclass(frozen=True)
class LockstepResult:
    """One episode."""

    seed: int
    outcome: str
    reason: str
    steps: int
    duration_s: float
    bag: str


def run_lockstep(
    options: LockstepOptions, seeds: Sequence[int], workers: int = 0
) -> Iterator[LockstepResult]:
    """Results as the episodes end, in whatever order."""
    return run_in_workers(_run_one, seeds, _prepare, (options,), workers)


_worker: dict[str, Any] = {}  # what a worker process makes once: cell, policy, options


def _prepare(options: LockstepOptions) -> None:
    """In the worker: make the cell and load the policy."""
    from dexpie_sim.config import CellConfig
    from dexpie_sim.lockstep import LockstepCell, LockstepConfig, with_inference

    cell = CellConfig(task=options.task, positions=options.positions)
    config = with_inference(LockstepConfig(cell=cell), options.latency_ticks, options.synchronous)
    policy = None
    if options.policy:
        from dexpie_training.policy import LoadedPolicy

        policy = LoadedPolicy.load(Path(options.policy), threads=1)
    _worker.update(options=options, cell=LockstepCell(config), policy=policy)


def _run_one(seed: int) -> LockstepResult:
    from dexpie_sim.lockstep import EpisodeRequest, run_episode

    options: LockstepOptions = _worker["options"]
    policy = _worker["policy"]
    if policy is not None:
        policy.reset(seed)  # the noise of a trial depends on its seed alone
    request = EpisodeRequest(
        kind="rollout" if policy is not None else "demonstration",
        stage=options.stage,
        seed=seed,
        policy=policy,
        record_dir=Path(options.record) if options.record else None,
        cameras=options.images,
        policy_images=policy is not None and bool(policy.info.cameras),
    )
    result = run_episode(_worker["cell"], request, lambda tick: check_cancelled())
    bag = str(result.bag or "")
    return LockstepResult(seed, result.outcome, result.reason, result.steps, result.duration_s, bag)
