"""Whether the hand is there: the states of the serial link and the rules that change them. Pure."""

from enum import Enum
from typing import Final


class LinkState(Enum):
    """AWAY: no port or no answer. SETTING_UP: limits are being written. UP: cycles run."""

    AWAY = "away"
    SETTING_UP = "setting up"
    UP = "up"


class LinkEvent(Enum):
    """OPENED: the port is ours. SET_UP: the hand took its settings. LOST: port gone, or hand silent."""

    OPENED = "opened"
    SET_UP = "set up"
    LOST = "lost"


TRANSITIONS: Final = {
    (LinkState.AWAY, LinkEvent.OPENED): LinkState.SETTING_UP,
    (LinkState.AWAY, LinkEvent.LOST): LinkState.AWAY,
    (LinkState.SETTING_UP, LinkEvent.SET_UP): LinkState.UP,
    (LinkState.SETTING_UP, LinkEvent.LOST): LinkState.AWAY,
    (LinkState.UP, LinkEvent.LOST): LinkState.AWAY,
}


class Link:
    """State, when to try again, and how many answers are missing. Times are monotonic seconds."""

    def __init__(self, max_missed: int, retry_period_s: float) -> None:
        self._max_missed = max_missed
        self._retry_period_s = retry_period_s
        self._retry_at_s = float("-inf")
        self._missed_in_a_row = 0
        self.state = LinkState.AWAY
        self.reason = "not connected yet"
        self.missed_answers = 0
        self.losses = 0

    def may_try(self, now_s: float) -> bool:
        """Whether it is time to try to open the port."""
        return self.state is LinkState.AWAY and now_s >= self._retry_at_s

    def opened(self) -> None:
        """The port is open."""
        self._missed_in_a_row = 0
        self._apply(LinkEvent.OPENED)

    def set_up(self) -> None:
        """The hand has its settings."""
        self._apply(LinkEvent.SET_UP)
        self.reason = ""

    def lost(self, now_s: float, reason: str) -> None:
        """The port could not be opened or is gone, or the hand is silent."""
        self.losses += self.state is LinkState.UP
        self._apply(LinkEvent.LOST)
        self.reason = reason
        self._retry_at_s = now_s + self._retry_period_s

    def answered(self) -> None:
        """A transaction succeeded."""
        self._missed_in_a_row = 0

    def missed(self) -> bool:
        """A transaction had no answer; whether the hand counts as away now."""
        self.missed_answers += 1
        self._missed_in_a_row += 1
        return self._missed_in_a_row >= self._max_missed

    def _apply(self, event: LinkEvent) -> None:
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            raise ValueError(f"a link that is {self.state.value} cannot be {event.value}")
        self.state = target
