"""When a person who watches an attempt gives it up: it gets no further. Pure.

Paper A.2: an attempt that meets an exploration bottleneck is recorded as a failure, and corrected.
"""

from typing import Final

from dexpie_core.se3 import Array
from dexpie_sim.progress.oracle import RULES, ProgressOracle
from dexpie_sim.tasks.base import SceneReading

GIVE_UP_S: Final = 8.0
"""Of 45 attempts at the three tasks that succeeded, one stood still for longer (9.9 s), the others for 3.8 s
at most; of 31 that hovered until the time limit, 29 did."""


class Bottleneck:
    """Watches one attempt."""

    def __init__(self, task: str, give_up_s: float = GIVE_UP_S) -> None:
        self._oracle = ProgressOracle(task)
        self._steps = RULES[task].steps
        self._give_up_s = give_up_s

    def begin(self, now_s: float) -> None:
        """The attempt begins."""
        self._oracle.begin(now_s)

    def see(self, now_s: float, scene: SceneReading, tcp_T: Array, hand: Array) -> str:
        """Why the attempt has failed, for people; empty while it gets on. `now_s` never decreases."""
        assessed = self._oracle.see(now_s, scene, tcp_T, hand)
        if assessed.stalled_s <= self._give_up_s:
            return ""
        return f"given up, no progress for {self._give_up_s:g} s: {self._steps[assessed.step]}"
