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
_FRAME_ID = struct.Struct("<I")
_FRAME_ID_AT = 12  # behind the encapsulation and the stamp
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
        if len(cdr) < _FRAME_ID_AT + _FRAME_ID.size or cdr[0] != 0 or cdr[1] != 1:
            raise NotFlatError("not little-endian CDR")
        at = _FRAME_ID_AT + _FRAME_ID.size + _FRAME_ID.unpack_from(cdr, _FRAME_ID_AT)[0]
        fields = _layout(self._codes, (at - 4) % 8)
        if not 0 <= len(cdr) - at - fields.size <= _LONGEST_PADDING:
            raise NotFlatError(f"{len(cdr)} bytes, {at + fields.size} are needed")
        picked: tuple[Any, ...] = self._pick(fields.unpack_from(cdr, at))
        return picked


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
