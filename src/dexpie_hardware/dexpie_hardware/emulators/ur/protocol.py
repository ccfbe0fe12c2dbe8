"""RTDE version 2 on the wire: packages, recipes, text messages. Pure.

Everything is big endian. A package is its size (2 bytes, header included), a type and a payload
(Universal Robots' RTDE guide).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

VERSION: Final = 2
_HEADER: Final = struct.Struct(">HB")
_MAX_TEXT_BYTES: Final = 255


class Package(IntEnum):
    """Type byte of a package."""

    VERSION = ord("V")
    CONTROL_VERSION = ord("v")
    SETUP_OUTPUTS = ord("O")
    SETUP_INPUTS = ord("I")
    START = ord("S")
    PAUSE = ord("P")
    DATA = ord("U")
    TEXT = ord("M")


class Level(IntEnum):
    """Severity of a text message."""

    EXCEPTION = 0
    ERROR = 1
    WARNING = 2
    INFO = 3


@dataclass(frozen=True)
class WireType:
    """A type's name on the wire, its struct code and how many numbers it holds."""

    name: str
    code: str
    count: int = 1


BOOL: Final = WireType("BOOL", "?")
UINT8: Final = WireType("UINT8", "B")
UINT32: Final = WireType("UINT32", "I")
UINT64: Final = WireType("UINT64", "Q")
INT32: Final = WireType("INT32", "i")
DOUBLE: Final = WireType("DOUBLE", "d")
VECTOR3D: Final = WireType("VECTOR3D", "3d", 3)
VECTOR6D: Final = WireType("VECTOR6D", "6d", 6)
VECTOR6INT32: Final = WireType("VECTOR6INT32", "6i", 6)
VECTOR6UINT32: Final = WireType("VECTOR6UINT32", "6I", 6)


class ProtocolError(ValueError):
    """Bytes that are no RTDE package of the agreed layout."""


def encode(kind: Package, payload: bytes = b"") -> bytes:
    """One package."""
    return _HEADER.pack(_HEADER.size + len(payload), kind) + payload


def encode_text(level: Level, source: str, message: str) -> bytes:
    """A text message; texts longer than their length byte allows are cut."""
    texts = [text.encode("ascii", "replace")[:_MAX_TEXT_BYTES] for text in (message, source)]
    return encode(Package.TEXT, b"".join(bytes([len(text)]) + text for text in texts) + bytes([level]))


def take_packages(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Remove the complete packages from a buffer: (type, payload). ProtocolError for an impossible size."""
    while len(buffer) >= _HEADER.size:
        size, kind = _HEADER.unpack_from(buffer)
        if size < _HEADER.size:
            raise ProtocolError(f"package of {size} bytes is shorter than its header")
        if len(buffer) < size:
            return
        payload = bytes(buffer[_HEADER.size : size])
        del buffer[:size]
        yield kind, payload


def parse_names(text: bytes) -> list[str]:
    """Variable names of a set-up request; a comma at the end is allowed."""
    return [name for name in text.decode("ascii", "replace").split(",") if name]


def parse_output_setup(payload: bytes) -> tuple[float, list[str]]:
    """Frequency (Hz) and names of a request for outputs."""
    if len(payload) < 8:
        raise ProtocolError(f"output set-up of {len(payload)} bytes has no frequency")
    (frequency_hz,) = struct.unpack_from(">d", payload)
    return frequency_hz, parse_names(payload[8:])


class Recipe:
    """The values of a list of variables, packed and unpacked in its order behind the recipe's id."""

    def __init__(self, recipe_id: int, names: Sequence[str], types: Sequence[WireType]) -> None:
        self.recipe_id = recipe_id
        self.names = tuple(names)
        self._types = tuple(types)
        self._layout = struct.Struct(">B" + "".join(wire_type.code for wire_type in types))
        self._size = _HEADER.size + self._layout.size

    def encode(self, numbers: Sequence[float | int]) -> bytes:
        """A data package of the numbers of all variables, in order and flattened."""
        return _HEADER.pack(self._size, Package.DATA) + self._layout.pack(self.recipe_id, *numbers)

    def decode(self, payload: bytes) -> dict[str, float | int | tuple[float | int, ...]]:
        """Values by name of a data package's payload; ProtocolError where it has another size."""
        if len(payload) != self._layout.size:
            raise ProtocolError(
                f"data package of recipe {self.recipe_id}: {len(payload)} bytes, expected {self._layout.size}"
            )
        numbers = self._layout.unpack(payload)
        values: dict[str, float | int | tuple[float | int, ...]] = {}
        at = 1
        for name, wire_type in zip(self.names, self._types, strict=True):
            values[name] = numbers[at] if wire_type.count == 1 else numbers[at : at + wire_type.count]
            at += wire_type.count
        return values
