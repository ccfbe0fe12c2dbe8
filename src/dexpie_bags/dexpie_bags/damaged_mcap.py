"""MCAP files chunk by chunk: what is damaged or cut off is left out and told, the rest is given."""

from __future__ import annotations

import io
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import (
    MAXSIZE,
    ChunkInfo,
    McapReader,
    Statistics,
    decompress,
)

from dexpie_bags.buffers import Buffers
from dexpie_bags.crc import crc32
from dexpie_bags.loss import Loss, said

_MESSAGE, _CHUNK, _DATA_END = 0x05, 0x06, 0x0F
_RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of what follows
_CHUNK_HEAD = struct.Struct("<BQQQQII")  # and first and last time, uncompressed size, CRC, length of a name
_MESSAGE_HEAD = struct.Struct("<H4xQ8x")  # channel, when it was recorded
_LENGTH = struct.Struct("<Q")
_SMALL_BYTES = 4096
_Cdr = bytes | memoryview
_Message = tuple[int, int, int, _Cdr]  # when it was recorded, offset of its chunk, channel, content
_NOTHING = Statistics(0, 0, 0, 0, 0, 0, MAXSIZE, 0, {})


class DamagedMcap(McapReader):
    """An MCAP file. Chunks whose CRC or content is wrong are left out; without an index it is scanned."""

    def __init__(self, path: Path, distrust: str = "") -> None:
        """distrust: why the index is not to be used; empty: it is."""
        super().__init__(path)
        self._distrust = distrust
        self.losses: list[Loss] = []
        self._lost: set[int] = set()
        self._checked: set[int] = set()
        self._buffers = Buffers()
        self._size = 0

    def _open(self) -> None:
        self._size = Path(str(self.path)).stat().st_size
        try:
            super()._open()
            if self._distrust:
                raise ReaderError(self._distrust)
        except Exception as error:  # rosbags raises whatever its parsers come upon
            if not self.data_start:
                raise
            self._scan(said(error))

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Generator[tuple[Connection, int, Any], None, None]:
        """As rosbags', in order of time, without a copy of a message; a chunk's CRC is checked once."""
        if not self.chunks:
            yield from super().messages(connections, start, stop)
            return
        first_ns, end_ns = start or 0, MAXSIZE if stop is None else stop
        wanted = {connection.id: connection for connection in connections}
        chunks = sorted(
            (c for c in self.chunks if not c.channel_count or wanted.keys() & c.channel_count.keys()),
            key=lambda c: (c.message_start_time, c.chunk_start_offset),
        )
        waiting: list[_Message] = []
        for chunk, following in zip(chunks, [*chunks[1:], None], strict=True):
            waiting = sorted([*waiting, *self._messages_of(chunk, wanted)], key=itemgetter(0, 1))
            due = len(waiting)
            if following is not None:
                due = bisect_left(waiting, following.message_start_time, key=itemgetter(0))
            for recorded_ns, _, channel, cdr in waiting[:due]:
                if first_ns <= recorded_ns < end_ns:
                    yield wanted[channel], recorded_ns, cdr
            del waiting[:due]

    def _messages_of(self, chunk: ChunkInfo, wanted: Mapping[int, Any]) -> list[_Message]:
        """Messages of these channels; none, and a loss, where the chunk is damaged."""
        offset = chunk.chunk_start_offset
        if offset in self._lost:
            return []
        try:
            content = self._content(chunk)
            messages = [(ns, offset, channel, cdr) for channel, ns, cdr in _messages_in(content, wanted)]
        except Exception as error:  # of decompressors, and of parsers on damaged bytes
            self._lose(chunk, said(error))
            return []
        self._checked.add(offset)
        return messages

    def _content(self, chunk: ChunkInfo) -> memoryview:
        """Records of a chunk, uncompressed; raises where they are not those that were written."""
        assert self.bio
        self.bio.seek(chunk.chunk_start_offset)
        if chunk.chunk_start_offset + chunk.chunk_length > self._size:
            raise ValueError("the file ends before it")
        record = self._buffers.of(chunk.chunk_length)
        if cast(io.BufferedReader, self.bio).readinto(record) != len(record):
            raise ValueError("the file ends in it")
        opcode, length, _, _, size, crc, name_bytes = _CHUNK_HEAD.unpack_from(record)
        first = _CHUNK_HEAD.size + name_bytes
        (stored,) = _LENGTH.unpack_from(record, first)
        body = record[first + _LENGTH.size :][:stored]
        if (opcode, _RECORD_HEAD.size + length, len(body)) != (_CHUNK, chunk.chunk_length, stored):
            raise ValueError("no chunk lies where the index has one")
        compression = bytes(record[_CHUNK_HEAD.size : first]).decode()
        content = memoryview(decompress(body, compression, size, 0))  # type: ignore[arg-type]
        if crc and chunk.chunk_start_offset not in self._checked and crc32(content) != crc:
            raise ValueError("the CRC of a chunk is wrong")
        return content

    def _lose(self, chunk: ChunkInfo, why: str) -> None:
        self._lost.add(chunk.chunk_start_offset)
        name = Path(str(self.path)).name
        self.losses.append(Loss(name, chunk.message_start_time, chunk.message_end_time, why))

    def _scan(self, tear: str) -> None:
        """Find schemas, channels, chunks and counts in the data itself, up to the last whole record."""
        assert self.bio
        for found in (self.schemas, self.channels, self.chunks, self.connections):
            found.clear()
        begin, total = self.data_start, _NOTHING
        end = begin
        for opcode, offset, end in _whole_records(self.bio, begin, self._size):
            self.data_start, self.data_end = offset, end
            chunk = _chunk_info(self.bio, offset) if opcode == _CHUNK else None
            try:
                self.meta_scan()
            except Exception as error:  # as in _messages_of
                if chunk is None:
                    end = offset
                    break
                self._lose(chunk, said(error))
                continue
            assert self.statistics
            total = _sum(total, self.statistics)
            if chunk is not None:
                self.chunks.append(chunk)
        self.data_start, self.data_end = begin, end
        if not total.message_count:
            raise ReaderError(tear)
        self._describe(total)
        self.losses.append(Loss(Path(str(self.path)).name, total.end_time, None, tear))

    def _describe(self, total: Statistics) -> None:
        self.statistics = total
        counts = total.channel_message_counts
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in self.connections]
        self.metadata = self.metadata._replace(
            duration=total.end_time - total.start_time + 1,
            start_time=total.start_time,
            end_time=total.end_time + 1,
            message_count=total.message_count,
        )


def _messages_in(content: memoryview, wanted: Mapping[int, Any]) -> Iterator[tuple[int, int, _Cdr]]:
    """(channel, recording time in ns, CDR bytes) of these channels' messages among the records of a chunk.

    Small messages are copied: numbers that somebody keeps must not keep the chunk.
    """
    at, end = 0, len(content)
    while at < end:
        opcode, length = _RECORD_HEAD.unpack_from(content, at)
        first = at + _RECORD_HEAD.size
        at = first + length
        if at > end:
            raise ValueError("a record reaches beyond its chunk")
        if opcode == _MESSAGE:
            channel, recorded_ns = _MESSAGE_HEAD.unpack_from(content, first)
            if channel in wanted:
                cdr = content[first + _MESSAGE_HEAD.size : at]
                yield channel, recorded_ns, cdr if len(cdr) > _SMALL_BYTES else bytes(cdr)


def _sum(a: Statistics, b: Statistics) -> Statistics:
    """Counts and times of two parts of a file; schemas and channels are those of both together in b."""
    counts = Counter(a.channel_message_counts)
    counts.update(b.channel_message_counts)
    return b._replace(
        message_count=a.message_count + b.message_count,
        chunk_count=a.chunk_count + b.chunk_count,
        start_time=min(a.start_time, b.start_time),
        end_time=max(a.end_time, b.end_time),
        channel_message_counts=dict(counts),
    )


def _whole_records(file: BinaryIO, start: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(opcode, offset, end) of the records of the data section that lie whole within the file."""
    offset = start
    while offset + _RECORD_HEAD.size <= size:
        file.seek(offset)
        opcode, length = _RECORD_HEAD.unpack(file.read(_RECORD_HEAD.size))
        end = offset + _RECORD_HEAD.size + length
        if opcode == _DATA_END or end > size:
            return
        yield opcode, offset, end
        offset = end


def _chunk_info(file: BinaryIO, offset: int) -> ChunkInfo:
    """What an index would say of the chunk at `offset`, but for its channels and what its head says too."""
    file.seek(offset)
    head = file.read(_CHUNK_HEAD.size).ljust(_CHUNK_HEAD.size, b"\0")
    _, length, first_ns, last_ns, *_ = _CHUNK_HEAD.unpack(head)
    return ChunkInfo(first_ns, last_ns, offset, _RECORD_HEAD.size + length, {}, 0, "", 0, 0, {})
