"""What a recording lacks: messages lost on the way, gaps in a stream, late arrivals; pure, times are given.

Two independent counts: the publisher's sequence numbers show what was sent and did not arrive (a queue
overflowed, a datagram was lost); header stamps show what was never sent (a camera dropped a frame).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from dexpie_core import topics
from dexpie_core.topics import TopicSpec

DATASET_HZ: Final = 25.0
GAP_S: Final = 0.06
"""Two messages farther apart leave instants outside the alignment's tolerance of 30 ms."""
EDGE_S: Final = 0.3
"""How far from an episode's start and end the first and last message may lie."""
LATE_S: Final = 0.25
SILENT_S: Final = 0.5
JUMP_S: Final = 1.0
"""Stamps that advance by so much more or less than arrivals come from a clock that was set."""
PAUSE_S: Final = 1.0
"""An operator's stream that is silent for longer was put down on purpose."""

ALWAYS: Final = (topics.JOINT_STATES, topics.TCP_POSE, topics.HAND_STATE, topics.EXECUTED_ACTION)
OPERATOR: Final = (topics.TRACKER_POSE, topics.GLOVE, topics.TELEOP_ACTION)


@dataclass(frozen=True)
class Arrival:
    """One message: times in ns, and its number among those of its publisher (None: not known)."""

    stamp_ns: int  # header
    received_ns: int  # wall clock
    recorded_ns: int  # recording clock
    publisher: bytes = b""
    sequence: int | None = None


class StreamMonitor:
    """Counts for one topic. The order of calls: `pass_by` outside episodes, `begin`, `take`..., `gap`."""

    def __init__(self, spec: TopicSpec) -> None:
        self.spec = spec
        self.published = False
        """Whether somebody publishes it; kept up to date by the owner."""
        on_request = spec.rate_hz <= 1.0 or spec.qos == "command"
        # What a camera_info lacks its picture lacks as well, and says so.
        self._even = not on_request and spec.type != "sensor_msgs/msg/CameraInfo"
        self._sequences: dict[bytes, int] = {}
        self.begin(0)

    def begin(self, start_ns: int) -> None:
        """An episode starts."""
        self._start_ns = start_ns
        self._last: Arrival | None = None
        self._periods_s: deque[float] = deque(maxlen=51)
        self._open_gap_s = 0.0
        self._skipped = 0
        self._longest_s, self._longest_at_s = 0.0, 0.0
        self._jumps_s: list[float] = []
        self.count = self.lost = self.late = 0
        self.latest_s = 0.0

    @property
    def required(self) -> bool:
        """Whether its silence is a gap: what a dataset needs, and every steady stream that is published."""
        return self.spec in ALWAYS or (self._even and self.published and self.spec not in OPERATOR)

    @property
    def missing(self) -> int:
        """Messages that are not in the recording, for whatever reason."""
        return max(self.lost, self._skipped)

    def pass_by(self, publisher: bytes, sequence: int | None) -> int:
        """Note a message that is not recorded; returns how many were lost before it."""
        if sequence is None:
            return 0
        before = self._sequences.get(publisher, sequence - 1)
        self._sequences[publisher] = max(sequence, before)
        return max(sequence - before - 1, 0)

    def take(self, arrival: Arrival) -> None:
        """Note a message of the episode."""
        self.lost += self.pass_by(arrival.publisher, arrival.sequence)
        self.count += 1
        if self._even:
            self._note_interval(arrival)
        delay_s = (arrival.received_ns - arrival.stamp_ns) * 1e-9
        if delay_s > LATE_S and self.spec.qos != "latched":
            self.late += 1
            self.latest_s = max(self.latest_s, delay_s)
        self._last = arrival

    def _note_interval(self, arrival: Arrival) -> None:
        if self._last is None:
            self._note_edge((arrival.stamp_ns - self._start_ns) * 1e-9, 0.0)
            return
        interval_s = (arrival.stamp_ns - self._last.stamp_ns) * 1e-9
        passed_s = (arrival.recorded_ns - self._last.recorded_ns) * 1e-9
        if abs(interval_s - passed_s) > JUMP_S:
            self._jumps_s.append(interval_s)
            return
        self._close_gap(interval_s)
        if interval_s > max(GAP_S, 1.5 / self.spec.rate_hz):
            self._open_gap_s = interval_s
            self._note_longest(interval_s, (self._last.recorded_ns - self._start_ns) * 1e-9)
        elif interval_s > 0:
            self._periods_s.append(interval_s)

    def _close_gap(self, next_s: float) -> None:
        """Count what an interval skipped; a shorter one after it means that its message was merely late."""
        if self._open_gap_s:
            period_s = self._period_s()
            skipped = max(round((self._open_gap_s + min(next_s, period_s)) / period_s) - 2, 0)
            if self.spec not in OPERATOR or self._open_gap_s < PAUSE_S:
                self._skipped += skipped
        self._open_gap_s = 0.0

    def _note_longest(self, gap_s: float, at_s: float) -> None:
        if gap_s > self._longest_s and (self.spec not in OPERATOR or gap_s < PAUSE_S):
            self._longest_s, self._longest_at_s = gap_s, at_s

    def _note_edge(self, silence_s: float, at_s: float) -> None:
        if self.required and silence_s > EDGE_S:
            self._skipped += max(round(silence_s / self._period_s()) - 1, 1)
            self._note_longest(silence_s, at_s)

    def _period_s(self) -> float:
        slowest_s = 1.0 / min(self.spec.rate_hz, DATASET_HZ)
        if len(self._periods_s) < 3:
            return 1.0 / self.spec.rate_hz
        return min(median(self._periods_s), slowest_s)

    def silence_s(self, now_ns: int) -> float:
        """How long nothing has come, by the recording clock."""
        since_ns = self._start_ns if self._last is None else self._last.recorded_ns
        return (now_ns - since_ns) * 1e-9

    def reached(self, stamp_ns: int, now_ns: int) -> bool:
        """Whether no message with an earlier header stamp is to be expected any more."""
        if self._last is None or not self.required:
            return True
        return self._last.stamp_ns >= stamp_ns or self.silence_s(now_ns) > EDGE_S

    def trouble(self, now_ns: int) -> str:
        """What is wrong just now, for the operator; empty where nothing is."""
        silence_s = self.silence_s(now_ns)
        if self.required and silence_s > max(SILENT_S, 3.0 / self.spec.rate_hz):
            return f"{self.spec.name}: nothing for {silence_s:.1f} s"
        return f"{self.spec.name}: {self.missing} messages missing" if self.missing else ""

    def gap(self, end_ns: int) -> str:
        """One sentence on what the episode's recording of this topic lacks; empty where it is whole.

        To be called once, when the episode ends.
        """
        if self.count == 0:
            return f"{self.spec.name}: no messages" if self.required else ""
        if self._even:
            self._close_gap(math.inf)
            at_s = self.silence_s(end_ns)
            self._note_edge(at_s, (end_ns - self._start_ns) * 1e-9 - at_s)
        parts = []
        if self.missing:
            part = f"{self.missing} message{'s' * (self.missing > 1)} missing"
            if self.lost:
                part += f" ({self.lost} lost on the way)"
            if self._skipped:
                part += f", longest gap {self._longest_s:.2f} s at {self._longest_at_s:.1f} s"
            parts.append(part)
        parts += [f"header stamps jump by {jump_s:+.3f} s" for jump_s in self._jumps_s]
        if self.late:
            parts.append(f"{self.late} came more than {LATE_S:g} s late, the latest {self.latest_s:.2f} s")
        return f"{self.spec.name}: {'; '.join(parts)}" if parts else ""
