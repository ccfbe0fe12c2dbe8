"""rosbags' readers, made to open files whose end is missing: they give what lies whole before the tear."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import apsw
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_mcap import ChunkInfo, McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

_CHUNK, _DATA_END = 0x06, 0x0F
_RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of what follows
_CHUNK_HEAD = struct.Struct("<QQQII")  # first and last time, uncompressed size, CRC, length of a name
_READABLE = (
    "CREATE TEMP VIEW messages AS SELECT id, topic_id, timestamp, data FROM main.messages NOT INDEXED "
    "WHERE id < {}"  # the last one bounds the scan, which must not touch the page behind it
)


class TornMcap(McapReader):
    """An MCAP file without its footer or index, up to its last whole record."""

    tear = ""
    """What is wrong with the file; empty where it is whole."""

    def _open(self) -> None:
        try:
            super()._open()
        except ReaderError as error:
            if not self.data_start:
                raise
            self.tear = str(error)
            self._index()

    def _index(self) -> None:
        assert self.bio
        for found in (self.schemas, self.channels, self.chunks, self.connections):
            found.clear()
        self.data_end = self.data_start
        chunks = []
        for opcode, offset, end in _whole_records(
            self.bio, self.data_start, Path(str(self.path)).stat().st_size
        ):
            self.data_end = end
            if opcode == _CHUNK:
                chunks.append(offset)
        self.meta_scan()
        assert self.statistics
        if not self.statistics.message_count:
            raise ReaderError(self.tear)
        self.chunks.extend(_chunk_info(self.bio, offset, self.channels) for offset in chunks)
        counts, last_ns = self.statistics.channel_message_counts, self.statistics.end_time
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in self.connections]
        first_ns = self.statistics.start_time
        self.metadata = self.metadata._replace(
            duration=last_ns - first_ns + 1,
            start_time=first_ns,
            end_time=last_ns + 1,
            message_count=self.statistics.message_count,
        )


class TornSqlite(Sqlite3Reader):
    """A sqlite3 file that was cut short, up to the last but one message that is there."""

    tear = ""
    """What is wrong with the file; empty where it is whole."""

    def _open(self) -> None:
        try:
            super()._open()
        except apsw.Error as error:
            self.tear = str(error)
            assert self.dbconn
            _allow_short(self.dbconn)
            view = _READABLE.format(_last_readable(self.dbconn))
            self.dbconn.execute(view)
            with _on_connection(self.dbconn.filename, view):  # rosbags describes the file by another one
                super()._open()


class _TornDirectory(DirectoryReader):
    STORAGE_PLUGINS: Mapping[str, Any] = {"mcap": TornMcap, "sqlite3": TornSqlite}


class TornReader(Reader):
    """A rosbag2 folder; `tears` names what is missing of its files, once it is open."""

    STORAGE_PLUGINS: Mapping[str, Any] = {**Reader.STORAGE_PLUGINS, "dir": _TornDirectory}

    @property
    def tears(self) -> tuple[str, ...]:
        """One sentence for each file whose end is missing."""
        storages = [s for s in getattr(self.storage, "storages", ()) if s.tear]
        return tuple(
            f"{Path(str(s.path)).name} is cut off: {s.tear.rstrip('.')}; nothing after "
            f"{s.metadata.end_time - 1} ns was read"
            for s in storages
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


def _chunk_info(file: BinaryIO, offset: int, channels: Mapping[int, Any]) -> ChunkInfo:
    file.seek(offset)
    _, length = _RECORD_HEAD.unpack(file.read(_RECORD_HEAD.size))
    first_ns, last_ns, uncompressed, _, name_bytes = _CHUNK_HEAD.unpack(file.read(_CHUNK_HEAD.size))
    compression = file.read(name_bytes).decode()
    (compressed,) = struct.unpack("<Q", file.read(8))
    every_channel = dict.fromkeys(channels, 1)
    return ChunkInfo(
        first_ns, last_ns, offset, _RECORD_HEAD.size + length, {}, 0, compression, compressed, uncompressed,
        every_channel,
    )  # fmt: skip


def _allow_short(database: apsw.Connection) -> None:
    """Let sqlite3 read a file that is shorter than its header says; by default it is refused."""
    database.execute("PRAGMA writable_schema=ON")


@contextlib.contextmanager
def _on_connection(filename: str, view: str) -> Iterator[None]:
    """Give each connection to this file that is opened meanwhile the view."""

    def prepare(database: apsw.Connection) -> None:
        if database.filename == filename:
            _allow_short(database)
            database.execute(view)

    apsw.connection_hooks.append(prepare)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(prepare)


def _last_readable(database: apsw.Connection) -> int:
    """Number of the last message before the first one whose bytes are not all there."""
    last = 0
    with contextlib.suppress(apsw.CorruptError, apsw.IOError):
        for row in database.execute("SELECT id, data FROM messages NOT INDEXED ORDER BY id"):
            last = int(row[0])
    return last
