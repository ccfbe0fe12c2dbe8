"""The wire between an emulated device and the physics that moves it: datagrams, encoded and decoded. Pure.

An emulator tells what its motors are to do; the physics answers every such message with what the
joints did, so neither side waits for the other. `resets` counts how often the physics put the robot
somewhere else: joints that jump with a new count were carried there, not driven. Little endian.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from dexpie_core.se3 import Array

_ARM_TARGET: Final = b"DPA>"
_ARM_STATE: Final = b"DPA<"
_HAND_TARGET: Final = b"DPH>"
_HAND_STATE: Final = b"DPH<"
_LAYOUTS: Final = {
    _ARM_TARGET: struct.Struct("<4sI6d"),
    _ARM_STATE: struct.Struct("<4sI14d"),
    _HAND_TARGET: struct.Struct("<4sI6d"),
    _HAND_STATE: struct.Struct("<4sI13d"),
}


class PlantMessageError(ValueError):
    """A datagram that is none of the four messages."""


@dataclass(frozen=True)
class ArmTarget:
    """Joint reference (6,) rad of the arm's motors; `resets` is the newest count that the sender has seen."""

    resets: int
    q_rad: Array


@dataclass(frozen=True)
class ArmState:
    """Joints (6,) rad and rad/s at a simulated time, and the force (N) of the robot on table and fixtures."""

    resets: int
    time_s: float
    contact_force_n: float
    q_rad: Array
    qd_rad_s: Array


@dataclass(frozen=True)
class HandTarget:
    """Motor reference (6,) of the hand in [0, 1], 1 = open; `resets` as in ArmTarget."""

    resets: int
    position: Array


@dataclass(frozen=True)
class HandState:
    """Motor positions (6,) in [0, 1] and forces (6,) N, positive where a closing finger presses."""

    resets: int
    time_s: float
    position: Array
    force_n: Array


PlantMessage = ArmTarget | ArmState | HandTarget | HandState


def encode(message: PlantMessage) -> bytes:
    """The datagram of a message."""
    match message:
        case ArmTarget():
            magic, numbers = _ARM_TARGET, [*message.q_rad]
        case HandTarget():
            magic, numbers = _HAND_TARGET, [*message.position]
        case ArmState():
            measured = (*message.q_rad, *message.qd_rad_s)
            magic, numbers = _ARM_STATE, [message.time_s, message.contact_force_n, *measured]
        case HandState():
            magic, numbers = _HAND_STATE, [message.time_s, *message.position, *message.force_n]
    return _LAYOUTS[magic].pack(magic, message.resets, *numbers)


def decode(datagram: bytes) -> PlantMessage:
    """The message of a datagram; PlantMessageError where it is none, has another length, or is not finite."""
    magic = datagram[:4]
    layout = _LAYOUTS.get(magic)
    if layout is None or len(datagram) != layout.size:
        raise PlantMessageError(f"{len(datagram)} bytes beginning with {magic!r} are no plant message")
    _, resets, *rest = layout.unpack(datagram)
    numbers = np.array(rest)
    if not np.all(np.isfinite(numbers)):
        raise PlantMessageError(f"plant message {magic!r} is not finite")
    if magic == _ARM_TARGET:
        return ArmTarget(resets, numbers)
    if magic == _HAND_TARGET:
        return HandTarget(resets, numbers)
    if magic == _ARM_STATE:
        return ArmState(resets, rest[0], rest[1], numbers[2:8], numbers[8:14])
    return HandState(resets, rest[0], numbers[1:7], numbers[7:13])
