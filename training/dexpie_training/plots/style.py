"""What all pictures share: colours that colour-blind people tell apart, axes without clutter, whole files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dexpie_core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1f2a37"
MUTED: Final = "#66727f"
FAINT: Final = "#c9d1da"
GRID: Final = "#e6eaee"
BLUE: Final = "#2463a8"
ORANGE: Final = "#d9730d"
SERIES: Final = ("#2463a8", "#d9730d", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#1f2a37")
"""Colours of several methods or runs (after Okabe and Ito); more repeat them."""


def series_colour(index: int) -> str:
    """Colour of the index-th of several."""
    return SERIES[index % len(SERIES)]


def check_out(out: Path) -> None:
    """Refuse a file that exists or is no PNG, before anything is read."""
    if out.exists():
        raise UsageError(f"--out {out} exists already; choose another file or remove it")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} must end in .png")


def pyplot() -> Any:
    """matplotlib.pyplot, drawing to files, in the project's type."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": FAINT,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "legend.frameon": False,
        }
    )
    return plt


def dress(axes: "Axes", title: str = "", subtitle: str = "", grid: Literal["", "x", "y"] = "") -> None:
    """Title and muted subtitle at the left, two spines, grid lines of one axis (x or y) where asked for."""
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK, pad=20 if subtitle else 8)
    if subtitle:
        axes.annotate(
            subtitle, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=9,
            color=MUTED,
        )  # fmt: skip
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if grid:
        axes.set_axisbelow(True)
        axes.grid(axis=grid, which="both", color=GRID, linewidth=0.8)


def save(figure: "Figure", out: Path) -> Path:
    """Write the PNG, whole or not at all."""
    import matplotlib.pyplot as plt

    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.stem}.tmp.png")
    try:
        figure.savefig(temporary, dpi=160, facecolor="white")
        temporary.replace(out)
    finally:
        plt.close(figure)
        temporary.unlink(missing_ok=True)
    return out
