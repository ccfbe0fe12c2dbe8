"""When an episode is over, from what the scene says; pure, driven by an explicit clock."""

from __future__ import annotations

from dataclasses import dataclass

from dexpie_core.episode import Outcome


@dataclass(frozen=True)
class Verdict:
    """How an episode ended."""

    outcome: Outcome
    reason: str


@dataclass
class EpisodeWatch:
    """Ends an episode `settle_s` after its success, at its failure, or when `limit_s` is over (seconds)."""

    started_s: float
    limit_s: float
    settle_s: float = 0.4
    lost_after_s: float = 3.0  # no scene state for so long: the simulated cell is gone
    _success_s: float | None = None
    _heard_s: float | None = None

    def heard(self, now_s: float, success: bool, failure: bool, reason: str) -> Verdict | None:
        """Take a scene state in; the verdict once there is one."""
        self._heard_s = now_s
        if failure:
            return Verdict("failure", reason or "the scene says that the task has failed")
        if not success:
            self._success_s = None
        elif self._success_s is None:
            self._success_s = now_s
        if self._success_s is not None and now_s - self._success_s >= self.settle_s:
            return Verdict("success", reason)
        return None

    def passed(self, now_s: float) -> Verdict | None:
        """The verdict that time alone brings."""
        silent_s = now_s - (self._heard_s if self._heard_s is not None else self.started_s)
        if silent_s >= self.lost_after_s:
            return Verdict("discard", f"no scene state for {self.lost_after_s:g} s")
        return self.over(now_s)

    def over(self, now_s: float) -> Verdict | None:
        """The verdict that the limit brings, whether or not there is a scene to hear of."""
        if now_s - self.started_s >= self.limit_s:
            return Verdict("failure", f"not done after {self.limit_s:g} s")
        return None
