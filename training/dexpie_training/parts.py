"""Parts of a conversion: what was made of one bag, on disk until all of them are joined."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dexpie_training import schema
from dexpie_training.npy_appender import count_rows

PART_FILE: Final = "part.json"
ROWS_FOLDER: Final = "rows"


@dataclass
class BagRecord:
    """What dataset.json keeps of a bag: enough to take its rows over into another dataset."""

    name: str
    path: str
    bytes: int
    sha256: str
    episodes: int = 0
    """episodes of it in the dataset"""
    left_out: list[dict[str, str]] = field(default_factory=list)
    """episode_id, reason and detail of those that are not"""
    damage: list[str] = field(default_factory=list)
    """what is broken in it: bag, topic and time, one line each"""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stored:
    """Where the frames of a part lie that has none itself: in rows [first, end) of frames/ beside it."""

    cameras: tuple[str, ...]
    first: int
    end: int


@dataclass(frozen=True)
class Part:
    """A finished part on disk, or a bag whose rows are had already (`folder` None)."""

    record: BagRecord
    folder: Path | None
    reused: bool = False
    stored: Stored | None = None


def read_part(answer: str) -> Part:
    """What `convert_bag` has answered."""
    told = json.loads(answer)
    folder = None if told["folder"] is None else Path(told["folder"])
    return Part(BagRecord(**told["record"]), folder, told["reused"], _stored(told))


def _stored(told: dict[str, Any]) -> Stored | None:
    stored = told.get("stored")
    return None if stored is None else Stored(tuple(stored["cameras"]), stored["first"], stored["end"])


def finished(folder: Path, behind: int | None) -> dict[str, Any] | None:
    """What is told of a part that is there; None where it is not, or lacks its frames.

    behind: its frames must lie there in the store, or before it; None: anywhere.
    """
    try:
        found: dict[str, Any] = json.loads((folder / PART_FILE).read_text())
        stored = _stored(found)
        if stored is None:
            return found
        rows = [count_rows(folder.parent / schema.frames_file(camera)) for camera in stored.cameras]
    except (OSError, ValueError):
        return None
    in_place = behind is None or stored.first == behind or stored.end <= behind
    return found if in_place and stored.end <= min(rows) else None


def forget_behind(parts: Path, behind: int) -> None:
    """Remove the parts whose frames lie behind so many rows of the store, before others are put there."""
    if all(_rows(file) <= behind for file in parts.glob(schema.frames_file("*"))):
        return
    for file in parts.glob(f"*/{PART_FILE}"):
        stored = _stored(json.loads(file.read_text()))
        if stored is not None and stored.end > behind:
            shutil.rmtree(file.parent)


def _rows(file: Path) -> int:
    """Rows of a file of the store, 0 where its writing was cut short."""
    try:
        return count_rows(file)
    except ValueError:
        return 0
