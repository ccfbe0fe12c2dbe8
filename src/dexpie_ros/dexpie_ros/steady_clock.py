"""Stamps that never go back: the wall-clock time of the start, carried on by the monotonic clock."""

import time

NS_PER_S = 1_000_000_000


class SteadyClock:
    """Agrees with the wall clock until somebody sets it; `step_s` says by how much that was."""

    def __init__(self) -> None:
        self._origin_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, as a clock that is never set."""
        return self._origin_ns + time.monotonic_ns()

    def step_s(self) -> float:
        """By how much the wall clock was set since the start, seconds."""
        return (time.time_ns() - self.now_ns()) / NS_PER_S
