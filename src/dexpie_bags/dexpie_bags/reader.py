"""Reads episode bags: raw and decoded messages, and what cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

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
    def connections(self) -> tuple[Connection, ...]:
        """What `raw` gives with each message: topic, type, definition, and the number of messages told."""
        return tuple(self._reader.connections)

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
        last_ns, counts = self.start_ns, dict.fromkeys((c.topic for c in connections), 0)
        while True:
            try:
                record = next(messages, None)
            except Exception as error:
                self._lose(Loss("its storage", last_ns, None, said(error)), error)
                return
            if record is None:
                self._check_counts(connections, counts)
                return
            last_ns = record[1]
            counts[record[0].topic] += 1
            yield record

    def _check_counts(self, connections: Sequence[Connection], counts: Mapping[str, int]) -> None:
        """Note topics of which fewer messages were read than metadata.yaml tells, where nothing says why."""
        if not isinstance(self._reader, TornReader) or self.losses:
            return
        told: dict[str, int] = {}
        for connection in connections:
            told[connection.topic] = told.get(connection.topic, 0) + connection.msgcount
        for topic, count in told.items():
            if counts[topic] < count:
                lost = f"{count - counts[topic]} of {count} messages are not in its files"
                self._note(f"{self.path}: {topic} at {self.start_ns} ns: {lost}")

    def _note(self, line: str) -> None:
        if line not in self._undecoded:
            self._undecoded.append(line)

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
                self._note(str(error))
                continue
            yield BagMessage(connection.topic, stamp_ns, message)

    def decode(self, connection: Connection, cdr: bytes | memoryview, recorded_ns: int) -> Any:
        """A message of `raw` as an object; DexpieError names topic and time where its bytes are not one."""
        try:
            store = self._stores.get(connection.id)
            if store is None:
                store = self._stores[connection.id] = self.store_for(connection)
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
            return make(self.store_for(connection), connection.msgtype)
        except Exception:  # of the definitions of types, which may be damaged too
            return None

    def store_for(self, connection: Connection) -> Typestore:
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


def header_stamp_ns(cdr: bytes | memoryview) -> int:
    """The stamp of a CDR message whose first field is a std_msgs/Header, ns."""
    sec, nanosec = struct.unpack_from("<iI" if cdr[1] else ">iI", cdr, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)
