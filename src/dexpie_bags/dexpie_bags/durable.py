"""Folders on disk: made durable, locked by who writes them, moved to the trash without overwriting any."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from pathlib import Path

TRASH = ".trash"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def lock_folder(folder: Path) -> int | None:
    """A descriptor that holds an exclusive lock on a folder, or None where another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def fsync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_to_trash(bag: Path) -> Path:
    """Move a whole bag into '.trash' beside it, numbered where the name is taken; returns where it lies now.

    Nothing that reads bags looks there; moving the folder back restores it. Raises OSError.
    """
    trash = bag.parent / TRASH
    trash.mkdir(exist_ok=True)
    for number in itertools.count(1):
        target = trash / (bag.name if number == 1 else f"{bag.name}-{number}")
        try:
            os.rename(bag, target)  # refuses a target that holds something
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            fsync(trash)
            fsync(bag.parent)
            return target
    raise AssertionError("unreachable")
