"""Serial frames of the Inspire RH56DFX hand: building requests, finding replies in a byte stream. Pure.

Master asks, hand answers every frame. A frame is a two-byte header, id, length, command, register
address (little endian), data, and the low byte of the sum of everything after the header. Registers
are byte addressed, 16-bit values little endian and signed (maker's manual V1.09).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

REQUEST_HEADER: Final = b"\xeb\x90"
REPLY_HEADER: Final = b"\x90\xeb"
READ: Final = 0x11
WRITE: Final = 0x12
HOLD: Final = -1
_MIN_REPLY_BYTES: Final = 8


class Register(IntEnum):
    """First byte address of each register block."""

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


@dataclass(frozen=True)
class Reply:
    """One valid answer of a hand."""

    hand_id: int
    command: int
    address: int
    data: bytes

    def int16(self) -> tuple[int, ...]:
        """The data as signed 16-bit values."""
        if len(self.data) % 2:
            raise ValueError(f"reply of register {self.address} has {len(self.data)} bytes, an odd number")
        return struct.unpack(f"<{len(self.data) // 2}h", self.data)


def read_request(hand_id: int, register: int, n_bytes: int) -> bytes:
    """Request for n_bytes from a register on."""
    if not 0 < n_bytes < 256:
        raise ValueError(f"n_bytes {n_bytes} must be in 1..255")
    return _frame(hand_id, READ, register, bytes([n_bytes]))


def write_request(hand_id: int, register: int, values: Sequence[int]) -> bytes:
    """Request that writes 16-bit values from a register on; HOLD (-1) leaves a channel as it is."""
    for value in values:
        if not -1 <= value <= 2000:
            raise ValueError(f"value {value} for register {register} must be in -1..2000")
    return _frame(hand_id, WRITE, register, struct.pack(f"<{len(values)}h", *values))


def _frame(hand_id: int, command: int, register: int, data: bytes) -> bytes:
    if not 1 <= hand_id <= 254:
        raise ValueError(f"hand_id {hand_id} must be in 1..254")
    body = struct.pack("<BBBH", hand_id, len(data) + 3, command, register) + data
    return REQUEST_HEADER + body + bytes([checksum(body)])


def checksum(body: bytes) -> int:
    """Low byte of the sum of all bytes between the header and the checksum."""
    return sum(body) & 0xFF


def take_reply(buffer: bytearray) -> Reply | None:
    """Remove the first valid reply from the buffer, or return None until one is complete.

    Bytes that belong to no valid reply are dropped, so a reader falls back into step after noise.
    """
    while True:
        start = buffer.find(REPLY_HEADER)
        if start < 0:
            # The last byte may be the first half of a header.
            del buffer[: max(0, len(buffer) - 1)]
            return None
        del buffer[:start]
        if len(buffer) < 4:
            return None
        size = buffer[3] + 5
        if size < _MIN_REPLY_BYTES:
            del buffer[:2]
            continue
        if len(buffer) < size:
            return None
        body = bytes(buffer[2 : size - 1])
        if checksum(body) != buffer[size - 1]:
            del buffer[:2]
            continue
        del buffer[:size]
        hand_id, _, command, address = struct.unpack_from("<BBBH", body)
        return Reply(hand_id, command, address, body[5:])
