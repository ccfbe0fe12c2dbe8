"""`dexpie export`: options and report. Light to import; the work is in export_zarr and export_lerobot."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dexpie_core.errors import DexpieError, UsageError


@dataclass(frozen=True)
class ExportOptions:
    """Write a dataset in another project's format."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """dataset folder"""
    format: Literal["lerobot", "zarr"]
    """lerobot: LeRobot 3.0, parquet and H.264 video; zarr: the replay buffer of diffusion_policy"""
    out: Path
    """folder to be made; must not exist"""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    out: Path
    episodes: int
    rows: int
    size_bytes: int
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.out}: {self.episodes} episodes, {self.rows} rows, {self.size_bytes / 1e6:.1f} MB"
        return text + "".join(f"\n  {remark}" for remark in self.remarks)


Progress = Callable[[int, int], None]  # episodes done, episodes in all


def run_export(options: ExportOptions, progress: Progress | None = None) -> ExportReport:
    """Export, all or nothing; raises UsageError or DexpieError."""
    if options.out.exists():
        raise UsageError(f"--out {options.out} exists already; choose another folder or remove it")
    try:
        if options.format == "zarr":
            from dexpie_training.export_zarr import export
        else:
            from dexpie_training.export_lerobot import export
    except ModuleNotFoundError as error:
        told = f"needs the Python package {error.name}, which is not installed"
        raise DexpieError(f"--format {options.format}: {told}") from None
    return export(options, progress or (lambda done, total: None))
