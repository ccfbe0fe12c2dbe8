"""What of a bag's files cannot be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """Messages that cannot be read: recorded from `first_ns` to `last_ns`, or behind it where that is None.

    file: name of the file in the bag.
    """

    file: str
    first_ns: int
    last_ns: int | None
    why: str

    def __str__(self) -> str:
        reach, what = f"up to {self.last_ns} ns", "damaged"
        if self.last_ns is None:
            reach, what = "behind it", "cut off or damaged"
        where = f"all topics at {self.first_ns} ns"
        return f"{where}: nothing {reach} can be read: {self.file} is {what}: {self.why}"

    def within(self, first_ns: int, last_ns: int) -> bool:
        """Whether something recorded between these times is missing."""
        if self.last_ns is None:  # the message at first_ns was read
            return self.first_ns < last_ns
        return self.first_ns <= last_ns and first_ns <= self.last_ns


def said(error: Exception) -> str:
    """The first line of a library's error without its full stop, or its type where it says nothing."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
