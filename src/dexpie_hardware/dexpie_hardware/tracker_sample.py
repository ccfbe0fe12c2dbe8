"""One sample of a tracker, and the datagram that carries it from a bridge to the driver.

The stream is for any tracker that has no backend of its own: a program beside it sends one JSON object a
datagram (UDP, or a Unix datagram socket) for every sample:

    {"name": "wrist", "time_s": 12.345678, "position_m": [x, y, z], "quaternion_xyzw": [x, y, z, w],
     "tracking": "ok"}

time_s is the tracker's own clock, seconds from any start, growing with every sample. The world is right
handed with z up and stays where it is. `tracking` is a value of `Tracking`; left out, it is "ok". A tracker
that has lost itself says so, or is silent; it never repeats its last pose with a new time. Nothing proves
who sends: keep the stream on one machine.
"""

import enum
import json
import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from dexpie_core.se3 import Array

MAX_BYTES: Final = 2048


class Tracking(enum.Enum):
    """What the tracker says of its own pose."""

    OK = "ok"
    ROTATION_ONLY = "rotation_only"  # the position stands still, only the rotation goes on
    OUT_OF_RANGE = "out_of_range"
    CALIBRATING = "calibrating"
    DISCONNECTED = "disconnected"
    INVALID = "invalid"


@dataclass(frozen=True)
class TrackerSample:
    """Position (3,) m and quaternion (4,) xyzw in a world with z up, at a time of the tracker's clock.

    Numbers are as the device gave them: they may be NaN, and the quaternion need not have length one.
    """

    name: str
    device_s: float
    position_m: Array
    quat_xyzw: Array
    tracking: Tracking = Tracking.OK


class TrackerDatagramError(ValueError):
    """A datagram that is no sample; the message names the field."""


def encode(sample: TrackerSample) -> bytes:
    """The datagram of a sample."""
    fields = {
        "name": sample.name,
        "time_s": sample.device_s,
        "position_m": sample.position_m.tolist(),
        "quaternion_xyzw": sample.quat_xyzw.tolist(),
        "tracking": sample.tracking.value,
    }
    return json.dumps(fields).encode()


def decode(datagram: bytes) -> TrackerSample:
    """The sample of a datagram. Raises TrackerDatagramError."""
    try:
        fields = json.loads(datagram)
    except (ValueError, RecursionError) as error:
        raise TrackerDatagramError(f"not a JSON object: {error}") from None
    if not isinstance(fields, dict):
        raise TrackerDatagramError("not a JSON object")
    name = fields.get("name")
    if not isinstance(name, str):
        raise TrackerDatagramError("field name is not a text")
    said = fields.get("tracking", Tracking.OK.value)
    try:
        tracking = Tracking(said)
    except ValueError:
        choices = ", ".join(choice.value for choice in Tracking)
        raise TrackerDatagramError(f"field tracking is {said!r}, none of {choices}") from None
    return TrackerSample(
        name,
        float(_numbers(fields, "time_s", ())),
        _numbers(fields, "position_m", (3,)),
        _numbers(fields, "quaternion_xyzw", (4,)),
        tracking,
    )


def parse_address(address: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """Family and socket address of udp://HOST:PORT or unix:///PATH. Raises ValueError."""
    try:
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return socket.AF_UNIX, parts.path
        if parts.scheme == "udp" and parts.hostname and parts.port:
            return socket.AF_INET, (parts.hostname, parts.port)
    except ValueError:  # a port that is none
        pass
    raise ValueError(f"{address!r} is neither udp://HOST:PORT nor unix:///PATH")


def _numbers(fields: dict[str, Any], key: str, shape: tuple[int, ...]) -> Array:
    try:
        values = np.asarray(fields.get(key))
        if values.shape == shape and values.dtype.kind in "iuf":
            return values.astype(np.float64)
    except ValueError:  # lists of unequal length
        pass
    needed = f"{shape[0]} numbers" if shape else "a number"
    raise TrackerDatagramError(f"field {key} is {fields.get(key)!r}, not {needed}")
