"""Learning curves of one or several runs."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import read_run
from dexpie_training.curve import CURVE_FILE
from dexpie_training.plots.names import short_names
from dexpie_training.plots.style import ORANGE, check_out, dress, pyplot, save, series_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class PlotCurvesOptions:
    """Draw the learning curves of one run, or of several in one picture."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """run folders made by `dexpie train`, all of actors or all of critics"""
    out: Path
    """PNG file to be made; must not exist"""


@dataclass(frozen=True)
class Curve:
    """Losses of a run as (optimiser step, loss): of training, and of held-out episodes where measured."""

    name: str
    kind: str  # actor or critic
    description: dict[str, Any]
    train: list[tuple[float, float]]
    held_out: list[tuple[float, float]]
    minutes: float

    @classmethod
    def read(cls, run: Path, name: str) -> "Curve":
        """The curve of a run folder; UsageError where it has none."""
        description, file = read_run(run), run / CURVE_FILE
        if not file.exists():
            raise UsageError(f"{file}: is missing, so there is no learning curve to draw")
        with file.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        if not rows:
            raise UsageError(f"{file}: is empty, the run has not got far enough")
        return cls(
            name=name,
            kind=str(description.get("kind", "actor")),
            description=description,
            train=[(float(r["step"]), float(r["train_loss"])) for r in rows],
            held_out=[(float(r["step"]), float(r["held_out_loss"])) for r in rows if r["held_out_loss"]],
            minutes=float(rows[-1]["elapsed_s"]) / 60.0,
        )


def read_curves(runs: tuple[Path, ...]) -> list[Curve]:
    """Curves of runs of one kind, named by their folders."""
    if not runs:
        raise UsageError("RUNS is missing: give one run folder or more")
    curves = [Curve.read(run, name) for run, name in zip(runs, short_names(runs), strict=True)]
    kinds = sorted({curve.kind for curve in curves})
    if len(kinds) > 1:
        raise UsageError(
            f"{runs[0]} and others: {' and '.join(kinds)} have losses of their own; draw them apart"
        )
    return curves


def run_plot_curves(options: PlotCurvesOptions) -> Path:
    """Make the picture."""
    check_out(options.out)
    curves = read_curves(options.runs)
    figure, axes = pyplot().subplots(figsize=(8.0, 4.2), layout="constrained")
    draw_curves(axes, curves)
    dress(axes, *titles(curves), grid="y")
    return save(figure, options.out)


def titles(curves: list[Curve]) -> tuple[str, str]:
    """Title and subtitle."""
    if len(curves) > 1:
        return "Learning curves", "thin: training; with markers: held-out episodes, averaged weights"
    run, minutes = curves[0].description, curves[0].minutes
    data = run["dataset"]
    return (
        f"{run['method']} on {data['task']}, {run['preset']}",
        f"{data['episodes']} episodes, {data['rows']} rows, {minutes:.1f} min",
    )


def draw_curves(axes: "Axes", curves: list[Curve]) -> None:
    """Training loss thin, held-out loss with markers; one colour a run, or one a curve of a single run."""
    alone = len(curves) == 1
    for index, curve in enumerate(curves):
        colour = series_colour(index)
        axes.plot(
            *_columns(curve.train), color=colour, linewidth=1.6 if alone else 0.8,
            label="training" if alone else None,
        )  # fmt: skip
        axes.plot(
            *_columns(curve.held_out), color=ORANGE if alone else colour, marker="o", markersize=4,
            label="held-out episodes (averaged weights)" if alone else curve.name,
        )  # fmt: skip
    axes.set_xlabel("optimiser step")
    if curves[0].kind == "critic":
        axes.set_ylabel("cross-entropy [nats]")
    else:
        axes.set_ylabel("denoising loss")
        axes.set_yscale("log")
    axes.legend(loc="upper right")


def _columns(points: list[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(points, dtype=np.float64).reshape(-1, 2).T
