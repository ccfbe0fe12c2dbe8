"""The hand's own small mechanics, without physics: a finger that trails, meets things, jams. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LAG_S: Final = 0.03
"""Time by which a finger trails the motor's reference."""


@dataclass(frozen=True)
class Obstacle:
    """Something in the finger's way below `angle` (counts, 0 = closed).

    The force sensor feels a spring of stiffness_g (g a count); with `jams` the finger stops unfelt.
    """

    angle: float
    stiffness_g: float = 10.0
    jams: bool = False


class FingerMechanics:
    """Position (counts) and felt force (g) of one finger."""

    def __init__(self, position: float) -> None:
        self.position = position
        self.force_g = 0.0
        self.obstacle: Obstacle | None = None

    def step(self, dt_s: float, reference: float) -> None:
        """Follow the motor's reference for dt_s."""
        self.position += (reference - self.position) * (1.0 - math.exp(-dt_s / LAG_S))
        self.force_g = 0.0
        obstacle = self.obstacle
        if obstacle is None:
            return
        if obstacle.jams:
            self.position = max(self.position, obstacle.angle)
        else:
            self.force_g = obstacle.stiffness_g * max(obstacle.angle - self.position, 0.0)
