"""The arm itself: joint reference, measured joints, what moves them, what it carries. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dexpie_core import ur5
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur.motion import Hold, Motion

_STANDING_RAD_S = 1e-3


@dataclass
class Load:
    """What hangs on the flange: payload (kg, m, kg m^2) and the transform (4, 4) flange -> TCP."""

    mass_kg: float = 0.0
    cog_m: Array = field(default_factory=lambda: np.zeros(3))
    inertia_kg_m2: Array = field(default_factory=lambda: np.zeros(6))
    tcp_offset: Array = field(default_factory=lambda: np.eye(4))


class Arm:
    """Joint reference (`q_ref`, target_q of the controller) and measured joints (`q`), rad and rad/s.

    Without physics outside the joints do in each cycle what the reference did one cycle before.
    """

    def __init__(self, q: Array) -> None:
        self.load = Load()
        self.motion: Motion = Hold()
        self.contact_force_n = 0.0
        self.at_limit = False
        self.q_ref = self.q = q
        self.qd_ref = self.qd = self.qdd_ref = np.zeros(6)

    @property
    def standing(self) -> bool:
        """Whether neither reference nor joints move."""
        fastest = max(float(np.max(np.abs(self.qd_ref))), float(np.max(np.abs(self.qd))))
        return fastest < _STANDING_RAD_S

    def step(self, dt_s: float, scaling: float, follows: bool) -> None:
        """Move the reference by one cycle; where nothing else moves the joints, they follow."""
        if follows:
            self.q, self.qd = self.q_ref, self.qd_ref
        q, qd = self.q_ref, np.zeros(6)
        if scaling > 0.0:
            q, qd = self.motion.step(self.q_ref, self.qd_ref, dt_s, scaling)
        limited = np.clip(q, -ur5.JOINT_LIMIT_RAD, ur5.JOINT_LIMIT_RAD)
        self.at_limit = bool(np.any(limited != q))
        self.qdd_ref = (qd - self.qd_ref) / dt_s
        self.q_ref, self.qd_ref = limited, qd

    def measure(self, q: Array, qd: Array, contact_force_n: float) -> None:
        """Take what the physics did with the joints."""
        self.q, self.qd, self.contact_force_n = q, qd, contact_force_n

    def carry(self, q: Array) -> None:
        """The joints were put somewhere else: stand there."""
        self.q_ref = self.q = q
        self.stand()

    def stand(self) -> None:
        """Hold the reference."""
        self.motion = Hold()
        self.qd_ref = self.qd = self.qdd_ref = np.zeros(6)
