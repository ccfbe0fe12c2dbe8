"""Which rows a training step sees: functions of their arguments alone, so that a resumed run goes on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def batch_positions(count: int, batch_size: int, step: int, seed: int) -> Ints:
    """Positions (batch_size,) of a training step: successive slices of seeded permutations of 0..count-1.

    A function of its arguments alone, so that a resumed run continues where it stopped.
    """
    first = step * batch_size
    epochs = range(first // count, (first + batch_size - 1) // count + 1)
    order = np.concatenate([np.random.default_rng((seed, epoch)).permutation(count) for epoch in epochs])
    offset = first - epochs[0] * count
    return order[offset : offset + batch_size]


def quotas(weights: Sequence[float], batch_size: int) -> Ints:
    """Rows of every batch for each source (S,), in proportion to the weights by largest remainders.

    A source of positive weight has at least one. ValueError where that does not fit.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if not len(shares) or not np.all(np.isfinite(shares)) or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(f"weights {list(weights)} must not be negative, nor all be 0")
    if np.count_nonzero(shares) > batch_size:
        raise ValueError(f"a batch of {batch_size} has no room for {np.count_nonzero(shares)} sources")
    wanted = shares / shares.sum() * batch_size
    counts: Ints = np.maximum(np.floor(wanted), shares > 0).astype(np.int64)
    while counts.sum() != batch_size:
        missing = wanted - counts
        if counts.sum() < batch_size:
            counts[np.argmax(missing)] += 1
        else:
            counts[np.argmin(np.where(counts > 1, missing, np.inf))] -= 1
    return counts
