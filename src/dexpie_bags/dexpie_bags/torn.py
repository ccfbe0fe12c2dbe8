"""rosbags' readers, made to give what there is of files that are damaged somewhere or end too early."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from dexpie_bags.damaged_mcap import DamagedMcap
from dexpie_bags.loss import Loss, said

_READABLE = (
    "CREATE TEMP VIEW messages AS SELECT id, topic_id, timestamp, data FROM main.messages NOT INDEXED "
    "WHERE id < {}"  # the last one bounds the scan, which must not touch the page behind it
)


class TornSqlite(Sqlite3Reader):
    """A sqlite3 file that was cut short, up to the last but one message that is there."""

    losses: tuple[Loss, ...] = ()

    def _open(self) -> None:
        try:
            super()._open()
        except apsw.Error as error:
            assert self.dbconn
            _allow_short(self.dbconn)
            view = _READABLE.format(_last_readable(self.dbconn))
            self.dbconn.execute(view)
            with _on_connection(self.dbconn.filename, view):  # rosbags describes the file by another one
                super()._open()
            name, last_ns = Path(str(self.path)).name, self.metadata.end_time - 1
            self.losses = (Loss(name, last_ns, None, said(error)),)


class _TornDirectory(DirectoryReader):
    """Where metadata.yaml has topics that the index of an MCAP file lacks, the index is made anew."""

    STORAGE_PLUGINS: Mapping[str, Any] = {"mcap": DamagedMcap, "sqlite3": TornSqlite}

    def open(self) -> None:
        super().open()
        for position, storage in enumerate(self.storages):
            missing = self._missing()
            if not missing or not isinstance(storage, DamagedMcap) or storage.losses:
                continue
            anew = DamagedMcap(storage.path, f"its index lacks {missing[0].topic}")
            with contextlib.suppress(Exception):  # then the index stays as it is
                anew.open()
                assert self.stack is not None
                self.stack.callback(anew.close)
                self.storages[position] = anew
                if len(self._missing()) == len(missing):
                    self.storages[position] = storage
        defined = {c.msgtype: c.msgdef for storage in self.storages for c in storage.connections}
        for position, connection in enumerate(self.connections):
            msgdef = defined.get(connection.msgtype, connection.msgdef)
            self.connections[position] = connection._replace(msgdef=msgdef)

    def _missing(self) -> list[Connection]:
        """Topics with messages that no file has in the same way."""
        there = [(c.topic, c.msgtype, c.ext) for storage in self.storages for c in storage.connections]
        return [c for c in self.connections if c.msgcount and (c.topic, c.msgtype, c.ext) not in there]


class TornReader(Reader):
    """A rosbag2 folder; `losses` says what of its files could not be read so far."""

    STORAGE_PLUGINS: Mapping[str, Any] = {**Reader.STORAGE_PLUGINS, "dir": _TornDirectory}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Of each file in turn, in the order in which they were noticed."""
        return tuple(loss for storage in getattr(self.storage, "storages", ()) for loss in storage.losses)


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
