"""A recording of librealsense (.db3), played by its own pipeline at the pace at which it was recorded."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Final

from dexpie_core.errors import UsageError
from dexpie_hardware.realsense.frames import Change, SourceError
from dexpie_hardware.realsense.queue_stream import (
    QUEUE_FRAMES,
    QueueStream,
    color_profiles,
    describe,
    identify,
    rgb_stream,
)

VERSION_TOPIC: Final = "/file_version"  # what tells a recording of librealsense from a bag of ROS 2


def check_file(path: Path) -> None:
    """UsageError in one line where the path is no recording that can be played."""
    fault = _fault(path)
    if fault:
        raise UsageError(f"{path}: {fault}; give a .db3 file recorded by librealsense")


def _fault(path: Path) -> str:
    if not path.is_file():
        return "is a folder" if path.is_dir() else "does not exist"
    if path.suffix != ".db3":
        return "does not end with .db3"
    if path.stat().st_size == 0:
        return "is empty"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT id FROM topics WHERE name = ?", (VERSION_TOPIC,)).fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if found else "is another kind of .db3 file"


class FileSource:
    """Plays one file, from its begin at every opening."""

    def __init__(self, rs: Any, path: Path, width: int, height: int, rate_hz: int, *, repeat: bool) -> None:
        check_file(path)
        self.name = str(path)
        self._rs = rs
        self._path = path
        self._size = (width, height)
        self._rate_hz = rate_hz
        self._repeat = repeat

    def open(self) -> FileStream:
        """Start the playback."""
        rs = self._rs
        pipeline, config = rs.pipeline(rs.context()), rs.config()
        config.enable_device_from_file(str(self._path), self._repeat)
        config.enable_stream(rs.stream.color, *self._size, rs.format.rgb8, self._rate_hz)
        try:
            # start() takes over what is resolved here; without, it would wait for a device that may come.
            config.resolve(rs.pipeline_wrapper(pipeline))
        except RuntimeError as error:
            raise SourceError(f"{self.name} cannot be played: {self._reason(error)}") from error
        queue = rs.frame_queue(QUEUE_FRAMES)
        profile = pipeline.start(config, queue)
        return FileStream(rs, queue, pipeline, profile, self._repeat)

    def changes(self) -> list[Change]:
        """A file is not on the bus."""
        return []

    def close(self) -> None:
        """Nothing is held between two openings."""

    def _reason(self, error: RuntimeError) -> str:
        """The library says only that it cannot resolve; what the file holds is the better answer."""
        try:
            offered = color_profiles(self._rs.context().load_device(str(self._path)), self._rs)
        except RuntimeError:
            return str(error)
        held = ", ".join(describe(profile) for _, profile in offered) or "no colour stream"
        return f"no stream {rgb_stream(*self._size, self._rate_hz)} in it; it holds {held}"


class FileStream(QueueStream):
    """A recording that is being played."""

    def __init__(self, rs: Any, queue: Any, pipeline: Any, profile: Any, repeat: bool) -> None:
        device = profile.get_device()
        super().__init__(rs, queue, profile.get_stream(rs.stream.color), identify(device, rs))
        self._pipeline = pipeline
        self._playback = device.as_playback()
        self._stopped = rs.playback_status.stopped
        self._repeat = repeat

    def ended(self) -> bool:
        """Whether the last frame has been handed out."""
        over = not self._repeat and self._playback.current_status() == self._stopped
        return over and self._queue.size() == 0

    def temperature_c(self) -> float | None:
        """A recording has none."""
        return None

    def close(self) -> None:
        """End the playback."""
        self._pipeline.stop()
