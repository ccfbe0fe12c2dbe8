"""What a session is asked to record and what it reports; plain files, no ROS."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dexpie_training.serial import write_json


@dataclass(frozen=True)
class SessionOptions:
    """What the session records; passed to its process as JSON."""

    task: str
    kind: str  # demonstration or rollout
    seeds: tuple[int, ...]
    results: str  # JSON file that is written after every episode
    stage: str = "initial"
    policy_id: str = ""
    operator: str = "virtual"
    limit_s: float = 20.0


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode as the session saw it."""

    seed: int
    kind: str
    outcome: str
    reason: str
    duration_s: float
    bag: str


def write_results(records: list[EpisodeRecord], path: Path) -> None:
    """Write what was recorded so far, whole or not at all."""
    write_json(path, [asdict(record) for record in records])


def read_results(path: Path) -> list[EpisodeRecord]:
    """What a session wrote; nothing when it wrote nothing."""
    return [EpisodeRecord(**entry) for entry in json.loads(path.read_text())] if path.exists() else []
