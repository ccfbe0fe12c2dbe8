"""The episodes that bags hold, as their events, modes and executed actions tell them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dexpie_core.executor import Source
from dexpie_core.messages import EVENT_START, mode_of
from dexpie_core.modes import Mode
from dexpie_core.topics import EPISODE_EVENT, EXECUTED_ACTION, MODE

if TYPE_CHECKING:
    from dexpie_bags.reader import BagReader


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode of a bag. outcome is empty where its end is missing; gaps: what the recording lacks.

    positions: train or held_out; empty where a person placed the objects.

    interventions: how often the operator took over. steps and human_steps are ticks of the executor, those
    of the operator among them; 0 where they were not asked for.
    """

    bag: Path
    episode_id: str
    task: str
    kind: str
    stage: str
    seed: int
    policy_id: str
    operator: str
    pair_id: str
    positions: str
    outcome: str
    reason: str
    duration_s: float
    gaps: tuple[str, ...] = ()
    interventions: int = 0
    steps: int = 0
    human_steps: int = 0

    @property
    def what(self) -> str:
        """demonstration; for a rollout: attempt, or correction of a failed attempt."""
        if self.kind != "rollout":
            return self.kind
        return "correction" if self.pair_id else "attempt"


@dataclass
class _Reading:
    """An episode while its bag is read."""

    event: Any  # the last one: the end repeats what the start says
    start_ns: int
    end_ns: int = 0
    interventions: int = 0
    steps: int = 0
    human_steps: int = 0

    @property
    def running(self) -> bool:
        return self.end_ns == 0


@dataclass(frozen=True)
class RecordedBag:
    """What can be read of a bag; damage: what cannot, one line each."""

    episodes: tuple[RecordedEpisode, ...]
    damage: tuple[str, ...]


def episodes_of(bag: Path, steps: bool = False) -> list[RecordedEpisode]:
    """The episodes of a bag, in order; DexpieError where it is not whole.

    steps: count the executed actions too, which means reading all of the bag.
    """
    from dexpie_bags.reader import BagReader

    with BagReader(bag) as reader:
        return [_episode(bag, reading) for reading in _readings(reader, steps)]


def read_bag(bag: Path) -> RecordedBag:
    """The episodes, steps counted, of a bag that may be damaged; DexpieError where nothing can be read."""
    from dexpie_bags.reader import BagReader

    with BagReader(bag, torn=True) as reader:
        episodes = tuple(_episode(bag, reading) for reading in _readings(reader, steps=True))
        return RecordedBag(episodes, reader.damage)


def _readings(reader: BagReader, steps: bool) -> list[_Reading]:
    found: list[_Reading] = []
    human = False
    wanted = [EPISODE_EVENT.name, MODE.name, *([EXECUTED_ACTION.name] if steps else [])]
    for record in reader.messages([topic for topic in wanted if topic in reader.topics]):
        message, now = record.message, found[-1] if found and found[-1].running else None
        if record.topic == EPISODE_EVENT.name:
            if message.event == EVENT_START:
                found.append(_Reading(message, record.stamp_ns))
            elif now is not None:
                now.event, now.end_ns = message, record.stamp_ns
        elif record.topic == MODE.name:
            was_human, human = human, mode_of(message) is Mode.HUMAN
            if now is not None:
                now.interventions += human and not was_human
        elif now is not None:
            now.steps += 1
            now.human_steps += int(message.source) == Source.HUMAN
    return found


def _episode(bag: Path, reading: _Reading) -> RecordedEpisode:
    e = reading.event
    return RecordedEpisode(
        bag, e.episode_id, e.task, e.kind, e.stage, int(e.seed), e.policy_id, e.operator_name, e.pair_id,
        getattr(e, "positions", "train"),  # bags written before there was a choice lack the field
        e.outcome, e.reason, max(0, reading.end_ns - reading.start_ns) * 1e-9,
        tuple(getattr(e, "gaps", ())),  # the same
        reading.interventions, reading.steps, reading.human_steps,
    )  # fmt: skip


def bags_in(folder: Path) -> list[Path]:
    """The bags that lie in a folder (which need not exist), by name."""
    return sorted(path.parent for path in folder.glob("*/metadata.yaml"))


def recorded_episodes(folder: Path) -> list[RecordedEpisode]:
    """The episodes of the bags that lie in a folder (which need not exist)."""
    return [episode for bag in bags_in(folder) for episode in episodes_of(bag)]
