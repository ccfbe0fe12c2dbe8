"""Numbers straight out of CDR bytes, several times sooner than by way of an object."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

_HEADER = "std_msgs/msg/Header"
_CODES = {
    "bool": "?", "byte": "B", "char": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
_LENGTH = struct.Struct("<I")
_BEGIN = 4  # behind the encapsulation; alignment counts from here
_FRAME_ID_AT = _BEGIN + 8  # behind the stamp
_LONGEST_PADDING = 3


class NotFlatError(ValueError):
    """A message type, or the bytes of a message, that has to be decoded as a whole."""


class FlatReader:
    """Reads some numbers of messages of a type that is a header and fields of fixed size, and nothing else.

    wanted: paths of the numbers, as 'pose.position.x' or 'hand.0'. NotFlatError where the type is another.
    """

    def __init__(self, store: Typestore, typename: str, wanted: Sequence[str]) -> None:
        fields = iter(store.fielddefs[typename][1])
        first = next(fields, None)
        if first is None or first[1] != (Nodetype.NAME, _HEADER):
            raise NotFlatError(f"{typename} does not begin with a header")
        leaves = [leaf for name, node in fields for leaf in _leaves(store, name, node)]
        self._codes = tuple(code for _, code in leaves)
        paths = [path for path, _ in leaves]
        missing = [path for path in wanted if path not in paths]
        if missing:
            raise NotFlatError(f"{typename} has no {missing[0]}")
        self._pick = itemgetter(*(paths.index(path) for path in wanted))

    def __call__(self, cdr: bytes | memoryview) -> tuple[Any, ...]:
        """The numbers of a message in the order of `wanted`; NotFlatError where its length is wrong."""
        _check_head(cdr)
        at = _FRAME_ID_AT + _LENGTH.size + _LENGTH.unpack_from(cdr, _FRAME_ID_AT)[0]
        fields = _layout(self._codes, (at - _BEGIN) % 8)
        if not 0 <= len(cdr) - at - fields.size <= _LONGEST_PADDING:
            raise NotFlatError(f"{len(cdr)} bytes, {at + fields.size} are needed")
        picked: tuple[Any, ...] = self._pick(fields.unpack_from(cdr, at))
        return picked


class RepeatedReader:
    """Reads a sequence of numbers of messages in which nothing before it changes but the stamp.

    Their type begins with a header; field: name of the sequence. NotFlatError where the type is another.
    """

    def __init__(self, store: Typestore, typename: str, field: str) -> None:
        self._store = store
        fields = store.fielddefs[typename][1]
        names = [name for name, _ in fields]
        if not fields or fields[0][1] != (Nodetype.NAME, _HEADER) or field not in names:
            raise NotFlatError(f"{typename} does not begin with a header, or has no {field}")
        kind, detail = fields[names.index(field)][1]
        if (
            kind is not Nodetype.SEQUENCE
            or detail[0][0] is not Nodetype.BASE
            or detail[0][1][0] not in _CODES
        ):
            raise NotFlatError(f"{typename}.{field} is no sequence of numbers")
        self._before = [node for _, node in fields[: names.index(field)]]
        self._code = _CODES[detail[0][1][0]]
        self._constant, self._bytes = b"", -1
        self._numbers = struct.Struct("<")

    def __call__(self, cdr: bytes | memoryview) -> tuple[Any, ...]:
        """The numbers of a message; NotFlatError where it differs from the one that was learnt."""
        first = _FRAME_ID_AT + len(self._constant)
        if len(cdr) != self._bytes or cdr[1] != 1 or cdr[_FRAME_ID_AT:first] != self._constant:
            raise NotFlatError("another message than before")
        return self._numbers.unpack_from(cdr, first)

    def learn(self, cdr: bytes | memoryview) -> None:
        """Take a message, which has been decoded without an error, as the pattern of those to come."""
        _check_head(cdr)
        at = _BEGIN
        for node in self._before:
            at = _behind(self._store, node, cdr, at)
        count, at = _counted(cdr, at)
        first = _aligned(at, struct.calcsize(f"<{self._code}"))
        self._constant, self._bytes = bytes(cdr[_FRAME_ID_AT:first]), len(cdr)
        self._numbers = struct.Struct(f"<{count}{self._code}")


def jpeg_bytes(cdr: bytes | memoryview) -> memoryview:
    """The data of a sensor_msgs/CompressedImage; NotFlatError where its length is wrong."""
    _check_head(cdr)
    at = _FRAME_ID_AT
    try:
        for _ in ("frame_id", "format"):
            at = sum(_counted(cdr, at))
        count, first = _counted(cdr, at)
    except struct.error as error:
        raise NotFlatError(str(error)) from None
    if not 0 <= len(cdr) - first - count <= _LONGEST_PADDING:
        raise NotFlatError(f"{len(cdr)} bytes, {first + count} are needed")
    return memoryview(cdr)[first : first + count]


def _check_head(cdr: bytes | memoryview) -> None:
    if len(cdr) < _FRAME_ID_AT + _LENGTH.size or cdr[0] != 0 or cdr[1] != 1:
        raise NotFlatError("not little-endian CDR")


def _aligned(at: int, size: int) -> int:
    return at + (_BEGIN - at) % size


def _counted(cdr: bytes | memoryview, at: int) -> tuple[int, int]:
    """Length of the string or sequence at or, for its alignment, behind `at`, and where its content is."""
    at = _aligned(at, _LENGTH.size)
    return _LENGTH.unpack_from(cdr, at)[0], at + _LENGTH.size


def _behind(store: Typestore, node: Any, cdr: bytes | memoryview, at: int) -> int:
    """Where a field ends that begins at or, for its alignment, behind `at`."""
    kind, detail = node
    if kind is Nodetype.NAME:
        for _, inner in store.fielddefs[detail][1]:
            at = _behind(store, inner, cdr, at)
        return at
    if kind is Nodetype.BASE and detail[0] in _CODES:
        size = struct.calcsize(f"<{_CODES[detail[0]]}")
        return _aligned(at, size) + size
    if kind is Nodetype.ARRAY:
        item, count = detail
    else:
        count, at = _counted(cdr, at)
        item = detail[0] if kind is Nodetype.SEQUENCE else (Nodetype.BASE, ("uint8", 0))  # else a string
    for _ in range(count):
        at = _behind(store, item, cdr, at)
    return at


def _leaves(store: Typestore, path: str, node: Any) -> Iterator[tuple[str, str]]:
    """Path and struct code of each number in a field."""
    kind, detail = node
    if kind is Nodetype.BASE and detail[0] in _CODES:
        yield path, _CODES[detail[0]]
    elif kind is Nodetype.NAME:
        for name, inner in store.fielddefs[detail][1]:
            yield from _leaves(store, f"{path}.{name}", inner)
    elif kind is Nodetype.ARRAY:
        item, length = detail
        for index in range(length):
            yield from _leaves(store, f"{path}.{index}", item)
    else:
        raise NotFlatError(f"{path} has no fixed size")


@cache
def _layout(codes: tuple[str, ...], begin: int) -> struct.Struct:
    """Fields of these codes from a position on, modulo 8, each aligned to its size as CDR has them."""
    at, text = begin, "<"
    for code in codes:
        size = struct.calcsize(f"<{code}")
        padding = -at % size
        text += f"{padding}x{code}"
        at += padding + size
    return struct.Struct(text)
