"""When an operator announces a takeover in the middle of an attempt and hands back; pure, explicit clock."""

from __future__ import annotations

from dataclasses import dataclass

from dexpie_core.modes import Mode


@dataclass
class TakeoverKeys:
    """The key presses of one takeover: announced `after_s` into the attempt, handed back after `hold_s`."""

    started_s: float
    after_s: float = 2.0
    hold_s: float = 2.0
    pause_s: float = 0.5  # between two announcements, where the operator gave the first one up
    _announced_s: float = float("-inf")
    _taken_s: float | None = None
    _handed_back: bool = False

    def due(self, now_s: float, mode: Mode) -> Mode | None:
        """The mode to ask for now, if any."""
        if self._handed_back:
            return None
        if mode is Mode.HUMAN:
            self._taken_s = now_s if self._taken_s is None else self._taken_s
            return Mode.AUTONOMOUS if now_s - self._taken_s >= self.hold_s else None
        if self._taken_s is not None:
            self._handed_back = True
            return None
        soonest_s = max(self.started_s + self.after_s, self._announced_s + self.pause_s)
        if mode is not Mode.AUTONOMOUS or now_s < soonest_s:
            return None
        self._announced_s = now_s
        return Mode.ALIGNING
