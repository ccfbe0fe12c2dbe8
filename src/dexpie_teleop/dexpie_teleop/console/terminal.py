"""Keeps what libraries write to stderr off a screen that an interface draws, until that is given back."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
from collections.abc import Iterator

STDERR = 2


def terminal_is_read() -> bool:
    """Whether the terminal takes more; at the end of a lost line nobody reads, and soon it does not."""
    terminal = sys.__stderr__
    return terminal is not None and bool(select.select([], [terminal], [], 0.0)[1])


@contextlib.contextmanager
def stderr_kept_back() -> Iterator[None]:
    """Only Python's own sys.__stderr__, which textual draws on, still reaches the terminal.

    What the middleware writes to the descriptor meanwhile is shown afterwards.
    """
    sys.stderr.flush()
    terminal, python_stderr = os.dup(STDERR), sys.__stderr__
    with tempfile.TemporaryFile() as kept, open(terminal, "w", encoding="utf-8") as drawn:
        os.dup2(kept.fileno(), STDERR)
        sys.__stderr__ = drawn  # type: ignore[misc]
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.__stderr__ = python_stderr  # type: ignore[misc]
            os.dup2(terminal, STDERR)
            kept.seek(0)
            with contextlib.suppress(OSError):  # the terminal may be gone
                os.write(STDERR, kept.read())
