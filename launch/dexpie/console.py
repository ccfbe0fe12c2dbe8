"""What the supervisor writes to the terminal: node lines with a coloured prefix, and one live status line."""

from __future__ import annotations

import os
import shutil
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TextIO

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
LAST_WORDS = 5


@dataclass
class LineBuffer:
    """Splits the bytes of one process into lines and keeps the last of them."""

    pending: bytes = b""
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_WORDS))

    def feed(self, data: bytes) -> list[str]:
        """Whole lines that `data` completes; an empty `data` (end of file) flushes the rest."""
        *whole, self.pending = (self.pending + data).split(b"\n")
        if not data and self.pending:
            whole, self.pending = [self.pending], b""
        lines = [raw.decode("utf-8", "replace").rstrip("\r") for raw in whole]
        self.last.extend(line for line in lines if line.strip())
        return lines

    @property
    def last_line(self) -> str:
        return self.last[-1] if self.last else ""


class Console:
    """Prefixes lines with node names; on a terminal, colours them and keeps a live line at the bottom."""

    def __init__(self, stream: TextIO | None = None, quiet_nodes: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._tty = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._quiet_nodes = quiet_nodes
        self._live = ""
        self._width = 0
        self.broken = False  # nobody reads the output any more
        self._colour: dict[str, int] = {}

    def register(self, name: str) -> None:
        """Give the node a colour and make room for its name."""
        self._colour.setdefault(name, COLOURS[len(self._colour) % len(COLOURS)])
        self._width = max(self._width, len(name))

    def node_line(self, name: str, line: str) -> None:
        """One line that a node wrote."""
        if self._quiet_nodes:
            return
        prefix = f"{name:<{self._width}} |"
        if self._tty:
            prefix = f"\x1b[{self._colour.get(name, 37)}m{prefix}\x1b[0m"
        self._write(f"{prefix} {line}")

    def say(self, line: str) -> None:
        """One line of the supervisor itself."""
        self._write(line)

    def live(self, line: str) -> None:
        """Replace the live line; where there is no terminal, each change is a line of its own."""
        if line == self._live:
            return
        if not self._tty:
            self._live = line
            if line:
                self._write(line)
            return
        shown = line[: shutil.get_terminal_size().columns - 1]
        self._put(f"{self._erased()}{shown}")
        self._live = shown

    def _erased(self) -> str:
        """What takes the live line off the terminal."""
        return "\r\x1b[K" if self._tty and self._live else ""

    def _write(self, line: str) -> None:
        self._put(f"{self._erased()}{line}\n{self._live if self._tty else ''}")

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self.broken = True
