"""Episodes in simulated time, several at once in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexpie.worker_pool import check_cancelled, run_as_taken, run_in_workers
from dexpie_core.action_space import RATE_HZ
from dexpie_core.collection import CORRECTION_TIMES, CollectedEpisode, PlannedEpisode, Unit


@dataclass(frozen=True)
class LockstepOptions:
    """How every episode is run."""

    task: str = "bottle"
    policy: str = ""  # run folder; empty: the virtual operator demonstrates
    record: str = ""  # folder of bags; empty: nothing is recorded
    images: bool = False  # render and record the cameras
    synchronous: bool = False
    latency_ticks: int = 3  # a chunk asked for at tick t is there at t + latency_ticks
    positions: str = "train"  # range of the object positions: train or held_out
    limit_s: float | None = None  # simulated time of an attempt, twice that of a correction; None: the task's


@dataclass(frozen=True)
class LockstepResult:
    """One episode."""

    seed: int
    outcome: str
    reason: str
    steps: int
    duration_s: float


def run_lockstep(
    options: LockstepOptions, seeds: Sequence[int], workers: int = 0
) -> Iterator[LockstepResult]:
    """Results of episodes from the initial stage as they end, in whatever order."""
    return run_in_workers(_run_seed, seeds, _prepare, (options,), workers)


def run_units(
    options: LockstepOptions, take: Callable[[], Unit | None], workers: int = 0
) -> Iterator[tuple[Unit, list[CollectedEpisode]]]:
    """Units of a collection and what was recorded of each, as they end; `take` as in run_as_taken."""
    return run_as_taken(_run_unit, take, _prepare, (options,), workers)


def bag_name(task: str, planned: PlannedEpisode, policy_id: str) -> str:
    """Identity of an episode in simulated time, and folder name of its bag."""
    kind = ("correction" if planned.is_correction else "rollout") if policy_id else "demonstration"
    name = f"{task}_{kind}_{planned.stage}_{planned.seed:06d}"
    return f"{name}_{policy_id}" if policy_id else name


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


def _run_seed(seed: int) -> LockstepResult:
    result = _run(PlannedEpisode("initial", seed))
    return LockstepResult(seed, result.outcome, result.reason, result.steps, result.duration_s)


def _run_unit(unit: Unit) -> tuple[Unit, list[CollectedEpisode]]:
    recorded = [_record(unit.episode)]
    if unit.correct and recorded[0].outcome == "failure":
        failed = recorded[0]
        recorded.append(_record(PlannedEpisode(failed.stage, failed.seed, failed.episode_id)))
    return unit, recorded


def _record(planned: PlannedEpisode) -> CollectedEpisode:
    result = _run(planned)
    assert result.bag is not None
    return CollectedEpisode(result.bag.name, planned.stage, planned.seed, result.outcome, planned.pair_id)


def _run(planned: PlannedEpisode) -> Any:
    """The EpisodeResult of one episode; its bag is whole when this returns."""
    from dexpie_sim.lockstep import EpisodeRequest, run_episode

    options: LockstepOptions = _worker["options"]
    policy = _worker["policy"]
    if policy is not None:
        policy.reset(planned.seed)  # the noise of a trial depends on its seed alone
    request = EpisodeRequest(
        kind="rollout" if policy is not None else "demonstration",
        stage=planned.stage,
        seed=planned.seed,
        policy=policy,
        record_dir=Path(options.record) if options.record else None,
        cameras=options.images,
        policy_images=policy is not None and bool(policy.info.cameras),
        pair_id=planned.pair_id,
        max_steps=_max_steps(options, planned),
        correct=planned.is_correction,
        episode_id=bag_name(options.task, planned, policy.policy_id if policy is not None else ""),
    )
    return run_episode(_worker["cell"], request, lambda tick: check_cancelled())


def _max_steps(options: LockstepOptions, planned: PlannedEpisode) -> int | None:
    if options.limit_s is None:
        return None
    times = CORRECTION_TIMES if planned.is_correction else 1.0
    return max(1, round(times * options.limit_s * RATE_HZ))
