"""What the screen shows of each message, as plain values; attributes are read, so any message class does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dexpie_core.collection import Phase
from dexpie_core.messages import mode_of
from dexpie_core.modes import Mode

LEVELS: Final = ("OK", "WARN", "ERROR", "STALE")


@dataclass(frozen=True)
class ModeView:
    """The newest /executor/mode."""

    mode: Mode
    reason: str


@dataclass(frozen=True)
class Bar:
    """One error of the alignment against its bound, both in `unit`; the sign tells the direction."""

    name: str
    error: float
    bound: float
    unit: str

    @property
    def inside(self) -> bool:
        """Whether a takeover is allowed as far as this error goes."""
        return abs(self.error) <= self.bound


@dataclass(frozen=True)
class StageRow:
    """How far one stage of a collection is, in episodes; attempts are those of the policy alone."""

    stage: str
    quota: int
    episodes: int
    attempts: int
    successes: int


@dataclass(frozen=True)
class CollectionView:
    """The newest /collection/status."""

    phase: Phase
    prompt: str
    task: str
    stage: str
    seed: int
    pair_id: str
    episodes: int
    wanted: int
    rows: tuple[StageRow, ...]


@dataclass(frozen=True)
class EpisodeView:
    """The running episode."""

    episode_id: str
    stage: str
    kind: str
    seed: int
    pair_id: str


@dataclass(frozen=True)
class NodeView:
    """What a node said of itself on /diagnostics, and when that came."""

    level: int
    message: str
    values: Mapping[str, str]
    heard_s: float


def mode_view(message: Any) -> ModeView:
    """Of a dexpie_msgs/Mode."""
    return ModeView(mode_of(message), message.reason)


def arm_problem(message: Any) -> str:
    """Why the arm of a dexpie_msgs/ArmStatus does not move; empty where it does."""
    if message.emergency_stop:
        return "emergency stop"
    if message.protective_stop:
        return "protective stop"
    return "" if message.ready else message.detail or "not ready"


def episode_view(message: Any) -> EpisodeView:
    """Of a dexpie_msgs/EpisodeEvent."""
    return EpisodeView(message.episode_id, message.stage, message.kind, int(message.seed), message.pair_id)


def collection_view(message: Any) -> CollectionView:
    """Of a dexpie_msgs/CollectionStatus; a count that is missing is 0."""
    columns = (
        message.stage_quota,
        message.stage_episodes,
        message.stage_attempts,
        message.stage_successes,
    )
    rows = tuple(
        StageRow(stage, *(int(column[i]) if i < len(column) else 0 for column in columns))
        for i, stage in enumerate(message.stages)
    )
    return CollectionView(
        phase=Phase(int(message.phase)),
        prompt=message.prompt,
        task=message.task,
        stage=message.stage,
        seed=int(message.seed),
        pair_id=message.pair_id,
        episodes=int(message.episodes),
        wanted=int(message.wanted),
        rows=rows,
    )


def node_views(message: Any, now_s: float) -> dict[str, NodeView]:
    """By name, of a diagnostic_msgs/DiagnosticArray."""
    return {
        status.name: NodeView(
            # rclpy gives a byte field as `bytes` of length 1
            status.level[0] if isinstance(status.level, bytes) else int(status.level),
            status.message,
            {pair.key: pair.value for pair in status.values},
            now_s,
        )
        for status in message.status
    }
