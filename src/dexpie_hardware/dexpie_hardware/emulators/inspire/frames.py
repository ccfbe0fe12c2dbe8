"""Frames as the hand sees them: requests found in what arrives, answers built. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

REQUEST_HEADER: Final = b"\xeb\x90"
ANSWER_HEADER: Final = b"\x90\xeb"
READ: Final = 0x11
WRITE: Final = 0x12
_FRAME_EXTRA: Final = 5
"""Bytes of a frame that its length field does not count: header, id, the field itself, sum."""
_SHORTEST: Final = 3
"""Smallest length field: command and address."""


@dataclass(frozen=True)
class Request:
    """A frame with a valid sum."""

    hand_id: int
    command: int
    address: int
    data: bytes


@dataclass
class Taken:
    """What was found in the bytes that arrived."""

    request: Request | None = None
    bad_sums: int = 0
    noise_bytes: int = 0


def take_request(buffer: bytearray) -> Taken:
    """Remove the first valid request from `buffer`, and the noise before it, byte by byte."""
    taken = Taken()
    while True:
        start = buffer.find(REQUEST_HEADER)
        if start < 0:
            keep = 1 if buffer.endswith(REQUEST_HEADER[:1]) else 0
            start = len(buffer) - keep
            taken.noise_bytes += start
            del buffer[:start]
            return taken
        taken.noise_bytes += start
        del buffer[:start]
        if len(buffer) < 4:
            return taken
        size = buffer[3] + _FRAME_EXTRA
        if buffer[3] >= _SHORTEST:
            if len(buffer) < size:
                return taken
            body = bytes(buffer[2 : size - 1])
            if _sum(body) == buffer[size - 1]:
                del buffer[:size]
                hand_id, _, command, address = struct.unpack_from("<BBBH", body)
                taken.request = Request(hand_id, command, address, body[5:])
                return taken
            taken.bad_sums += 1
        taken.noise_bytes += 1
        del buffer[:1]


def answer(request: Request, data: bytes) -> bytes:
    """The hand's answer to a request, with data."""
    body = struct.pack("<BBBH", request.hand_id, len(data) + 3, request.command, request.address) + data
    return ANSWER_HEADER + body + bytes([_sum(body)])


def _sum(body: bytes) -> int:
    return sum(body) & 0xFF
