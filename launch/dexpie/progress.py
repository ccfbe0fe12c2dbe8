"""A progress line for long work: redrawn on a terminal, now and then a line of its own elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

LINE_EVERY_S = 10.0


@dataclass
class Progress:
    """Shows `label done/total detail, remaining`; `close` leaves the last state standing."""

    label: str
    total: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _began_s: float = field(default_factory=time.monotonic)
    _shown_s: float = float("-inf")
    _open: bool = False

    def update(self, done: int, detail: str = "") -> None:
        """Say how far the work is."""
        now_s = time.monotonic()
        tty = self.stream.isatty()
        last = done >= self.total
        if now_s - self._shown_s < (0.1 if tty else LINE_EVERY_S) and not last:
            return
        self._shown_s = now_s
        text = (
            f"{self.label} {done}/{self.total}{f' {detail}' if detail else ''}{self._remaining(done, now_s)}"
        )
        if tty:
            self.stream.write(f"\r\x1b[K{text}")
            self._open = True
        else:
            self.stream.write(text + "\n")
        self.stream.flush()

    def _remaining(self, done: int, now_s: float) -> str:
        if not 0 < done < self.total:
            return ""
        left_s = (now_s - self._began_s) / done * (self.total - done)
        return f", about {left_s / 60:.0f} min left" if left_s >= 90 else f", about {left_s:.0f} s left"

    def close(self) -> None:
        """End the line."""
        if self._open:
            self.stream.write("\n")
            self.stream.flush()
            self._open = False
