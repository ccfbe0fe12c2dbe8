"""Pictures of a report: drawn into a scratch folder; what cannot be drawn is said in its place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dexpie.report.page import Missing, Picture
from dexpie_training.checkpoint import RUN_FILE
from dexpie_training.curve import CURVE_FILE

Draw = Callable[[Path], object]
"""Writes a PNG to the path that it is given."""


def picture(what: str, draw: Draw, alt: str, caption: str = "") -> Picture | Missing:
    """The drawn picture, or why there is none: a report with a gap is better than no report."""
    with tempfile.TemporaryDirectory(prefix="dexpie-report-") as folder:
        file = Path(folder) / "picture.png"
        try:
            draw(file)
            if not file.exists():
                raise FileNotFoundError("nothing was drawn")
            return Picture(file.read_bytes(), alt, caption)
        except Exception as error:
            return Missing(what, f"{type(error).__name__}: {error}")


def copies(sources: Mapping[str, Path], folder: Path) -> tuple[Path, ...]:
    """Reports and the learning curves of runs, copied under names that the plots show."""
    made = []
    for name, source in sources.items():
        if source.is_dir():
            target = folder / name
            target.mkdir()
            for part in (RUN_FILE, CURVE_FILE):
                shutil.copyfile(source / part, target / part)
        else:
            target = folder / f"{name}{source.suffix}"
            shutil.copyfile(source, target)
        made.append(target)
    return tuple(made)
