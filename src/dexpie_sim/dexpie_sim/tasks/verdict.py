"""The verdict on an attempt: what has to hold for a while before it counts. Pure."""

from dataclasses import dataclass, replace

from dexpie_sim.tasks.base import Sensed


@dataclass(frozen=True)
class Verdict:
    """done_s, lost_s: for how long the goal, or a loss out of the hand, has held. The first verdict stays."""

    stage: str = "initial"
    done_s: float = 0.0
    lost_s: float = 0.0
    success: bool = False
    failure: bool = False
    reason: str = ""

    @property
    def given(self) -> bool:
        """Whether it is success or failure already."""
        return self.success or self.failure

    def after(
        self, dt_s: float, sensed: Sensed, dwell_s: float, done: bool, done_reason: str, lost_reason: str
    ) -> "Verdict":
        """The verdict `dt_s` later. lost_reason: why the attempt cannot go on, empty where it can."""
        done_s = self.done_s + dt_s if done else 0.0
        lost_s = self.lost_s + dt_s if lost_reason and not sensed.holds_object else 0.0
        verdict = replace(self, done_s=done_s, lost_s=lost_s)
        if done_s >= dwell_s:
            return replace(verdict, success=True, reason=done_reason)
        if sensed.protective_stop:
            return replace(verdict, failure=True, reason="protective stop")
        if lost_s >= dwell_s:
            return replace(verdict, failure=True, reason=lost_reason)
        return verdict
