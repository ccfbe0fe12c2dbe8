"""What a camera hands over, and what the driver wants of a source of it."""

from __future__ import annotations

import array
import enum
from dataclasses import dataclass
from typing import Protocol


class Domain(enum.Enum):
    """Clock of a frame's time stamp; the names are librealsense's."""

    GLOBAL_TIME = "global_time"
    HARDWARE_CLOCK = "hardware_clock"
    SYSTEM_TIME = "system_time"


@dataclass(frozen=True)
class RawFrame:
    """One picture as it came.

    pixels are rgb8, width * height * 3 bytes without padding; timestamp_ms is in `domain`; arrival_ns is the
    host's time (since the epoch) and arrival_s the host's monotonic time at which it was taken over.
    """

    number: int
    timestamp_ms: float
    domain: Domain
    arrival_ns: int
    arrival_s: float
    pixels: array.array[int]


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole model of a stream, pixels; librealsense's name of the distortion model and its five numbers."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str
    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class Identity:
    """Which camera it is and what it said at its start; '' where it does not say."""

    name: str = ""
    serial: str = ""
    usb_type: str = ""
    firmware: str = ""
    notes: tuple[str, ...] = ()  # what it did not take over of its settings


class Change(enum.Enum):
    """What the library says of the USB bus."""

    REMOVED = "removed"  # the camera in use
    ADDED = "added"  # any camera


class SourceError(Exception):
    """There is no camera, or it cannot be opened; the message is one line and says what to do."""


class Stream(Protocol):
    """A camera that is open. `read`, `temperature_c` and `close` belong to one thread."""

    identity: Identity
    intrinsics: Intrinsics

    def read(self, timeout_s: float) -> RawFrame | None:
        """The next frame, None if none comes in time; lets other threads run."""
        ...

    def ended(self) -> bool:
        """Whether no frame will come any more because a recording is over."""
        ...

    def temperature_c(self) -> float | None:
        """Temperature of the electronics, where the camera tells it."""
        ...

    def close(self) -> None:
        """Give the camera back; may block."""
        ...


class Source(Protocol):
    """Where frames come from."""

    name: str  # for messages

    def open(self) -> Stream:
        """Start to stream, or SourceError or RuntimeError at once; never waits for a camera to appear."""
        ...

    def changes(self) -> list[Change]:
        """What has changed on the bus since the last call."""
        ...

    def close(self) -> None:
        """Give everything back; no stream is open."""
        ...
