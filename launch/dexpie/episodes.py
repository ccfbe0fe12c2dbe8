"""The episodes of a folder of bags, and the table of what was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dexpie.table import table
from dexpie_core.errors import UsageError
from dexpie_core.topics import EPISODE_EVENT


@dataclass(frozen=True)
class RecordedEpisode:
    """What the start and end events of a bag say."""

    bag: Path
    kind: str
    stage: str
    seed: int
    policy_id: str
    outcome: str  # empty: the end is missing
    reason: str
    duration_s: float


def read_episode(bag: Path) -> RecordedEpisode | None:
    """The last episode of a bag; None where the bag holds none."""
    from dexpie_bags.reader import BagReader
    from dexpie_core.messages import EVENT_START

    start_ns, found = 0, None
    with BagReader(bag) as reader:
        if EPISODE_EVENT.name not in reader.topics:
            return None
        for record in reader.messages([EPISODE_EVENT.name]):
            event = record.message
            if event.event == EVENT_START:
                start_ns = record.stamp_ns
            found = RecordedEpisode(
                bag, event.kind, event.stage, int(event.seed), event.policy_id, event.outcome, event.reason,
                (record.stamp_ns - start_ns) * 1e-9,
            )  # fmt: skip
    return found


def recorded_episodes(folder: Path) -> list[RecordedEpisode]:
    """The episodes of the bags that lie in a folder (which need not exist)."""
    bags = sorted(path.parent for path in folder.glob("*/metadata.yaml"))
    return [episode for bag in bags if (episode := read_episode(bag)) is not None]


def seeds_to_do(folder: Path, kind: str, stage: str, policy_id: str, seeds: Iterable[int]) -> list[int]:
    """The seeds of which the folder does not hold such an episode yet; refuses a folder of something else."""
    entries = list(folder.iterdir()) if folder.exists() else []
    foreign = [e.name for e in entries if not e.name.startswith(".") and not (e / "metadata.yaml").is_file()]
    if foreign:
        raise UsageError(
            f"--out {folder}: holds something else than bags ({foreign[0]}); give another folder"
        )
    done = {
        episode.seed
        for episode in recorded_episodes(folder)
        if (episode.kind, episode.stage, episode.policy_id) == (kind, stage, policy_id)
        and episode.outcome in ("success", "failure")
    }
    return [seed for seed in seeds if seed not in done]


Row = tuple[int, str, str, float]  # seed, outcome, reason, seconds


def outcome_table(episodes: Iterable[Row]) -> str:
    """One line an episode."""
    rows = [(seed, outcome, f"{seconds:.1f}", reason or "-") for seed, outcome, reason, seconds in episodes]
    return table(["seed", "outcome", "seconds", "reason"], rows)


def outcome_counts(episodes: Iterable[Row]) -> str:
    """How many episodes came to which outcome."""
    counts = Counter(outcome for _, outcome, _, _ in episodes)
    return f"{sum(counts.values())} episodes: " + ", ".join(
        f"{n} {what}" for what, n in sorted(counts.items())
    )
