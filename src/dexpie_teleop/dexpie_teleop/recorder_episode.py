"""The running episode: its bag, its recording clock, and what its streams lack. Knows bytes, not ROS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dexpie_bags import EpisodeBagWriter, header_stamp_ns
from dexpie_core import topics
from dexpie_core.episode import EpisodeStart
from dexpie_core.topics import TopicSpec
from dexpie_teleop.recorder_clock import RecordingClock
from dexpie_teleop.recorder_streams import Arrival, StreamMonitor


class RecordedEpisode:
    """Begins with construction; `take` and `event` write, `finish` closes. Raises WriteError (dexpie_bags).

    writer: None where episodes are announced and nothing is recorded.
    """

    def __init__(
        self,
        start: EpisodeStart,
        writer: EpisodeBagWriter | None,
        clock: RecordingClock,
        streams: Mapping[str, StreamMonitor],
    ) -> None:
        self.start, self.clock = start, clock
        self.start_ns = clock.now_ns
        self._writer, self._streams = writer, streams
        for stream in streams.values():
            stream.begin(self.start_ns)

    def event(self, cdr: bytes) -> None:
        """Write the START or END."""
        self.write(topics.EPISODE_EVENT, self.clock.now_ns, cdr)

    def take(
        self, spec: TopicSpec, cdr: bytes, received_ns: int, publisher: bytes, sequence: int | None
    ) -> None:
        """Write a message that has arrived, and count it."""
        recorded_ns = self.clock.recording_ns(spec.name, received_ns)
        arrival = Arrival(header_stamp_ns(cdr), received_ns, recorded_ns, publisher, sequence)
        self._streams[spec.name].take(arrival)
        self.write(spec, recorded_ns, cdr)

    def write(self, spec: TopicSpec, recorded_ns: int, cdr: bytes) -> None:
        """Write a message that is not counted."""
        if self._writer is None:
            return
        if spec.name not in self._writer.topics:
            self._writer.add_topic(spec)
        self._writer.write(spec.name, recorded_ns, cdr)

    def flush(self) -> None:
        """Put what was written where a kill cannot lose it."""
        if self._writer is not None:
            self._writer.flush()

    def flush_if_due(self) -> None:
        """Flush twice a second, though nothing comes."""
        if self._writer is not None:
            self._writer.flush_if_due(self.clock.now_ns)

    @property
    def length_s(self) -> float:
        """Duration so far."""
        return (self.clock.now_ns - self.start_ns) * 1e-9

    @property
    def messages(self) -> int:
        """Messages written."""
        return sum(self._writer.counts.values()) if self._writer is not None else 0

    def counts(self) -> dict[str, int]:
        """Messages lost on the way, missing for whatever reason, and late, over all streams."""
        streams = self._streams.values()
        return {
            "lost_messages": sum(stream.lost for stream in streams),
            "missing_messages": sum(stream.missing for stream in streams),
            "late_messages": sum(stream.late for stream in streams),
        }

    def troubles(self) -> list[str]:
        """What is wrong just now, one sentence a stream."""
        found = (stream.trouble(self.clock.now_ns) for stream in self._streams.values())
        return [trouble for trouble in found if trouble]

    def gaps(self) -> tuple[str, ...]:
        """What the recording lacks; to be called once, at the end."""
        found = [stream.gap(self.clock.now_ns) for stream in self._streams.values()]
        return tuple(gap for gap in [*self.clock.gaps(), *found] if gap)

    def complete(self, end_ns: int) -> bool:
        """Whether every stream that still delivers has come to an instant of header time."""
        now_ns = self.clock.now_ns
        return all(stream.reached(end_ns, now_ns) for stream in self._streams.values())

    def finish(self) -> Path | None:
        """Close the bag; it is durable when this returns."""
        return self._writer.finish() if self._writer is not None else None

    def abandon(self) -> None:
        """Leave nothing behind of an episode that could not begin."""
        if self._writer is not None:
            self._writer.discard()
