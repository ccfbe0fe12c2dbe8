"""Datagrams between the node and its servo process. Pure.

Numbers that flow at the servo's rate are packed; what changes rarely is JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

MAX_BYTES: Final = 16384
_TARGET: Final = struct.Struct("<c7d3q")
_MEASURED: Final = struct.Struct("<cq18d")
_CYCLE: Final = struct.Struct("<2q")


@dataclass(frozen=True)
class Target:
    """A command: x y z (m), quaternion x y z w; stamp and due on the sender's clock, arrival on ours, ns."""

    pose: tuple[float, ...]
    stamp_ns: int
    due_ns: int
    arrival_ns: int


@dataclass(frozen=True)
class Recover:
    """/arm/recover was called."""


@dataclass(frozen=True)
class Stop:
    """Stop the arm, disconnect, end."""


@dataclass(frozen=True)
class Measured:
    """One package: ROS time of its reading (ns), joints rad and rad/s, TCP m and rotation vector rad."""

    stamp_ns: int
    q_rad: tuple[float, ...]
    qd_rad_s: tuple[float, ...]
    tcp: tuple[float, ...]


@dataclass(frozen=True)
class Status:
    """What the servo process is doing. `recovered` and `answer` answer /arm/recover; None: nobody asked."""

    state: str
    ready: bool
    detail: str
    protective_stop: bool = False
    emergency_stop: bool = False
    speed_scaling: float = 0.0
    refusal: str = ""
    recovered: bool | None = None
    answer: str = ""
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cycles:
    """Start and length of servo cycles, ns on the monotonic clock."""

    cycles: tuple[tuple[int, int], ...]


Request = Target | Recover | Stop
Report = Measured | Status | Cycles


def encode(message: Request | Report) -> bytes:
    """The datagram of a message."""
    match message:
        case Target():
            times = (message.stamp_ns, message.due_ns, message.arrival_ns)
            return _TARGET.pack(b"T", *message.pose, *times)
        case Recover():
            return b"R"
        case Stop():
            return b"Q"
        case Measured():
            return _MEASURED.pack(b"M", message.stamp_ns, *message.q_rad, *message.qd_rad_s, *message.tcp)
        case Status():
            return b"S" + json.dumps(asdict(message)).encode()
        case Cycles():
            return b"C" + b"".join(_CYCLE.pack(*cycle) for cycle in message.cycles)


def decode(datagram: bytes) -> Request | Report:
    """The message of a datagram; ValueError where it is none."""
    match datagram[:1]:
        case b"T":
            _, *numbers = _unpack(_TARGET, datagram)
            return Target(tuple(numbers[:7]), *numbers[7:])
        case b"R":
            return Recover()
        case b"Q":
            return Stop()
        case b"M":
            _, stamp_ns, *numbers = _unpack(_MEASURED, datagram)
            return Measured(stamp_ns, *(tuple(numbers[i : i + 6]) for i in (0, 6, 12)))
        case b"S":
            return Status(**json.loads(datagram[1:]))
        case b"C":
            return Cycles(tuple(_CYCLE.iter_unpack(datagram[1:])))
    raise ValueError(f"{len(datagram)} bytes beginning with {datagram[:1]!r} are no message")


def _unpack(layout: struct.Struct, datagram: bytes) -> Sequence:
    if len(datagram) != layout.size:
        raise ValueError(f"message {datagram[:1]!r} has {len(datagram)} bytes instead of {layout.size}")
    return layout.unpack(datagram)
