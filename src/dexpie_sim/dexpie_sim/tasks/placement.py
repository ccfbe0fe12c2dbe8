"""Where objects lie at the start of an episode: inside a range, or in the frame around it."""

import numpy as np

from dexpie_core.episode import Positions
from dexpie_core.se3 import Array


def draw_xy(
    rng: np.random.Generator,
    low_m: tuple[float, float],
    high_m: tuple[float, float],
    border_m: float,
    positions: Positions,
) -> Array:
    """A position (2,) in the rectangle (train), or in the frame of width `border_m` around it (held out)."""
    low, high = np.array(low_m), np.array(high_m)
    if positions == "train":
        return rng.uniform(low, high)
    while True:
        xy = rng.uniform(low - border_m, high + border_m)
        if np.any(xy < low) or np.any(xy > high):
            return xy
