"""One life of an open camera, on a thread of its own, so that the library's calls may block."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Final

from dexpie_hardware.realsense.frames import RawFrame, Source, SourceError, Stream
from dexpie_hardware.realsense.lifecycle import Event

READ_TIMEOUT_S: Final = 0.1
TEMPERATURE_PERIOD_S: Final = 5.0
HANDOVER_FRAMES: Final = 8  # the newest ones; more would only be late


class Session:
    """Opens a source, reads it until `stop`, closes it. The rest of the driver polls it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stop = threading.Event()
        self._events: deque[tuple[Event, str]] = deque()
        self._frames: deque[RawFrame] = deque(maxlen=HANDOVER_FRAMES)
        self.stream: Stream | None = None
        self.overwritten = 0
        self.temperature_c: float | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take_events(self) -> list[tuple[Event, str]]:
        """What has happened since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def take_frames(self) -> list[RawFrame]:
        """Frames since the last call, oldest first; at most the newest HANDOVER_FRAMES."""
        taken = []
        while self._frames:
            taken.append(self._frames.popleft())
        return taken

    def stop(self) -> None:
        """Ask it to close and end; does not wait. A session that hangs may be left alone after this."""
        self._stop.set()

    @property
    def alive(self) -> bool:
        """Whether a call of the library still runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; whether it ended."""
        self._thread.join(timeout_s)
        return not self.alive

    def _run(self) -> None:
        try:
            self.stream = stream = self._source.open()
        except Exception as error:  # whatever ends this thread has to be told by the others
            self._events.append((Event.FAILED, _words(error)))
            return
        self._events.append((Event.OPENED, ""))
        try:
            self._read(stream)
        except Exception as error:
            self._events.append((Event.LOST, _words(error)))
        with contextlib.suppress(RuntimeError):  # a camera that is gone cannot be closed as it should be
            stream.close()
        self._events.append((Event.CLOSED, ""))

    def _read(self, stream: Stream) -> None:
        temperature_due_s = 0.0
        while not self._stop.is_set():
            frame = stream.read(READ_TIMEOUT_S)
            if frame is not None:
                self.overwritten += len(self._frames) == HANDOVER_FRAMES
                self._frames.append(frame)
            elif stream.ended():
                self._events.append((Event.FINISHED, ""))
                return
            if time.monotonic() >= temperature_due_s:
                temperature_due_s = time.monotonic() + TEMPERATURE_PERIOD_S
                self.temperature_c = stream.temperature_c()


def _words(error: Exception) -> str:
    """The library's and the sources' errors speak for themselves, others need their type."""
    return str(error) if isinstance(error, (SourceError, RuntimeError)) else repr(error)
