"""Reads episode bags: decoded messages, and counts, rates, gaps and jitter of each topic."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dexpie_bags.flat import FlatReader, RepeatedReader
from dexpie_bags.loss import Loss, said
from dexpie_bags.torn import TornReader
from dexpie_bags.typestore import typestore
from dexpie_core.errors import DexpieError

EVENT_TOPIC = "/episode/event"
T = TypeVar("T")
# On damaged bytes rosbags raises whatever its parsers come upon, hence `except Exception` around its calls.


@dataclass(frozen=True)
class BagMessage:
    """One decoded message and when it was recorded, ns since the epoch."""

    topic: str
    stamp_ns: int
    message: Any


class BagReader:
    """A rosbag2 folder, made by this project or by `ros2 bag record`; a context manager.

    torn: give what there is of files that are damaged or whose end is missing, and tell in `damage` what is
    not; otherwise that is a DexpieError.
    """

    def __init__(self, path: Path, *, torn: bool = False) -> None:
        self.path = Path(path)
        try:
            self._reader = (TornReader if torn else Reader)(self.path)
            self._reader.open()
        except Exception as error:
            raise DexpieError(f"{self.path} is not a readable rosbag2 folder: {said(error)}") from error
        self._own_store: Typestore | None = None
        self._stores: dict[int, Typestore] = {}
        self._losses: list[Loss] = []
        self._undecoded: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    @property
    def topics(self) -> dict[str, str]:
        """Message type by topic."""
        return {c.topic: c.msgtype for c in self._reader.connections}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What of the files could not be read so far; in a bag that is opened as torn."""
        of_files = self._reader.losses if isinstance(self._reader, TornReader) else ()
        return (*of_files, *self._losses)

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read so far, one line each: bag, topic, time and why."""
        return (*(f"{self.path}: {loss}" for loss in self.losses), *self._undecoded)

    @property
    def start_ns(self) -> int:
        """When the first message was recorded, ns since the epoch."""
        return int(self._reader.start_time)

    @property
    def message_count(self) -> int:
        """Messages of all topics."""
        return int(self._reader.message_count)

    def raw(
        self, topics: Iterable[str] | None = None
    ) -> Iterator[tuple[Connection, int, bytes | memoryview]]:
        """(connection, recording stamp in ns, CDR bytes) in order of time."""
        wanted = None if topics is None else set(topics)
        connections = [c for c in self._reader.connections if wanted is None or c.topic in wanted]
        if not connections:
            return
        messages = self._reader.messages(connections)
        last_ns = self.start_ns
        while True:
            try:
                record = next(messages, None)
            except Exception as error:
                self._lose(Loss("its storage", last_ns, None, said(error)), error)
                return
            if record is None:
                return
            last_ns = record[1]
            yield record

    def _lose(self, loss: Loss, error: Exception) -> None:
        if not isinstance(self._reader, TornReader):
            raise DexpieError(f"{self.path}: {loss}") from error
        if loss not in self._losses:
            self._losses.append(loss)

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Decoded messages of these topics (all by default) in order of recording time."""
        for connection, stamp_ns, cdr in self.raw(topics):
            try:
                message = self.decode(connection, cdr, stamp_ns)
            except DexpieError as error:
                if not isinstance(self._reader, TornReader):
                    raise
                self._undecoded.append(str(error))
                continue
            yield BagMessage(connection.topic, stamp_ns, message)

    def decode(self, connection: Connection, cdr: bytes | memoryview, recorded_ns: int) -> Any:
        """A message of `raw` as an object; DexpieError names topic and time where its bytes are not one."""
        try:
            store = self._stores.get(connection.id)
            if store is None:
                store = self._stores[connection.id] = self._store_for(connection)
            return store.deserialize_cdr(cdr, connection.msgtype)
        except Exception as error:
            raise DexpieError(
                f"{self.path}: {connection.topic} at {recorded_ns} ns: a message is no "
                f"{connection.msgtype}: {said(error)}"
            ) from error

    def flat(self, topic: str, wanted: Sequence[str]) -> FlatReader | None:
        """Reads these fields of a topic's messages without decoding them; None where its type forbids."""
        return self._direct(topic, lambda store, typename: FlatReader(store, typename, wanted))

    def repeated(self, topic: str, field: str) -> RepeatedReader | None:
        """Reads a sequence of numbers likewise, as long as nothing before it changes."""
        return self._direct(topic, lambda store, typename: RepeatedReader(store, typename, field))

    def _direct(self, topic: str, make: Callable[[Typestore, str], T]) -> T | None:
        connections = {(c.msgtype, c.digest): c for c in self._reader.connections if c.topic == topic}
        try:
            (connection,) = connections.values()
            return make(self._store_for(connection), connection.msgtype)
        except Exception:  # of the definitions of types, which may be damaged too
            return None

    def _store_for(self, connection: Connection) -> Typestore:
        """This project's types where the bag was written with the same; else the bag's own definitions."""
        ours = typestore()
        if connection.msgtype in ours.fielddefs and connection.digest == ours.hash_rihs01(connection.msgtype):
            return ours
        if self._own_store is None:
            self._own_store = _store_of(self._reader.connections)
        return self._own_store


def _store_of(connections: Iterable[Connection]) -> Typestore:
    types: dict[str, Any] = {}
    for connection in connections:
        if connection.msgdef.format is MessageDefinitionFormat.MSG:
            types.update(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        elif connection.msgdef.format is MessageDefinitionFormat.IDL:
            types.update(get_types_from_idl(connection.msgdef.data))
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


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


def header_stamp_ns(cdr: bytes | memoryview) -> int:
    """The stamp of a CDR message whose first field is a std_msgs/Header, ns."""
    sec, nanosec = struct.unpack_from("<iI" if cdr[1] else ">iI", cdr, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def summarise(path: Path) -> BagSummary:
    """Counts, rates, largest gap and jitter by topic, and the episodes, of what can be read of a bag."""
    with BagReader(path, torn=True) as bag:
        headed = {c.topic for c in bag._reader.connections if _has_header(bag, c)}
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
        fields = bag._store_for(connection).fielddefs[connection.msgtype][1]
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
