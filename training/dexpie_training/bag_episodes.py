"""Cuts bags into episodes: the streams that a dataset needs, as arrays, with header stamps."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_bags import BagReader
from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError

SETTLE_NS: Final = 500_000_000
"""How long after an episode's end its last messages may still be recorded; later than that a message is
no longer news: an event is then the latched one of before the recording."""


@dataclass
class Stream:
    """Messages of one topic: header stamps and one row of numbers (or the JPEG bytes) each."""

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
    streams: dict[str, Stream]  # by topic, stamped within the episode
    state_names: tuple[str, ...]
    started: bool = True
    gaps: tuple[str, ...] = ()  # what the recording lacks, as the recorder and the bag tell it

    @property
    def where(self) -> str:
        """Names the episode in messages."""
        return f"{self.bag}: episode {self.start.episode_id}"


def _pose_numbers(pose: Any) -> tuple[float, ...]:
    p, q = pose.position, pose.orientation
    return p.x, p.y, p.z, q.x, q.y, q.z, q.w


def _executed(message: Any) -> tuple[float, ...]:
    return *_pose_numbers(message.pose), *message.hand.tolist(), message.source, message.mode


EXTRACT: Final[dict[str, Callable[[Any], Any]]] = {
    topics.JOINT_STATES.name: messages.joint_positions,
    topics.TCP_POSE.name: lambda m: _pose_numbers(m.pose),
    topics.HAND_STATE.name: lambda m: m.position,
    topics.EXECUTED_ACTION.name: _executed,
    topics.SCENE_STATE.name: lambda m: m.values,
    **{topics.compressed_image(camera).name: (lambda m: m.data) for camera in topics.CAMERAS},
}


def read_episodes(bag: Path) -> Iterator[BagEpisode]:
    """Episodes of a bag in order, held in memory one at a time.

    Only header stamps say what belongs to an episode, so a bag of one episode and a recording of a whole
    session give the same. Raises DexpieError.
    """
    with BagReader(bag) as reader:
        present = set(reader.topics)
        if topics.EPISODE_EVENT.name not in present:
            raise DexpieError(
                f"{bag}: topic {topics.EPISODE_EVENT.name} is missing, so there are no episodes in it"
            )
        for camera in topics.CAMERAS:
            raw, jpeg = topics.raw_image(camera).name, topics.compressed_image(camera).name
            if raw in present and jpeg not in present:
                raise DexpieError(f"{bag}: it holds {raw} but not {jpeg}: record the compressed images")
        cutter = _Cutter(bag)
        for record in reader.messages((set(EXTRACT) | {topics.EPISODE_EVENT.name}) & present):
            yield from cutter.take(record.topic, record.stamp_ns, record.message)
        yield from cutter.finish()


class _Cutter:
    """Collects messages and hands out an episode once its end has settled."""

    def __init__(self, bag: Path) -> None:
        self._bag = bag
        self._streams: dict[str, Stream] = {}
        self._start: Any | None = None
        self._end: Any | None = None
        self._start_recorded_ns = self._end_recorded_ns = 0
        self._ended_ids: set[str] = set()
        self._foreign: Counter[str] = Counter()  # topic -> messages of the episode stamped at another time
        self._names: tuple[str, ...] = ()
        self._last_ns = 0

    def take(self, topic: str, recorded_ns: int, message: Any) -> Iterator[BagEpisode]:
        settled = self._end is not None and recorded_ns > self._end_recorded_ns + SETTLE_NS
        opens = topic == topics.EPISODE_EVENT.name and message.event == messages.EVENT_START
        if settled or (opens and self._end is not None):
            yield self._cut()
        if topic == topics.EPISODE_EVENT.name:
            yield from self._event(message, recorded_ns)
            return
        if topic == topics.SCENE_STATE.name and not self._names:
            self._names = tuple(message.names)
        stream = self._streams.setdefault(topic, Stream())
        self._last_ns = messages.stamp_ns(message)
        stream.stamps_ns.append(self._last_ns)
        try:
            stream.rows.append(EXTRACT[topic](message))
        except ValueError as error:
            raise DexpieError(f"{self._bag}: {topic} at {self._last_ns} ns: {error}") from None
        if self._start is None:
            self._forget(self._last_ns - SETTLE_NS)
        elif self._end is None:
            earliest_ns = messages.stamp_ns(self._start) - SETTLE_NS
            self._foreign[topic] += not earliest_ns <= self._last_ns <= recorded_ns + SETTLE_NS

    def finish(self) -> Iterator[BagEpisode]:
        if self._start is not None:
            yield self._cut()

    def _event(self, message: Any, recorded_ns: int) -> Iterator[BagEpisode]:
        if message.event == messages.EVENT_START:
            if self._start is None:
                self._start_recorded_ns = recorded_ns
            elif self._start.episode_id != message.episode_id:
                yield self._cut()  # the end of the one before was never recorded
                self._start_recorded_ns = recorded_ns
            self._start = message
        elif self._start is not None and self._start.episode_id == message.episode_id:
            self._end, self._end_recorded_ns = message, recorded_ns
        elif message.episode_id not in self._ended_ids and _is_news(message, recorded_ns):
            if self._start is not None:
                yield self._cut()
            self._ended_ids.add(message.episode_id)
            end_ns = messages.stamp_ns(message)
            yield BagEpisode(self._bag, message, message, end_ns, end_ns, {}, self._names, started=False)

    def _cut(self) -> BagEpisode:
        start, end = self._start, self._end
        assert start is not None
        start_ns = messages.stamp_ns(start)
        end_ns = self._last_ns if end is None else messages.stamp_ns(end)
        streams = {topic: stream.between(start_ns, end_ns) for topic, stream in self._streams.items()}
        gaps = self._gaps(start, end)
        self._ended_ids.add(start.episode_id)
        self._start = self._end = None
        self._foreign.clear()
        self._forget(end_ns)
        return BagEpisode(self._bag, start, end, start_ns, end_ns, streams, self._names, gaps=gaps)

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
