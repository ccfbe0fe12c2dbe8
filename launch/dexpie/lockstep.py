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
    guidance: float | None = None  # beta of the policy's optimality; None: as it was trained
    synchronous: bool = False
    latency_ticks: int = 3  # a chunk asked for at tick t is there at t + latency_ticks
    positions: str = "train"  # range of the object positions: train or held_out
    judged: bool = False  # attempts that get no further are given up
    limit_s: float | None = None  # simulated time of an attempt, twice that of a correction; None: the task's


@dataclass(frozen=True)
class LockstepResult:
    """One episode.

    reached: index of the furthest step of the task that was begun, their number on success (the names:
    `task_steps`). start: the scene before the first command, to 1e-5.
    """

    seed: int
    outcome: str
    reason: str
    steps: int
    duration_s: float
    reached: int
    start: dict[str, float]


def task_steps(task: str) -> tuple[str, ...]:
    """Names of the steps of a task."""
    from dexpie_sim.progress.oracle import RULES

    names: tuple[str, ...] = RULES[task].steps
    return names


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


def bag_name(task: str, planned: PlannedEpisode, policy_id: str, positions: str = "train") -> str:
    """Identity of an episode in simulated time, and folder name of its bag."""
    kind = ("correction" if planned.is_correction else "rollout") if policy_id else "demonstration"
    elsewhere = "" if positions == "train" else f"_{positions}"
    name = f"{task}_{kind}_{planned.stage}{elsewhere}_{planned.seed:06d}"
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
        from dexpie_training.acceleration import accelerate
        from dexpie_training.policy import LoadedPolicy

        policy = LoadedPolicy.load(Path(options.policy), threads=1, guidance=options.guidance)
        accelerate(policy.actor)
    _worker.update(options=options, cell=LockstepCell(config), policy=policy)


class _Watch:
    """Sees an episode's ticks: its start, and how far it came."""

    def __init__(self, task: str) -> None:
        from dexpie_sim.progress.oracle import RULES

        self._rules = RULES[task]
        self.reached, self.start = 0, dict[str, float]()

    def __call__(self, tick: Any) -> None:
        scene, state = tick.scene, tick.state
        if not self.start:
            self.start = {n: round(float(v), 5) + 0.0 for n, v in zip(scene.names, scene.values, strict=True)}
        step = self._rules.standing(scene, state.tcp_T, state.hand).step
        self.reached = len(self._rules.steps) if scene.success else max(self.reached, step)


def _run_seed(seed: int) -> LockstepResult:
    watch = _Watch(_worker["options"].task)
    r = _run(PlannedEpisode("initial", seed), watch)
    return LockstepResult(seed, r.outcome, r.reason, r.steps, r.duration_s, watch.reached, watch.start)


def _run_unit(unit: Unit) -> tuple[Unit, list[CollectedEpisode]]:
    recorded = [_record(unit.episode)]
    if unit.correct and recorded[0].outcome == "failure":
        recorded.append(_record(recorded[0].correction))
    return unit, recorded


def _record(planned: PlannedEpisode) -> CollectedEpisode:
    result = _run(planned)
    assert result.bag is not None
    name, outcome = result.bag.name, result.outcome
    return CollectedEpisode(name, planned.stage, planned.seed, outcome, planned.pair_id, result.duration_s)


def _run(planned: PlannedEpisode, watch: Callable[[Any], None] | None = None) -> Any:
    """The EpisodeResult of one episode, whose bag is whole by then; each Tick is shown to `watch`."""
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
        failed_after_s=planned.failed_after_s,
        max_steps=_max_steps(options, planned),
        correct=planned.is_correction,
        judged=options.judged and not planned.is_correction,
        episode_id=bag_name(
            options.task, planned, policy.policy_id if policy is not None else "", options.positions
        ),
    )

    def on_tick(tick: Any) -> None:
        check_cancelled()
        if watch is not None:
            watch(tick)

    return run_episode(_worker["cell"], request, on_tick)


def _max_steps(options: LockstepOptions, planned: PlannedEpisode) -> int | None:
    if options.limit_s is None:
        return None
    times = CORRECTION_TIMES if planned.is_correction else 1.0
    return max(1, round(times * options.limit_s * RATE_HZ))
