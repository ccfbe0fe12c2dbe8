"""Counts, rates, gaps and jitter of each topic of a bag, and its episodes."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.interfaces import Connection

from dexpie_bags.reader import EVENT_TOPIC, BagReader, header_stamp_ns


@dataclass(frozen=True)
class TopicSummary:
    """How one topic was recorded. Times come from header stamps where there are any, else the log."""

    name: str
    type: str
    count: int
    clock: str  # 'header' or 'log'
    rate_hz: float  # 0 with fewer than two messages
    period_p50_s: float
    jitter_p99_s: float  # 99th percentile of |interval - median interval|
    max_gap_s: float


@dataclass(frozen=True)
class EpisodeSummary:
    """One episode as its start and end events tell it; `outcome` is empty where the end is missing."""

    episode_id: str
    task: str
    stage: str
    kind: str
    policy_id: str
    operator: str
    seed: int
    pair_id: str
    outcome: str
    reason: str
    duration_s: float


@dataclass(frozen=True)
class BagSummary:
    """What `dexpie inspect BAG` shows."""

    path: Path
    start_ns: int
    duration_s: float
    size_bytes: int
    message_count: int
    topics: tuple[TopicSummary, ...]
    episodes: tuple[EpisodeSummary, ...]
    damage: tuple[str, ...] = ()
    """what could not be read, one line each"""


def summarise(path: Path) -> BagSummary:
    """Counts, rates, largest gap and jitter by topic, and the episodes, of what can be read of a bag."""
    with BagReader(path, torn=True) as bag:
        headed = {c.topic for c in bag.connections if _has_header(bag, c)}
        stamps: dict[str, list[int]] = {topic: [] for topic in bag.topics}
        recorded: list[int] = []
        for connection, stamp_ns, cdr in bag.raw():
            with contextlib.suppress(IndexError, struct.error):  # too short for a header
                stamp = header_stamp_ns(cdr) if connection.topic in headed else stamp_ns
                stamps[connection.topic].append(stamp)
            recorded.append(stamp_ns)
        topics = tuple(
            _topic_summary(name, bag.topics[name], "header" if name in headed else "log", stamps[name])
            for name in sorted(stamps)
        )
        episodes = _episodes(bag) if EVENT_TOPIC in bag.topics else ()
        size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
        first_ns = min(recorded, default=bag.start_ns)
        duration_s = (max(recorded, default=first_ns) - first_ns) * 1e-9
        return BagSummary(Path(path), first_ns, duration_s, size, len(recorded), topics, episodes, bag.damage)


def _has_header(bag: BagReader, connection: Connection) -> bool:
    try:
        fields = bag.store_for(connection).fielddefs[connection.msgtype][1]
    except Exception:
        return False
    return bool(fields) and fields[0][1][1] == "std_msgs/msg/Header"


def _topic_summary(name: str, typename: str, clock: str, stamps_ns: list[int]) -> TopicSummary:
    if len(stamps_ns) < 2:
        return TopicSummary(name, typename, len(stamps_ns), clock, 0.0, 0.0, 0.0, 0.0)
    periods = np.diff(np.sort(np.asarray(stamps_ns, np.int64))).astype(np.float64) * 1e-9
    median = float(np.median(periods))
    span = float(periods.sum())
    return TopicSummary(
        name,
        typename,
        len(stamps_ns),
        clock,
        len(periods) / span if span > 0 else 0.0,
        median,
        float(np.percentile(np.abs(periods - median), 99)),
        float(periods.max()),
    )


def _episodes(bag: BagReader) -> tuple[EpisodeSummary, ...]:
    found: dict[str, EpisodeSummary] = {}
    starts_ns: dict[str, int] = {}
    for record in bag.messages([EVENT_TOPIC]):
        event = record.message
        starts_ns.setdefault(event.episode_id, record.stamp_ns)
        found[event.episode_id] = EpisodeSummary(
            event.episode_id, event.task, event.stage, event.kind, event.policy_id, event.operator_name,
            int(event.seed), event.pair_id, event.outcome, event.reason,
            (record.stamp_ns - starts_ns[event.episode_id]) * 1e-9,
        )  # fmt: skip
    return tuple(found.values())
