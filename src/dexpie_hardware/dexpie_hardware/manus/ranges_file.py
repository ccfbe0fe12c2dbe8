"""The file of a user's glove ranges: a ROS parameter file for the follower, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import yaml

from dexpie_core.retargeting import CHANNEL_SIGNALS
from dexpie_hardware.manus.ranges import GloveRanges

NODE: Final = "human_follower"  # whose parameters they are


def ranges_yaml(
    ranges: GloveRanges, user: str, side: str, captured: datetime, sdk_names: Sequence[str]
) -> str:
    """The file's text. Raises ValueError where the user's name cannot stand in one line of a comment."""
    if not user.strip() or not user.isprintable():
        raise ValueError(f"user {user!r}: give a name of printable characters")
    comments = (
        f"Glove ranges of {user.strip()}, {side} hand, captured {captured.isoformat(timespec='seconds')}.",
        f"Degrees, in the order of: {', '.join(CHANNEL_SIGNALS)}",
        f"The glove's signals were: {', '.join(name for name in sdk_names if name.isprintable())}",
        "Parameters of the follower; give this file to the graph after the cell's own.",
    )
    parameters = {"glove_open_deg": list(ranges.open_deg), "glove_closed_deg": list(ranges.closed_deg)}
    body = yaml.safe_dump({NODE: {"ros__parameters": parameters}}, sort_keys=False, default_flow_style=None)
    return "".join(f"# {line}\n" for line in comments) + body


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
