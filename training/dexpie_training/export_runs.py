"""What both formats need: episodes without gaps, and an output folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dexpie_training import schema
from dexpie_training.dataset import Dataset


@dataclass(frozen=True)
class Run:
    """Rows of an episode without a gap. parts: how many of them the episode has; part: which this is."""

    episode: int
    part: int
    parts: int
    rows: slice

    @property
    def length(self) -> int:
        """Rows."""
        return int(self.rows.stop - self.rows.start)

    @property
    def ends_episode(self) -> bool:
        """Whether the episode's last row is in it."""
        return self.part == self.parts - 1


def runs(dataset: Dataset) -> list[Run]:
    """The dataset's episodes, parted at recorded gaps, which other formats cannot tell of."""
    period_ns = 1e9 / float(dataset.meta["rate_hz"])
    found: list[Run] = []
    for index in range(len(dataset.episodes)):
        rows = dataset.episode_rows(index)
        after_gap = np.flatnonzero(np.diff(dataset.stamp_ns[rows]) > schema.LONGEST_GAP * period_ns) + 1
        starts = [rows.start, *(rows.start + after_gap).tolist()]
        bounds = zip(starts, [*starts[1:], rows.stop], strict=True)
        found += [Run(index, part, len(starts), slice(a, b)) for part, (a, b) in enumerate(bounds)]
    return found


def described(dataset: Dataset, run: Run) -> dict[str, Any]:
    """What is told of the episode that a run is of."""
    episode = dataset.episodes[run.episode]
    names = ("episode_id", "task", "stage", "kind", "outcome", "pair", "policy")
    return {**{name: episode[name] for name in names}, "part": run.part, "parts": run.parts}


def remarks(dataset: Dataset, found: list[Run]) -> tuple[str, ...]:
    """One sentence for every episode that was parted."""
    names = {run.episode: str(dataset.episodes[run.episode]["episode_id"]) for run in found if run.part == 1}
    parts = {run.episode: run.parts for run in found}
    return tuple(
        f"{name}: has gaps and becomes {parts[episode]} episodes, of which the last ends as it did"
        for episode, name in names.items()
    )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place at the end, and is removed otherwise."""
    folder = out.parent / f".{out.name}.partial-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
        os.rename(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_bytes(folder: Path) -> int:
    """Size of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
