"""Statistics of columns and pictures as LeRobot's format keeps them. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

QUANTILES: Final = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
SAMPLED_IMAGES: Final = 100  # of an episode; colours hardly differ between neighbours


def number_stats(values: NDArray[Any]) -> dict[str, list[float] | list[int]]:
    """Statistics of every column of values (n, k) or (n,), as lists of k (or 1) numbers; count is n."""
    rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    found = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        **{name: np.quantile(rows, q, axis=0) for name, q in QUANTILES.items()},
    }
    return {**{name: stat.tolist() for name, stat in found.items()}, "count": [len(rows)]}


@dataclass(frozen=True, eq=False)
class ColourCounts:
    """How often each of the 256 levels of each channel occurs, (3, 256), in so many pictures."""

    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 256), dtype=np.int64))
    images: int = 0

    @classmethod
    def of(cls, frames: NDArray[np.uint8]) -> "ColourCounts":
        """Counts of frames (n, H, W, 3), n > 0, of at most SAMPLED_IMAGES of them, evenly spread."""
        chosen = np.unique(
            np.linspace(0, len(frames) - 1, min(len(frames), SAMPLED_IMAGES)).round().astype(int)
        )
        channels = np.asarray(frames[chosen]).reshape(-1, 3)
        levels = np.stack([np.bincount(channels[:, c], minlength=256) for c in range(3)])
        return cls(levels, len(chosen))

    def __add__(self, other: "ColourCounts") -> "ColourCounts":
        return ColourCounts(self.levels + other.levels, self.images + other.images)


def image_stats(counts: ColourCounts) -> dict[str, Any]:
    """Statistics of every channel in [0, 1], each (3, 1, 1) as lists; count is the number of pictures."""
    value = np.arange(256) / 255.0
    share = counts.levels / counts.levels.sum(axis=1, keepdims=True)
    mean = share @ value
    deviation = np.sqrt(np.maximum(share @ value**2 - mean**2, 0.0))
    below = np.cumsum(share, axis=1)
    present = [value[levels > 0] for levels in counts.levels]
    found = {
        "min": [levels[0] for levels in present],
        "max": [levels[-1] for levels in present],
        "mean": mean,
        "std": deviation,
        **{name: [value[np.searchsorted(b, q)] for b in below] for name, q in QUANTILES.items()},
    }
    shaped = {name: [[[float(number)]] for number in stat] for name, stat in found.items()}
    return {**shaped, "count": [counts.images]}
