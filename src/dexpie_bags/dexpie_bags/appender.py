"""A file that loses nothing to a full disk: what is refused stays in memory until there is room."""

from __future__ import annotations

import os
from pathlib import Path


class Appender:
    """Appends to an existing file. `write` only buffers; `flush` writes, and after an error goes on where
    it stopped, so that a record is never torn by an error that has passed. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._written = os.fstat(self._fd).st_size
        self._pending = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        """Buffer some bytes."""
        self._pending += data
        return len(data)

    def amend(self, at: int, data: bytes) -> None:
        """Replace bytes that are still in memory; `at` is their place in the file."""
        first = at - self._written
        if not 0 <= first <= len(self._pending) - len(data):
            raise ValueError(f"bytes at {at} were written already, or are not there yet")
        self._pending[first : first + len(data)] = data

    def tell(self) -> int:
        """Length of the file once all is written, bytes."""
        return self._written + len(self._pending)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        while self._pending:
            if self._fd is None:
                raise ValueError("the file is closed")
            count = os.write(self._fd, self._pending)
            del self._pending[:count]
            self._written += count

    def close(self) -> None:
        """Flush and close; closed even where the flush fails."""
        if self._fd is None:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = None
