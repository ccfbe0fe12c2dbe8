"""Rewrites the paths that ROS wheels carry in their CMake exports to those of this virtual environment."""

import re
import sys
import sysconfig
from pathlib import Path

BUILD_PREFIX = r"/opt/python/cp3\d+-cp3\d+"


def rules() -> list[tuple[re.Pattern[str], str]]:
    """Pattern and replacement, the longer paths before their own beginnings."""
    import numpy

    python = r"/python3\.\d+"
    return [
        (re.compile(BUILD_PREFIX + "/include" + python), sysconfig.get_path("include")),
        (
            re.compile(BUILD_PREFIX + "/lib" + python + "/site-packages/numpy/_core/include"),
            numpy.get_include(),
        ),
        (re.compile(BUILD_PREFIX), sys.prefix),
    ]


def relocate(share: Path) -> int:
    """Rewrites every file under `share` that needs it; returns how many."""
    changed = 0
    table = rules()
    for path in sorted(share.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
        new = text
        for pattern, replacement in table:
            new = pattern.sub(lambda _, to=replacement: to, new)
        if new != text:
            path.write_bytes(new.encode("utf-8", errors="surrogateescape"))
            changed += 1
    return changed


if __name__ == "__main__":
    print(relocate(Path(sys.prefix) / "share"), "files rewritten")
