"""Hypothesis strategies for poses and actions."""

import numpy as np
from hypothesis import strategies as st

from dexpie_core import se3
from dexpie_core.action_space import pack

_unit = st.floats(-1.0, 1.0, allow_nan=False)
vectors = st.tuples(_unit, _unit, _unit).map(np.array)
transforms = st.builds(lambda v, p: se3.make(se3.rotation_from_rotvec(3.1 * v), p), vectors, vectors)
hands = st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6).map(np.array)
actions = st.builds(pack, transforms, hands)


def action_at(x: float = 0.0, y: float = 0.0, z: float = 0.4, hand: float = 1.0) -> np.ndarray:
    """An action (15,) with identity rotation."""
    return pack(se3.make(np.eye(3), [x, y, z]), np.full(6, hand))
