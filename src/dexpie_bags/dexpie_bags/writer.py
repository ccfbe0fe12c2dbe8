"""Writes one episode as a rosbag2 folder (MCAP) that is whole or not there, and readable after a kill."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2.storage_mcap import McapWriter

from dexpie_bags.appender import Appender
from dexpie_bags.checked_writer import CheckedWriter
from dexpie_bags.durable import fsync, lock_folder
from dexpie_bags.typestore import full_name, typestore
from dexpie_core.errors import DexpieError

PARTIAL_SUFFIX = ".partial"
FLUSH_PERIOD_NS = 500_000_000  # what a kill can lose; the promise is one second
MIN_FREE_BYTES = 512 * 2**20
RESERVE_BYTES = 64 * 2**20
BALLAST_BYTES = 8 * 2**20  # two chunks, the index of an hour and metadata.yaml take less
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_FOREVER = QosTime(9223372036, 854775807)


class TopicLike(Protocol):
    """What the writer needs to know of a topic; dexpie_core.topics.TopicSpec is one."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def qos(self) -> str: ...


class WriteError(DexpieError):
    """The disk refuses the recording. What it refused is kept in memory, and `finish` tries it again."""


class DiskFullError(WriteError):
    """The file system has no room left for recording."""


def qos_profile(kind: str) -> Qos:
    """QoS as `ros2 bag play` offers it again, of kind 'sensor', 'command', 'latched' or 'default'."""
    reliability = QosReliability.BEST_EFFORT if kind == "sensor" else QosReliability.RELIABLE
    durability = QosDurability.TRANSIENT_LOCAL if kind == "latched" else QosDurability.VOLATILE
    depth = {"sensor": 5, "command": 1, "latched": 1, "default": 10}.get(kind)
    if depth is None:
        raise DexpieError(f"QoS kind '{kind}' is not known: sensor, command, latched or default")
    return Qos(
        QosHistory.KEEP_LAST, depth, reliability, durability, _FOREVER, _FOREVER,
        QosLiveliness.AUTOMATIC, _FOREVER, False,
    )  # fmt: skip


class EpisodeBagWriter:
    """Writes into '.<name>.partial' beside `final_dir`; `finish` makes it durable and gives it its name.

    While it is open it holds a lock on the partial folder, so that recovery leaves it alone. Not thread-safe:
    one thread writes. `write` flushes every half second of message time, which bounds what SIGKILL can lose.

    Refuses to begin below `min_free_bytes` and to go on below `reserve_bytes` of free space (DiskFullError).
    Room to close the bag is taken at the start, so that a disk filled by others cannot prevent it.
    """

    def __init__(
        self,
        final_dir: Path,
        *,
        min_free_bytes: int = MIN_FREE_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        suffix: str = PARTIAL_SUFFIX,
        custom_data: dict[str, str] | None = None,
    ) -> None:
        self.final_dir = Path(os.path.abspath(final_dir))
        self.partial_dir = self.final_dir.parent / f".{self.final_dir.name}{suffix}"
        for path in (self.final_dir, self.partial_dir):
            if path.exists():
                raise DexpieError(f"{path} exists already: choose another name or remove it")
        self._reserve_bytes = min(reserve_bytes, min_free_bytes)
        self.final_dir.parent.mkdir(parents=True, exist_ok=True)
        self._check_space(min_free_bytes)
        # Nested, so that the files inside already have the names that they keep.
        self._content_dir = self.partial_dir / self.final_dir.name
        self._ballast = self.partial_dir / "ballast"
        self._writer = CheckedWriter(self._content_dir, version=9, storage_plugin=StoragePlugin.MCAP)
        for key, value in (custom_data or {}).items():
            self._writer.set_custom_data(key, value)
        self._lock_fd: int | None = None
        self._connections: dict[str, Connection] = {}
        self._last_flush_ns: int | None = None
        try:
            self._open()
        except BaseException:
            self.discard()
            raise

    def _open(self) -> None:
        with self._disk_errors("nothing was recorded"):
            self._writer.open()
            self._lock_fd = lock_folder(self.partial_dir)
            storage = self._storage()
            storage.bio.close()
            storage.bio = cast(Any, Appender(storage.path))
            if self._reserve_bytes:
                with self._ballast.open("xb") as ballast:
                    os.posix_fallocate(ballast.fileno(), 0, BALLAST_BYTES)

    def add_topic(self, topic: TopicLike) -> None:
        """Register a topic with its message definition and QoS; must come before its first message."""
        self._connections[topic.name] = self._writer.add_connection(
            topic.name,
            full_name(topic.type),
            typestore=typestore(),
            offered_qos_profiles=[qos_profile(topic.qos)],
        )

    def add_raw_topic(self, name: str, typename: str, msgdef: str, digest: str, qos: list[Qos]) -> None:
        """Register a topic with a definition taken over from another bag."""
        self._connections[name] = self._writer.add_connection(
            name, typename, msgdef=msgdef, rihs01=digest, offered_qos_profiles=qos
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the registered topics."""
        return tuple(self._connections)

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far, by topic."""
        return {name: self._writer.counts[c.id] for name, c in self._connections.items()}

    def write(self, topic: str, stamp_ns: int, cdr: bytes | memoryview) -> None:
        """Append one serialized message; `stamp_ns` is when it was received, ns since the epoch."""
        try:
            connection = self._connections[topic]
        except KeyError:
            raise DexpieError(f"topic {topic} was not added to bag {self.final_dir}") from None
        self._writer.write(connection, stamp_ns, cdr)
        with self._disk_errors("the recording stops here"):
            self._storage().bio.flush()
        self.flush_if_due(stamp_ns)

    def flush_if_due(self, now_ns: int) -> None:
        """Flush if the last time is half a second ago. `write` calls it; so may a recorder."""
        if self._last_flush_ns is None:
            self._last_flush_ns = now_ns
        elif abs(now_ns - self._last_flush_ns) >= FLUSH_PERIOD_NS:
            self.flush()
            self._last_flush_ns = now_ns

    def flush(self) -> None:
        """Hand all messages so far to the operating system, where a kill of this process cannot lose them."""
        storage = self._storage()
        if storage.chunk.msgs:
            storage.close_chunk()
        with self._disk_errors("the recording stops here"):
            storage.bio.flush()
        self._check_space(self._reserve_bytes)

    def finish(self) -> Path:
        """Write index and metadata, make all durable, give the folder its name; returns the folder.

        Where that fails (WriteError), what was recorded stays in `partial_dir` for `recover_partials`.
        """
        try:
            with self._disk_errors(f"the recording is kept in {self.partial_dir}"):
                return self._finish()
        finally:
            self._unlock()

    def _finish(self) -> Path:
        self._ballast.unlink(missing_ok=True)
        self._storage().bio.flush()
        self._writer.close()
        if self.final_dir.exists():
            raise DexpieError(
                f"{self.final_dir} appeared meanwhile: the recording is kept in {self.partial_dir}"
            )
        for path in self._content_dir.iterdir():
            fsync(path)
        fsync(self._content_dir)
        os.rename(self._content_dir, self.final_dir)
        self.partial_dir.rmdir()
        fsync(self.final_dir.parent)
        return self.final_dir

    def discard(self) -> None:
        """Close and remove everything written; nothing remains."""
        with contextlib.suppress(OSError):  # what a full disk refuses is to be removed anyway
            self._writer.abort()
        shutil.rmtree(self.partial_dir, ignore_errors=True)
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard unless `finish` was called."""
        if self._lock_fd is not None:
            self.discard()

    def _storage(self) -> McapWriter:
        storage = self._writer.storage
        if not isinstance(storage, McapWriter):
            raise DexpieError(f"bag {self.final_dir} is not open")
        return storage

    def _check_space(self, needed_bytes: int) -> None:
        free = free_bytes(self.final_dir.parent)
        if free < needed_bytes:
            raise DiskFullError(
                f"{self.final_dir.parent}: {free / 2**20:.0f} MiB free, recording needs "
                f"{needed_bytes / 2**20:.0f} MiB: make room or record elsewhere"
            )

    @contextlib.contextmanager
    def _disk_errors(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = DiskFullError if error.errno in _NO_ROOM else WriteError
            raise kind(f"{self.final_dir}: {error.strerror}: {consequence}") from error

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write on a folder's file system."""
    return shutil.disk_usage(folder).free
