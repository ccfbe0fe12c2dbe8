"""A person in data gloves: gestures in that person's own ranges, with the glove's noise. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dexpie_core.retargeting import CHANNEL_SIGNALS, RetargetConfig
from dexpie_core.se3 import Array

# How closed each channel is: pinky, ring, middle, index, thumb bend, thumb across.
GESTURES: Final = {
    "relaxed": (0.3, 0.3, 0.3, 0.3, 0.3, 0.3),
    "flat": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "thumb_to_palm": (0.0, 0.0, 0.0, 0.0, 1.0, 0.4),
    "fist_thumb_up": (1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    "thumb_across": (0.0, 0.0, 0.0, 0.0, 0.6, 1.0),
}
WAVE: Final = "wave"  # opens and closes all the time
WAVE_PERIOD_S: Final = 2.0
SPEED_PER_S: Final = 4.0  # from open to closed in a quarter of a second
NOISE_DEG: Final = 0.3
_FINGERS: Final = ("Index", "Middle", "Ring", "Pinky")


@dataclass(frozen=True)
class Person:
    """Angles (degrees, in channel order) of this person's open and closed hand."""

    open_deg: tuple[float, ...]
    closed_deg: tuple[float, ...]


def make_person(seed: int) -> Person:
    """Seed 0 has the public ranges; every other seed is a person of its own."""
    usual = RetargetConfig()
    if seed == 0:
        return Person(usual.open_deg, usual.closed_deg)
    rng = np.random.default_rng(seed)
    low = np.array(usual.open_deg) + rng.uniform(-6.0, 6.0, len(usual.open_deg))
    high = np.array(usual.closed_deg) + rng.uniform(-10.0, 10.0, len(usual.closed_deg))
    return Person(tuple(low.round(2).tolist()), tuple(high.round(2).tolist()))


class GlovedHand:
    """One hand: moves towards the gesture it was told, at the speed of a hand."""

    def __init__(self, person: Person, seed: int) -> None:
        self.person = person
        self._gesture = "relaxed"
        self._closed = np.array(GESTURES[self._gesture])
        self._time_s = 0.0
        self._rng = np.random.default_rng(seed)

    @property
    def gesture(self) -> str:
        """What the hand does or is on its way to."""
        return self._gesture

    @gesture.setter
    def gesture(self, name: str) -> None:
        if name != WAVE and name not in GESTURES:
            raise ValueError(f"no gesture {name!r}; choose from {', '.join([*GESTURES, WAVE])}")
        self._gesture = name

    def step(self, elapsed_s: float) -> dict[str, float]:
        """Angles (degrees) of the twenty signals after `elapsed_s` more."""
        self._time_s += elapsed_s
        wish = self._wish()
        self._closed += np.clip(wish - self._closed, -SPEED_PER_S * elapsed_s, SPEED_PER_S * elapsed_s)
        low, high = np.array(self.person.open_deg), np.array(self.person.closed_deg)
        channels = dict(zip(CHANNEL_SIGNALS, (low + self._closed * (high - low)).tolist(), strict=True))
        angles = all_signals(channels)
        noise_deg = self._rng.normal(0.0, NOISE_DEG, len(angles))
        return {name: value + float(e) for (name, value), e in zip(angles.items(), noise_deg, strict=True)}

    def _wish(self) -> Array:
        if self._gesture == WAVE:
            return np.full(6, 0.5 - 0.5 * np.cos(2.0 * np.pi * self._time_s / WAVE_PERIOD_S))
        return np.array(GESTURES[self._gesture])


def all_signals(channels: dict[str, float]) -> dict[str, float]:
    """The twenty signals in the SDK's order, of the six that matter; the other joints bend along."""
    thumb = channels["ThumbMCPStretch"]
    angles = {
        "ThumbMCPSpread": channels["ThumbMCPSpread"],
        "ThumbMCPStretch": thumb,
        "ThumbPIPStretch": 0.8 * thumb,
        "ThumbDIPStretch": 0.6 * thumb,
    }
    for finger in _FINGERS:
        mcp = channels[f"{finger}MCPStretch"]
        angles |= {
            f"{finger}Spread": 0.0,
            f"{finger}MCPStretch": mcp,
            f"{finger}PIPStretch": 1.1 * mcp,
            f"{finger}DIPStretch": 0.7 * mcp,
        }
    return angles
