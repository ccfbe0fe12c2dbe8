"""The bounds of a takeover: how far wrist and fingers may be from the robot's, told by finger."""

from dataclasses import dataclass

import numpy as np

from dexpie_core.action_space import HAND_CHANNELS
from dexpie_core.follower import Misalignment


@dataclass(frozen=True)
class AlignmentBounds:
    """Largest wrist rotation (rad) and largest error of a finger (fraction of its travel)."""

    rotation_rad: float
    hand: float

    def refusal(self, misalignment: Misalignment) -> str:
        """Why a takeover would be refused, every number beyond its bound named; empty where it would not."""
        parts = [self._wrist(misalignment.rotation_rad), self.hand_refusal(misalignment)]
        told = ", ".join(part for part in parts if part)
        return f"not aligned: {told}" if told else ""

    def hand_refusal(self, misalignment: Misalignment) -> str:
        """As `refusal`, of the fingers alone: 'index 0.70, thumb_bend 0.90 (at most 0.60 of the travel)'."""
        errors = np.abs(misalignment.hand)
        # Not `>`: an error that is not a number is no alignment.
        beyond = [
            f"{name} {error:.2f}"
            for name, error in zip(HAND_CHANNELS, errors, strict=True)
            if not error <= self.hand
        ]
        return f"{', '.join(beyond)} (at most {self.hand:.2f} of the travel)" if beyond else ""

    def _wrist(self, rotation_rad: float) -> str:
        if rotation_rad <= self.rotation_rad:
            return ""
        return f"wrist {np.degrees(rotation_rad):.0f} deg (at most {np.degrees(self.rotation_rad):.0f})"
