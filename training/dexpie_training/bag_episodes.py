"""Cuts bags into episodes: the streams that a dataset needs, as arrays, with header stamps."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_bags import BagReader, Loss
from dexpie_core import messages
from dexpie_core.errors import DexpieError
from dexpie_training.bag_messages import EVENT, MessageRows
from dexpie_training.recorded_topics import streams_of

SETTLE_NS: Final = 500_000_000
"""How long after an episode's end its last messages may still be recorded; later than that a message is
no longer news: an event is then the latched one of before the recording."""


@dataclass
class Stream:
    """Messages of one topic: header stamps, and of each one row of numbers; of a picture its number, counted
    over the bag's messages of the topic.
    """

    stamps_ns: list[int] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)

    def between(self, first_ns: int, last_ns: int) -> "Stream":
        """Messages stamped within [first, last], in order of their stamps."""
        order = np.argsort(np.asarray(self.stamps_ns, dtype=np.int64), kind="stable")
        kept = [i for i in order.tolist() if first_ns <= self.stamps_ns[i] <= last_ns]
        return Stream([self.stamps_ns[i] for i in kept], [self.rows[i] for i in kept])

    def stamps(self) -> NDArray[np.int64]:
        """Stamps (n,), ns."""
        return np.asarray(self.stamps_ns, dtype=np.int64)

    def values(self) -> NDArray[np.float64]:
        """Rows as one array (n, d)."""
        return np.asarray(self.rows, dtype=np.float64)


@dataclass(frozen=True)
class BagEpisode:
    """One episode of a bag. `end` is None where the recording stops before the episode does.

    Where the start was not recorded, `started` is False, `start` is the end (which repeats it), and there
    are no streams.
    """

    bag: Path
    start: Any  # dexpie_msgs/EpisodeEvent
    end: Any | None
    start_ns: int
    end_ns: int
    streams: dict[str, Stream]  # by our name of the topic, stamped within the episode
    state_names: tuple[str, ...]
    started: bool = True
    gaps: tuple[str, ...] = ()  # what the recording lacks, as the recorder and the bag tell it
    overlapped_by: str = ""  # the episode that began before this one's end was recorded; no streams then
    overlapped_ns: int = 0  # when that one began
    backwards: tuple[str, ...] = ()  # streams whose stamps go back within the episode, one sentence each
    unreadable: tuple[str, ...] = ()  # messages that could not be decoded, one sentence each
    losses: tuple[Loss, ...] = ()  # what of its recording could not be read

    @property
    def all_gaps(self) -> tuple[str, ...]:
        """What its rows lack, with what could not be read, one sentence each."""
        return (*self.gaps, *(f"recording: {loss}" for loss in self.losses))

    @property
    def where(self) -> str:
        """Names the episode in messages."""
        return f"{self.bag}: episode {self.start.episode_id}"


def read_episodes(bag: Path, remap: Mapping[str, str] | None = None) -> Iterator[BagEpisode]:
    """As episodes_of, of a bag that is opened for it."""
    with BagReader(bag, torn=True) as reader:
        yield from episodes_of(reader, remap)


def episodes_of(reader: BagReader, remap: Mapping[str, str] | None = None) -> Iterator[BagEpisode]:
    """Episodes of a bag in order, their numbers in memory one at a time, of pictures only the stamps.

    Only header stamps say what belongs to an episode, so a bag of one episode and a recording of a whole
    session give the same. remap: our names -> recorded names. What of a torn bag cannot be read is in the
    reader's `damage`; DexpieError, after the last episode, for messages outside of them that do not decode.
    """
    stream_of = streams_of(reader.path, reader.topics, remap or {})
    cutter, rows = _Cutter(reader), MessageRows(reader, stream_of)
    for connection, recorded_ns, cdr in reader.raw(stream_of):
        stream = stream_of[connection.topic]
        try:
            stamp_ns, row = rows.of(stream, connection, recorded_ns, cdr)
        except DexpieError as error:
            cutter.unreadable(str(error))
            continue
        if stream == EVENT:
            yield from cutter.event(row, recorded_ns)
        else:
            yield from cutter.take(stream, recorded_ns, stamp_ns, row)
            cutter.names = rows.state_names
    yield from cutter.finish()
    if cutter.stray:
        more = f" (and {len(cutter.stray) - 1} more)" if len(cutter.stray) > 1 else ""
        raise DexpieError(cutter.stray[0] + more)


class _Cutter:
    """Collects messages and hands out an episode once its end has settled."""

    def __init__(self, reader: BagReader) -> None:
        self._reader = reader
        self._bag = reader.path
        self._streams: dict[str, Stream] = {}
        self._start: Any | None = None
        self._end: Any | None = None
        self._start_recorded_ns = self._end_recorded_ns = 0
        self._ended_ids: set[str] = set()
        self._unended: dict[str, BagEpisode] = {}  # cut off by the start of another one
        self._foreign: Counter[str] = Counter()  # topic -> messages of the episode stamped at another time
        self._last_ns = 0
        self._unreadable: list[str] = []
        self.names: tuple[str, ...] = ()
        self.stray: list[str] = []
        """messages outside of episodes that could not be decoded"""

    def unreadable(self, why: str) -> None:
        """A message that cannot be decoded."""
        inside = self._start is not None and self._end is None
        (self._unreadable if inside else self.stray).append(why)

    def take(self, topic: str, recorded_ns: int, stamp_ns: int, row: Any) -> Iterator[BagEpisode]:
        """A message that is no event."""
        if self._end is not None and recorded_ns > self._end_recorded_ns + SETTLE_NS:
            yield self._cut()
        stream = self._streams.setdefault(topic, Stream())
        self._last_ns = stamp_ns
        stream.stamps_ns.append(stamp_ns)
        stream.rows.append(row)
        if self._start is None:
            self._forget(stamp_ns - SETTLE_NS)
        elif self._end is None:
            earliest_ns = messages.stamp_ns(self._start) - SETTLE_NS
            self._foreign[topic] += not earliest_ns <= stamp_ns <= recorded_ns + SETTLE_NS

    def finish(self) -> Iterator[BagEpisode]:
        """What is left at the end of the bag."""
        if self._start is not None:
            yield self._cut()
        yield from self._unended.values()

    def event(self, message: Any, recorded_ns: int) -> Iterator[BagEpisode]:
        """A start or an end."""
        opens = message.event == messages.EVENT_START
        if self._end is not None and (opens or recorded_ns > self._end_recorded_ns + SETTLE_NS):
            yield self._cut()
        yield from self._opened(message, recorded_ns) if opens else self._closed(message, recorded_ns)

    def _opened(self, message: Any, recorded_ns: int) -> Iterator[BagEpisode]:
        if self._start is not None and self._start.episode_id != message.episode_id:
            cut_off = self._cut(recorded_ns)
            if cut_off.losses:  # its end is among them, or nobody can tell
                yield cut_off
            else:
                start_ns = messages.stamp_ns(message)
                self._unended[cut_off.start.episode_id] = replace(
                    cut_off, streams={}, overlapped_by=message.episode_id, overlapped_ns=start_ns
                )
        if self._start is None:
            self._start_recorded_ns = recorded_ns
        self._start = message

    def _closed(self, message: Any, recorded_ns: int) -> Iterator[BagEpisode]:
        name = message.episode_id
        if self._start is not None and self._start.episode_id == name:
            self._end, self._end_recorded_ns = message, recorded_ns
        elif name in self._unended:
            yield replace(self._unended.pop(name), end=message)
        elif name not in self._ended_ids and _is_news(message, recorded_ns):
            if self._start is not None:
                yield self._cut()
            self._ended_ids.add(name)
            end_ns = messages.stamp_ns(message)
            losses = tuple(loss for loss in self._reader.losses if loss.within(0, recorded_ns))
            yield BagEpisode(
                self._bag, message, message, end_ns, end_ns, {}, self.names, started=False, losses=losses
            )

    def _cut(self, until_ns: int = 2**63) -> BagEpisode:
        """The episode in hand, whose end was not recorded before `until_ns` where there is none."""
        start, end = self._start, self._end
        assert start is not None
        start_ns = messages.stamp_ns(start)
        end_ns = self._last_ns if end is None else messages.stamp_ns(end)
        backwards = [_backwards(t, s, start_ns, end_ns) for t, s in self._streams.items()]
        streams = {topic: stream.between(start_ns, end_ns) for topic, stream in self._streams.items()}
        until_ns = until_ns if end is None else self._end_recorded_ns
        losses = [loss for loss in self._reader.losses if loss.within(self._start_recorded_ns, until_ns)]
        gaps = self._gaps(start, end)
        self._ended_ids.add(start.episode_id)
        self._start = self._end = None
        self._foreign.clear()
        self._forget(end_ns)
        unreadable, self._unreadable = tuple(self._unreadable), []
        return BagEpisode(
            self._bag, start, end, start_ns, end_ns, streams, self.names,
            gaps=gaps, backwards=tuple(text for text in backwards if text), unreadable=unreadable,
            losses=tuple(losses),
        )  # fmt: skip

    def _gaps(self, start: Any, end: Any | None) -> tuple[str, ...]:
        gaps = list(getattr(end, "gaps", ()))  # bags from before the field have none
        if not _is_news(start, self._start_recorded_ns):
            behind_s = (self._start_recorded_ns - messages.stamp_ns(start)) * 1e-9
            gaps.append(f"recording: begins {behind_s:.1f} s after the episode")
        gaps += [
            f"{topic}: {count} messages stamped outside the episode"
            for topic, count in sorted(self._foreign.items())
            if count
        ]
        return tuple(gaps)

    def _forget(self, before_ns: int) -> None:
        for stream in self._streams.values():
            if stream.stamps_ns and stream.stamps_ns[0] < before_ns - SETTLE_NS:
                recent = stream.between(before_ns, 2**62)
                stream.stamps_ns, stream.rows = recent.stamps_ns, recent.rows


def _backwards(topic: str, stream: Stream, first_ns: int, last_ns: int) -> str:
    """Where the stamps of an episode go back, in the order of recording; empty where they do not."""
    stamps = stream.stamps()
    stamps = stamps[(stamps >= first_ns) & (stamps <= last_ns)]
    back = np.flatnonzero(np.diff(stamps) < 0)
    if not len(back):
        return ""
    at, to = int(stamps[back[0]]), int(stamps[back[0] + 1])
    return f"{topic} at {at} ns: stamps go back by {(at - to) * 1e-6:.1f} ms ({len(back)} times)"


def _is_news(event: Any, recorded_ns: int) -> bool:
    return recorded_ns - messages.stamp_ns(event) <= SETTLE_NS


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """Bag folders among `paths` and one level below them, sorted; DexpieError where a path has none."""
    found: list[Path] = []
    for path in paths:
        here = [path] if (path / "metadata.yaml").exists() else []
        below = sorted(p.parent for p in path.glob("*/metadata.yaml") if not p.parent.name.startswith("."))
        if not here and not below:
            cut_off = any(path.glob("*.mcap")) or any(path.glob("*.db3"))
            hint = "; a recording that was cut off needs `ros2 bag reindex`" if cut_off else ""
            raise DexpieError(f"{path}: no rosbag2 folder (metadata.yaml) here or one level below{hint}")
        found += [bag for bag in here + below if bag not in found]
    return found
