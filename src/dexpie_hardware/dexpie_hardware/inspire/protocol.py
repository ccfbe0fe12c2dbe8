"""Serial frames of the Inspire RH56DFX hand: requests, and their answers in a byte stream. Pure.

Master asks, hand answers every frame. A frame is a two-byte header, id, length, command, register
address (little endian), data, and the low byte of the sum of everything after the header. Registers
are byte addressed, 16-bit values little endian and signed (maker's manual V1.09).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

CHANNELS: Final = 6
REQUEST_HEADER: Final = b"\xeb\x90"
ANSWER_HEADER: Final = b"\x90\xeb"
READ: Final = 0x11
WRITE: Final = 0x12
ACCEPTED: Final = b"\x01"
HOLD: Final = -1
"""Target value that leaves a channel as it is."""
OPEN_COUNTS: Final = 1000
"""ANGLE_SET and ANGLE_ACT of an open finger; 0 is closed."""


class Register(IntEnum):
    """First byte address of each register block that the driver uses; six channels each."""

    CLEAR_ERROR = 1004
    ANGLE_SET = 1486
    FORCE_SET = 1498
    SPEED_SET = 1522
    ANGLE_ACT = 1546
    FORCE_ACT = 1582
    CURRENT = 1594
    ERROR = 1606
    STATUS = 1612
    TEMP = 1618


BYTE_REGISTERS: Final = frozenset({Register.ERROR, Register.STATUS, Register.TEMP})
"""One byte a channel; the others have two."""
MEASURED: Final = (
    Register.ANGLE_ACT,
    Register.FORCE_ACT,
    Register.CURRENT,
    Register.ERROR,
    Register.STATUS,
    Register.TEMP,
)
BLOCK_BYTES: Final = Register.TEMP + CHANNELS - Register.ANGLE_ACT
"""Length of one read from ANGLE_ACT on that covers everything measured."""


@dataclass(frozen=True)
class Request:
    """A frame, the register it is about, what its answer looks like, and the values that it writes."""

    frame: bytes
    register: Register
    answer_prefix: bytes
    answer_bytes: int
    written: tuple[int, ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether it reads everything measured at once."""
        return self.answer_bytes == BLOCK_BYTES


def read(hand_id: int, register: Register) -> Request:
    """Request for the six values of a register."""
    return _read(hand_id, register, CHANNELS * (1 if register in BYTE_REGISTERS else 2))


def read_block(hand_id: int) -> Request:
    """Request for everything measured in one answer, over addresses that the manual does not list."""
    return _read(hand_id, Register.ANGLE_ACT, BLOCK_BYTES)


def write(hand_id: int, register: Register, values: Sequence[int]) -> Request:
    """Request that writes six 16-bit values; HOLD leaves a channel as it is."""
    if len(values) != CHANNELS:
        raise ValueError(f"register {register.name} takes {CHANNELS} values, got {len(values)}")
    for value in values:
        if not HOLD <= value <= OPEN_COUNTS:
            raise ValueError(f"value {value} for register {register.name} must be in -1..{OPEN_COUNTS}")
    data = struct.pack(f"<{CHANNELS}h", *values)
    return _request(hand_id, WRITE, register, data, len(ACCEPTED), tuple(values))


def clear_errors(hand_id: int) -> Request:
    """Request that clears every fault but over-temperature."""
    return _request(hand_id, WRITE, Register.CLEAR_ERROR, b"\x01", len(ACCEPTED), (1,))


def _read(hand_id: int, register: Register, n_bytes: int) -> Request:
    return _request(hand_id, READ, register, bytes([n_bytes]), n_bytes)


def _request(
    hand_id: int,
    command: int,
    register: Register,
    data: bytes,
    answer_bytes: int,
    written: tuple[int, ...] = (),
) -> Request:
    if not 1 <= hand_id <= 254:
        raise ValueError(f"hand_id {hand_id} must be in 1..254")
    body = struct.pack("<BBBH", hand_id, len(data) + 3, command, register) + data
    prefix = ANSWER_HEADER + struct.pack("<BBBH", hand_id, answer_bytes + 3, command, register)
    frame = REQUEST_HEADER + body + bytes([checksum(body)])
    return Request(frame, register, prefix, answer_bytes, written)


def checksum(body: bytes | bytearray) -> int:
    """Low byte of the sum of all bytes between the header and the checksum."""
    return sum(body) & 0xFF


def find_answer(received: bytes | bytearray, request: Request) -> bytes | None:
    """Data of the answer to `request` wherever it lies in `received`, or None until it is whole.

    Everything before the data is known beforehand (header, id, length, command, address), so noise,
    answers to other requests and damaged answers are passed over byte by byte.
    """
    prefix, n_bytes = request.answer_prefix, request.answer_bytes
    start = received.find(prefix)
    while start >= 0:
        first = start + len(prefix)
        body = received[start + len(ANSWER_HEADER) : first + n_bytes]
        end = first + n_bytes
        if len(received) > end and checksum(body) == received[end]:
            return bytes(received[first:end])
        start = received.find(prefix, start + 1)
    return None


def values(register: Register, data: bytes) -> tuple[int, ...]:
    """The six values of a register's data."""
    if register in BYTE_REGISTERS:
        return tuple(data)
    return struct.unpack(f"<{len(data) // 2}h", data)


def split_block(data: bytes) -> dict[Register, tuple[int, ...]]:
    """Values of every measured register in the data of `read_block`."""
    found = {}
    for register in MEASURED:
        first = register - Register.ANGLE_ACT
        size = CHANNELS * (1 if register in BYTE_REGISTERS else 2)
        found[register] = values(register, data[first : first + size])
    return found
