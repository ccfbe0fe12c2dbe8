"""Whether values mean what they say: of rows valued alike, the return that came of them. Pure."""

from dataclasses import dataclass

import numpy as np

from dexpie_training.returns import Floats, Ints

RESAMPLES = 400


@dataclass(frozen=True, eq=False)
class Calibration:
    """Per group of rows (b,), ordered by value: mean value, mean return and its 95 % interval, rows."""

    value: Floats
    returns: Floats
    low: Floats
    high: Floats
    rows: Ints

    @property
    def error(self) -> float:
        """Mean absolute difference of value and return over the groups, weighed by their rows."""
        return float(np.average(np.abs(self.value - self.returns), weights=self.rows))


def calibration(
    values: Floats, returns: Floats, episode: Ints, groups: int = 10, seed: int = 0
) -> Calibration:
    """Calibration of values (N,) against returns (N,) in groups of about as many rows each.

    Rows of an episode (N,) resemble one another, so the interval is a bootstrap over whole episodes: the
    percentiles of the mean return when episodes are drawn again with replacement.
    """
    if len(values) == 0:
        raise ValueError("no rows to calibrate on")
    parts = np.array_split(np.argsort(values, kind="stable"), min(groups, len(values)))
    _, index = np.unique(episode, return_inverse=True)
    count = int(index.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)
    bounds = [_bounds(drawn, index[part], returns[part], count) for part in parts]
    return Calibration(
        value=np.array([values[part].mean() for part in parts]),
        returns=np.array([returns[part].mean() for part in parts]),
        low=np.array([low for low, _ in bounds]),
        high=np.array([high for _, high in bounds]),
        rows=np.array([len(part) for part in parts]),
    )


def _bounds(drawn: Floats, episode: Ints, returns: Floats, count: int) -> tuple[float, float]:
    """Percentiles of the mean return of rows, episodes being taken `drawn` (R, E) times."""
    rows = drawn @ np.bincount(episode, minlength=count)
    total = drawn @ np.bincount(episode, weights=returns, minlength=count)
    means = total[rows > 0] / rows[rows > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
