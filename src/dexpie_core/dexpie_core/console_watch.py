"""Whether the operator's console, once heard, is still there. Pure: times are given."""


class ConsoleWatch:
    """A console that was never heard, or that said goodbye, is not missed."""

    def __init__(self, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._heard_s: float | None = None

    def hear(self, now_s: float) -> None:
        """A life sign came."""
        self._heard_s = now_s

    def leave(self) -> None:
        """The console leaves on purpose."""
        self._heard_s = None

    def loss(self, now_s: float) -> str:
        """Why the console counts as lost at `now_s`; empty where it does not."""
        if self._heard_s is None or now_s - self._heard_s <= self._lost_after_s:
            return ""
        return f"console lost: silent for {now_s - self._heard_s:.1f} s"
