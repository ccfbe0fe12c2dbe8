"""The streamed motion: from the pose where it begins to the newest accepted target. Pure."""

from __future__ import annotations

from dexpie_core.se3 import Array
from dexpie_hardware.ur5.checks import CommandChecks, Here
from dexpie_hardware.ur5.interpolator import Interpolator
from dexpie_hardware.ur5.parameters import Ur5Parameters


class Stream:
    """Begins at rest at the measured pose; from then on only what was commanded counts."""

    def __init__(self, start: Here, parameters: Ur5Parameters, checks: CommandChecks) -> None:
        self._p = parameters
        self._checks = checks
        self._interpolator = Interpolator(start.T, parameters.bounds, parameters.period_s)
        self._target = start.T
        # The model's joints, not the measured ones: a calibrated arm differs from it by some mrad.
        model_q = checks.joints(start.T, start.q_rad)
        self.q_rad = start.q_rad if model_q is None else model_q
        self.blocked = False  # the last step's pose could not be commanded

    @property
    def here(self) -> Here:
        """Where the next command has to begin: the last target, and joints near it."""
        return Here(self._target, self.q_rad)

    def add(self, T: Array, due_s: float) -> None:
        """Go on to a target (4, 4)."""
        self._interpolator.add(due_s + self._p.follow_delay_s, T)
        self._target = T

    def step(self, now_s: float) -> Array:
        """Pose (4, 4) of this cycle; the one before, as the end, where the joints cannot go on."""
        before = self._interpolator.commanded
        T = self._interpolator.step(now_s)
        q = self._checks.next_joints(T, self.q_rad)
        self.blocked = q is None
        if q is None:
            self._interpolator = Interpolator(before, self._p.bounds, self._p.period_s)
            self._target = before
            return before
        self.q_rad = q
        return T
