"""Memory to read into, used again: fresh pages cost as much as what is read into them."""

from __future__ import annotations

import sys

_UNUSED = 3  # references to a buffer into which nobody looks: the list, the loop, the question itself
_KEPT = 8


class Buffers:
    """Gives out memory that nobody looks into any more, else fresh memory."""

    def __init__(self) -> None:
        self._kept: list[bytearray] = []

    def of(self, size: int) -> memoryview:
        """So many bytes, of any content; theirs as long as a memoryview or an array of them lives."""
        for kept in self._kept:
            if len(kept) >= size and sys.getrefcount(kept) == _UNUSED:
                return memoryview(kept)[:size]
        fresh = bytearray(1 << max(0, size - 1).bit_length())
        self._kept = [*self._kept[1 - _KEPT :], fresh]
        return memoryview(fresh)[:size]
