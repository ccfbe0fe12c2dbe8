"""Glove ergonomics to the six hand targets: linear per signal, ranges per user.

The six signals are those of the paper (4.1): thumb spread and flexion, MCP flexion of the four
fingers, in degrees, named as the glove's maker names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.action_space import HAND_DIM
from dexpie_core.se3 import Array

# In the order of action_space.HAND_CHANNELS.
CHANNEL_SIGNALS: Final = (
    "PinkyMCPStretch",
    "RingMCPStretch",
    "MiddleMCPStretch",
    "IndexMCPStretch",
    "ThumbMCPStretch",
    "ThumbMCPSpread",
)
GLOVE_SIGNALS: Final = CHANNEL_SIGNALS[::-1]
MIN_SPAN_DEG: Final = 10.0


@dataclass(frozen=True)
class RetargetConfig:
    """Ranges (degrees) at which each hand channel is fully open and fully closed, in channel order.

    The defaults are public figures for a six-joint hand driven by these gloves; capture your own.
    """

    open_deg: tuple[float, ...] = (5.0, 10.0, 10.0, 5.0, -10.0, -5.0)
    closed_deg: tuple[float, ...] = (70.0, 80.0, 85.0, 90.0, 60.0, 35.0)
    invert: tuple[bool, ...] = (False,) * HAND_DIM

    def __post_init__(self) -> None:
        for name in ("open_deg", "closed_deg", "invert"):
            if len(getattr(self, name)) != HAND_DIM:
                raise ValueError(f"retargeting.{name} needs {HAND_DIM} values, one a hand channel")
        for signal, low, high in zip(CHANNEL_SIGNALS, self.open_deg, self.closed_deg, strict=True):
            if high - low < MIN_SPAN_DEG:
                raise ValueError(
                    f"range of {signal} is {low}..{high} deg: capture at least {MIN_SPAN_DEG} deg"
                )


def hand_from_glove(angles_deg: Mapping[str, float], config: RetargetConfig | None = None) -> Array:
    """Hand targets (6,) in [0, 1], 1 = open. Raises ValueError on a missing or non-finite signal."""
    config = config or RetargetConfig()
    missing = [name for name in CHANNEL_SIGNALS if name not in angles_deg]
    if missing:
        raise ValueError(f"glove message lacks {', '.join(missing)}")
    angles = np.array([angles_deg[name] for name in CHANNEL_SIGNALS], dtype=np.float64)
    if not np.all(np.isfinite(angles)):
        raise ValueError("glove angles are not finite")
    low, high = np.array(config.open_deg), np.array(config.closed_deg)
    closed = np.clip((angles - low) / (high - low), 0.0, 1.0)
    hand: Array = np.where(config.invert, closed, 1.0 - closed)
    return hand


def glove_from_hand(hand: ArrayLike, config: RetargetConfig | None = None) -> dict[str, float]:
    """Glove angles (degrees, by signal name) that retarget to the hand targets (6,)."""
    config = config or RetargetConfig()
    hand = np.clip(np.asarray(hand, dtype=np.float64), 0.0, 1.0)
    closed = np.where(config.invert, hand, 1.0 - hand)
    low, high = np.array(config.open_deg), np.array(config.closed_deg)
    return dict(zip(CHANNEL_SIGNALS, (low + closed * (high - low)).tolist(), strict=True))
