"""`dexpie import`: options and report. Light to import; the work is in import_episodes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class ImportOptions:
    """Make a dataset of the files of the authors' tools."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """HDF5 episodes or folders of them, Zarr groups, or folders with data.zarr and the images beside it"""
    out: Path
    """dataset folder to be made; must not exist"""
    task: str
    """name of the task; the files do not say it"""
    stage: str = "initial"
    """named stage that the episodes start from"""
    kind: Literal["auto", "demonstration", "rollout"] = "auto"
    """auto: a demonstration is an episode in which a human decided every action"""
    shift_rows: int | None = None
    """the action of a row is the recorded one of so many rows later, since images are older than their time
    stamps [rows]; without it 1 for HDF5, as the authors' conversion does, and 0 for Zarr, where it is done"""
    rotation: Literal["rows", "columns"] = "rows"
    """what the six rotation numbers of an action are of the matrix: its first two rows or columns"""
    source_rate_hz: float = 30.0
    """rate of files that do not say theirs [Hz]"""
    rate_hz: float | None = None
    """rate to resample to [Hz]; without it the files' own is kept"""


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    out: Path
    episodes: int
    rows: int
    rate_hz: float
    remarks: tuple[str, ...]
    """what the files lack and what was left out, one sentence each"""

    def __str__(self) -> str:
        text = f"{self.out}: {self.episodes} episodes, {self.rows} rows at {self.rate_hz:g} Hz"
        return text + "".join(f"\n  {remark}" for remark in self.remarks)


Progress = Callable[[int, int], None]  # episodes done, episodes in all


def run_import(options: ImportOptions, progress: Progress | None = None) -> ImportReport:
    """Import, all or nothing; raises UsageError or DexpieError."""
    from dexpie_training.import_episodes import import_episodes

    return import_episodes(options, progress)
