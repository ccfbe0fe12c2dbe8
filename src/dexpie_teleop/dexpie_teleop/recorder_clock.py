"""Recording times that go on evenly when somebody sets the wall clock; pure, both clocks are given."""

from __future__ import annotations

from typing import Final

STEP_NS: Final = 20_000_000  # a clock that is merely slewed moves by less between two looks


class RecordingClock:
    """Wall time at an episode's start plus the monotonic time since; all times in ns.

    `observe` is told both clocks, read at one moment; the other methods use its newest observation.
    """

    def __init__(self, wall_ns: int, monotonic_ns: int) -> None:
        self._base_ns, self._monotonic_base_ns = wall_ns, monotonic_ns
        self._offset_ns = wall_ns - monotonic_ns
        self._steps: list[tuple[float, float]] = []
        self._last_ns: dict[str, int] = {}
        self.now_ns = wall_ns

    def observe(self, wall_ns: int, monotonic_ns: int) -> None:
        """The clocks now."""
        self.now_ns = self._base_ns + monotonic_ns - self._monotonic_base_ns
        step_ns = wall_ns - monotonic_ns - self._offset_ns
        if abs(step_ns) > STEP_NS:
            self._steps.append(((self.now_ns - self._base_ns) * 1e-9, step_ns * 1e-9))
        self._offset_ns += step_ns

    def recording_ns(self, topic: str, received_ns: int) -> int:
        """Recording time of a message that arrived at this wall time; never falls within a topic.

        One that arrived before a step and is taken after it lies between its predecessor and now.
        """
        unstepped_ns = received_ns - self._offset_ns - self._monotonic_base_ns + self._base_ns
        earliest_ns = self._last_ns.get(topic, self._base_ns)
        self._last_ns[topic] = max(min(unstepped_ns, self.now_ns), earliest_ns)
        return self._last_ns[topic]

    def gaps(self) -> list[str]:
        """One sentence for each step of the wall clock."""
        return [
            f"wall clock: set by {step_s:+.3f} s at {at_s:.1f} s; header stamps jump there"
            for at_s, step_s in self._steps
        ]
