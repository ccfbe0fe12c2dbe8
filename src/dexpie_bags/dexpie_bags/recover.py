"""Makes whole bags of what a killed recorder left behind."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys.store import Typestore

from dexpie_bags.durable import lock_folder
from dexpie_bags.reader import EVENT_TOPIC
from dexpie_bags.typestore import deserialize, make, serialize, typestore
from dexpie_bags.writer import PARTIAL_SUFFIX, EpisodeBagWriter, WriteError
from dexpie_core.errors import DexpieError

RECOVERING_SUFFIX = ".recovering"
EVENT_TYPE = "dexpie_msgs/msg/EpisodeEvent"
END = 1
REASON = "recorder was killed"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovered:
    """One partial recording: the whole bag that it became, or None where it held nothing and was removed."""

    partial: Path
    bag: Path | None
    messages: int


@dataclass(frozen=True)
class _EventTopic:
    """What the writer needs to know of /episode/event."""

    name: str = EVENT_TOPIC
    type: str = EVENT_TYPE
    qos: str = "latched"


@dataclass
class _Content:
    """What could be read of an unfinished MCAP file."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)


def recover_partials(folder: Path) -> list[Recovered]:
    """Turn every '.<name>.partial' in `folder` that no living process writes into a whole bag '<name>'.

    The rebuilt bag ends with an EpisodeEvent END, outcome 'discard', unless its end had been recorded. Where
    the name is taken meanwhile it gets a number. A partial that finds no room is left for the next time.
    """
    results = []
    for leftover in sorted(Path(folder).glob(f".*{RECOVERING_SUFFIX}")):
        shutil.rmtree(leftover, ignore_errors=True)
    for partial in sorted(Path(folder).glob(f".*{PARTIAL_SUFFIX}")):
        if not partial.is_dir():
            continue
        lock = lock_folder(partial)
        if lock is None:  # a recorder is at work on it
            continue
        try:
            results.append(_recover(partial))
        except WriteError as error:
            log.warning("%s: not recovered, kept for the next start: %s", partial, error)
        finally:
            os.close(lock)
    return results


def _recover(partial: Path) -> Recovered:
    content = _read(partial)
    if not content.messages:
        shutil.rmtree(partial)
        return Recovered(partial, None, 0)
    final = _free_name(partial.parent / partial.name[1 : -len(PARTIAL_SUFFIX)])
    with EpisodeBagWriter(final, min_free_bytes=0, suffix=RECOVERING_SUFFIX) as writer:
        for channel in content.channels.values():
            schema = content.schemas[channel.schema_id]
            text = schema.data.decode()
            qos = parse_qos(channel.metadata.get("offered_qos_profiles", ""))
            writer.add_raw_topic(channel.topic, schema.name, text, _digest(schema.name), qos)
        for message in content.messages:
            writer.write(content.channels[message.channel_id].topic, message.log_time, message.data)
        _write_end(writer, content)
        bag = writer.finish()
    shutil.rmtree(partial)
    log.warning("%s: the recorder was killed; %d messages recovered", bag, len(content.messages))
    return Recovered(partial, bag, len(content.messages))


def _free_name(wanted: Path) -> Path:
    names = itertools.chain([wanted], (wanted.with_name(f"{wanted.name}-{n}") for n in itertools.count(2)))
    return next(name for name in names if not name.exists())


def _digest(typename: str) -> str:
    """The type hash for metadata.yaml (MCAP itself does not hold it); zero where the type is unknown here."""
    store: Typestore = typestore()
    return store.hash_rihs01(typename) if typename in store.fielddefs else "RIHS01_" + "0" * 64


def _read(partial: Path) -> _Content:
    content = _Content()
    for path in sorted(partial.rglob("*.mcap")):
        with path.open("rb") as stream:
            for record in _records(stream):
                if isinstance(record, Schema):
                    content.schemas[record.id] = record
                elif isinstance(record, Channel):
                    content.channels[record.id] = record
                elif isinstance(record, Message):
                    content.messages.append(record)
    return content


def _records(stream: Any) -> Iterator[Any]:
    """The records up to the end of the file or to the first torn one."""
    try:
        yield from StreamReader(stream).records
    except (
        McapError,
        CRCValidationError,
        EOFError,
        struct.error,
        zlib.error,
        ValueError,
        UnicodeDecodeError,
    ):
        return


def _write_end(writer: EpisodeBagWriter, content: _Content) -> None:
    """Append the END that the killed recorder could not, from the data of its START."""
    events = [m for m in content.messages if content.channels[m.channel_id].topic == EVENT_TOPIC]
    try:
        last: Any = deserialize(events[-1].data, EVENT_TYPE) if events else make(EVENT_TYPE)
    except Exception as error:  # rosbags raises what its generated decoders raise
        raise DexpieError(
            f"{writer.final_dir}: {EVENT_TOPIC} does not decode as {EVENT_TYPE}: {error}"
        ) from error
    if events and last.event == END:
        return
    stamp_ns = max(message.log_time for message in content.messages)
    last.header.stamp.sec, last.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    last.event, last.outcome, last.reason = END, "discard", REASON
    if EVENT_TOPIC not in writer.topics:
        writer.add_topic(_EventTopic())
    writer.write(EVENT_TOPIC, stamp_ns, serialize(last))
