"""Removes the shared-memory files that killed Fast DDS participants left behind."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

# A live participant holds a lock on <name>_el (exclusive) or <name>_sl (shared); a dead one does not.
_SEGMENT = re.compile(r"^(?:fastrtps|fastdds)_(?:[0-9a-f]{16}|port\d{1,5})$")
_LOCKS = ("_el", "_sl")


def _lock_is_free(path: Path) -> bool:
    """True when nobody holds the lock file (or there is none)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _mapped_names(folder: Path) -> set[str]:
    """Names of the files of `folder` that some process of this user has mapped."""
    prefix = f"{folder}/"
    names: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "maps").read_text(errors="replace")
        except OSError:
            continue
        names.update(line.rsplit(prefix, 1)[1].split()[0] for line in text.splitlines() if prefix in line)
    return names


def _settled(path: Path, age_s: float) -> bool:
    """Whether the file has been there for a while: one being made is neither locked nor mapped yet."""
    try:
        return time.time() - path.stat().st_ctime >= age_s
    except FileNotFoundError:
        return False


def remove_leftovers(folder: Path = Path("/dev/shm"), age_s: float = 1.0) -> list[str]:
    """Remove our own Fast DDS segments and ports that no live process locks or maps; return their names."""
    try:
        present = {e.name for e in os.scandir(folder) if e.stat(follow_symlinks=False).st_uid == os.getuid()}
    except OSError:
        return []
    candidates = sorted(name for name in present if _SEGMENT.match(name) and _settled(folder / name, age_s))
    if not candidates:
        return []
    mapped = _mapped_names(folder)
    removed: list[str] = []
    for name in candidates:
        locks = [folder / f"{name}{suffix}" for suffix in _LOCKS if f"{name}{suffix}" in present]
        if name in mapped or not all(_lock_is_free(lock) for lock in locks):
            continue
        for path in (folder / name, *locks, folder / f"sem.{name}_mutex"):
            path.unlink(missing_ok=True)
        removed.append(name)
    return removed
