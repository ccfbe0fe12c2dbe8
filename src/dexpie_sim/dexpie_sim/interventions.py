"""What the modes of an episode's ticks say about interventions. Pure."""

from dataclasses import dataclass, replace

from dexpie_core.modes import Mode, ModeEvent


@dataclass(frozen=True)
class Intervention:
    """One takeover from a policy. Ticks are counted from the episode's start.

    announced: the operator's alarm, from which on it aligned. taken: the first tick that it drove. ended: the
    first tick that it did not drive any more, None where it drove to the end. refusals: takeovers that the
    executor refused before. reason: of the alarm.
    """

    announced: int
    taken: int
    ended: int | None = None
    refusals: int = 0
    reason: str = ""


class InterventionLog:
    """Takes every tick's mode and key presses in turn; `interventions` are those so far."""

    def __init__(self) -> None:
        self.interventions: list[Intervention] = []
        self._announced: int | None = None
        self._reason = ""
        self._asked = 0
        self._driving = False

    def tick(self, index: int, mode: Mode, events: list[ModeEvent], alarm: str) -> None:
        """One tick: the mode after it, the keys that were pressed at it, and the operator's alarm."""
        if ModeEvent.ALIGN in events and self._announced is None:
            self._announced, self._reason, self._asked = index, alarm, 0
        self._asked += events.count(ModeEvent.TAKEOVER)
        if mode is Mode.HUMAN and not self._driving:
            announced = index if self._announced is None else self._announced
            refusals = max(self._asked - 1, 0)
            self.interventions.append(Intervention(announced, index, None, refusals, self._reason))
        elif mode is not Mode.HUMAN and self._driving:
            self.interventions[-1] = replace(self.interventions[-1], ended=index)
        if mode in (Mode.HUMAN, Mode.AUTONOMOUS):
            self._announced, self._asked = None, 0
        self._driving = mode is Mode.HUMAN
