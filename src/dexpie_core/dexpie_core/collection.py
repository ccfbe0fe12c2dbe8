"""The protocol of staged DAgger (paper A.2): which episode a collection needs next.

Everything is a function of the plan and of what is recorded, so a collection that was interrupted, anywhere
and however often, goes on by asking again. An attempt that fails is followed by its correction: the same
stage and seed, with the operator intervening. Attempts and corrections both count as episodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dexpie_core.episode import Outcome

CORRECTION_TIMES = 2.0
"""How much longer a correction may take than an attempt: the way to the failure, then the operator's work."""

_UNDER_WAY = "/"  # no episode's name has one


class Phase(IntEnum):
    """Where a collection stands. Values are those of dexpie_msgs/msg/CollectionStatus."""

    RESETTING = 0
    WAITING = 1
    ATTEMPT = 2
    CORRECTION = 3
    FINISHED = 4


@dataclass(frozen=True)
class CollectionPlan:
    """What is wanted: so many episodes, evenly from these stages, with seeds that count up from first_seed.

    corrections: every failed attempt is followed by a correction, as long as there is a place left for it.
    """

    stages: tuple[str, ...]
    episodes: int
    first_seed: int = 0
    corrections: bool = False

    def __post_init__(self) -> None:
        if not self.stages or len(set(self.stages)) != len(self.stages):
            raise ValueError(f"stages {self.stages}: give at least one, each once")
        if self.episodes < 1 or self.first_seed < 0:
            raise ValueError("episodes must be at least 1 and first_seed at least 0")

    @property
    def seeds(self) -> range:
        """Seeds that attempts may have; never more attempts than episodes."""
        return range(self.first_seed, self.first_seed + self.episodes)


@dataclass(frozen=True)
class CollectedEpisode:
    """A recorded episode. pair_id: the failed attempt that it corrects; empty where it is an attempt."""

    episode_id: str
    stage: str
    seed: int
    outcome: Outcome
    pair_id: str = ""
    duration_s: float = 0.0

    @property
    def correction(self) -> "PlannedEpisode":
        """The same start once more, to be corrected."""
        return PlannedEpisode(self.stage, self.seed, self.episode_id, self.duration_s)


@dataclass(frozen=True)
class PlannedEpisode:
    """An episode to be recorded: an attempt, or with pair_id the correction of that failed attempt.

    failed_after_s: how long that attempt went on; 0: not known.
    """

    stage: str
    seed: int
    pair_id: str = ""
    failed_after_s: float = 0.0

    @property
    def is_correction(self) -> bool:
        return bool(self.pair_id)


@dataclass(frozen=True)
class StageCoverage:
    """How far one stage is. attempts: episodes that are no corrections; successes: of these."""

    stage: str
    quota: int
    episodes: int
    attempts: int
    successes: int


@dataclass(frozen=True)
class Unit:
    """What one worker does in one go: an episode and, if it fails and `correct` is set, its correction."""

    episode: PlannedEpisode
    correct: bool = False


def counted(plan: CollectionPlan, episodes: Iterable[CollectedEpisode]) -> list[CollectedEpisode]:
    """The episodes that are part of the plan, each once; what was discarded is not."""
    kept = {
        e.episode_id: e
        for e in episodes
        if e.outcome != "discard" and e.stage in plan.stages and e.seed in plan.seeds
    }
    return list(kept.values())


def uncorrected(plan: CollectionPlan, episodes: Iterable[CollectedEpisode]) -> list[CollectedEpisode]:
    """Failed attempts that have no correction yet, by seed."""
    recorded = counted(plan, episodes)
    corrected = {e.pair_id for e in recorded}
    found = [
        e for e in recorded if e.outcome == "failure" and not e.pair_id and e.episode_id not in corrected
    ]
    return sorted(found, key=lambda e: e.seed)


def coverage(plan: CollectionPlan, episodes: Iterable[CollectedEpisode]) -> tuple[StageCoverage, ...]:
    """Every stage's share and what of it is recorded, in the order of the plan's stages."""
    recorded = counted(plan, episodes)
    by_stage = {stage: [e for e in recorded if e.stage == stage] for stage in plan.stages}
    quota = _quotas(plan, {stage: len(found) for stage, found in by_stage.items()})
    rows = []
    for stage, found in by_stage.items():
        attempts = [e for e in found if not e.pair_id]
        successes = sum(e.outcome == "success" for e in attempts)
        rows.append(StageCoverage(stage, quota[stage], len(found), len(attempts), successes))
    return tuple(rows)


def next_episode(
    plan: CollectionPlan, episodes: Iterable[CollectedEpisode], stage: str = ""
) -> PlannedEpisode | None:
    """What to record next, or None when the plan is fulfilled: exactly plan.episodes are recorded.

    Stage after stage, beginning with `stage` (the first unless given): the correction of a failed attempt
    before anything else, then an attempt with the smallest seed that no attempt has had. A correction that
    exceeds its stage's share takes its place from the others' shares; so only the very last episode can be a
    failed attempt that stays without correction (and those of a stage that the operator left early).
    """
    recorded = counted(plan, episodes)
    if len(recorded) >= plan.episodes:
        return None
    pending = uncorrected(plan, recorded) if plan.corrections else []
    used = {e.seed for e in recorded if not e.pair_id}
    wanting = {row.stage for row in coverage(plan, recorded) if row.episodes < row.quota}
    for name in _from(plan.stages, stage):
        for failed in pending:
            if failed.stage == name:
                return failed.correction
        if name in wanting:
            return PlannedEpisode(name, next(seed for seed in plan.seeds if seed not in used))
    raise AssertionError("the shares of the stages always add up to the episodes that are wanted")


def next_unit(
    plan: CollectionPlan, episodes: Sequence[CollectedEpisode], under_way: Sequence[Unit]
) -> Unit | None:
    """What may be begun while other units are under way; None: nothing before one of them has ended.

    Only what the plan needs however these end, so that workers side by side record the very episodes that
    one alone would, in whatever order they finish.
    """
    assumed = [*episodes, *(e for unit in under_way for e in _worst_case(unit))]
    planned = next_episode(plan, assumed)
    if planned is None or planned.pair_id.startswith(_UNDER_WAY):
        return None
    if plan.corrections and any(unit.episode.stage != planned.stage for unit in under_way):
        return None  # the share of this stage depends on how they end
    failed = _worst_case(Unit(planned))
    after = next_episode(plan, [*assumed, *failed])
    return Unit(planned, after is not None and after.pair_id == failed[0].episode_id)


def _worst_case(unit: Unit) -> list[CollectedEpisode]:
    """The most episodes that a unit can come to."""
    planned = unit.episode
    name = f"{_UNDER_WAY} {planned.stage} {planned.seed} {planned.pair_id}"
    first = CollectedEpisode(name, planned.stage, planned.seed, "failure", planned.pair_id)
    if not unit.correct:
        return [first]
    return [
        first,
        CollectedEpisode(f"correction {name}", planned.stage, planned.seed, "success", first.episode_id),
    ]


def _from(stages: tuple[str, ...], first: str) -> tuple[str, ...]:
    at = stages.index(first) if first else 0
    return stages[at:] + stages[:at]


def _quotas(plan: CollectionPlan, counts: dict[str, int]) -> dict[str, int]:
    """Even shares, the remainder to earlier stages; what has more keeps it, the others share the rest."""
    quota = dict.fromkeys(plan.stages, 0)
    settled: set[str] = set()
    while True:
        open_stages = [stage for stage in plan.stages if stage not in settled]
        left = max(0, plan.episodes - sum(quota[stage] for stage in settled))
        for index, stage in enumerate(open_stages):
            quota[stage] = left // len(open_stages) + (index < left % len(open_stages))
        over = [stage for stage in open_stages if counts[stage] > quota[stage]]
        if not over:
            return quota
        for stage in over:
            quota[stage] = counts[stage]
        settled.update(over)
