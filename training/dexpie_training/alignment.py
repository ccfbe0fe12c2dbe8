"""Puts the streams of an episode onto one 25 Hz grid. The rule is stated in ALIGNMENT_RULE."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dexpie_core import se3, topics
from dexpie_core.errors import DexpieError
from dexpie_core.executor import Source
from dexpie_training.bag_episodes import BagEpisode, Stream
from dexpie_training.interpolation import between, bracket, pose9_between
from dexpie_training.interpolation import nearest as nearest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rule = Literal["nearest", "interpolated"]

ALIGNMENT_RULE: Final = (
    "anchor: stamp of the front image, where there are images, else of /executor/action; within the "
    "episode's start and end; thinned to a regular grid where images come faster than the rate. "
    "Every stream: the message whose header stamp is nearest to the anchor, if within tolerance; where "
    "the setting says interpolated, between the message before and the one after, if both are; only "
    "messages stamped within the episode count. "
    "Action: the nearest /executor/action, shifted by action_offset_rows. A row with a stream outside "
    "tolerance is left out and counted."
)
ERROR_BIN_MS: Final = 1.0
"""Width of the bins in which alignment errors are counted; the last one holds all that are larger."""
ERROR_BINS: Final = 50


class MissingStreamError(DexpieError):
    """An episode without a stream that every row needs."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How rows are made of streams."""

    rate_hz: float = 25.0
    """rows per second"""
    tolerance_s: float = 0.030
    """largest distance between an anchor and the message that is taken for it [s]"""
    action_offset_rows: int = 0
    """the action of row t is the one sent this many ticks later (camera latency) [ticks]"""
    use_images: bool = True
    """take images where the bags have them; False leaves them out"""
    joints: Rule = "nearest"
    """arm joint angles: the nearest message, or interpolated between two"""
    tcp: Rule = "nearest"
    """measured TCP pose: likewise (position on a line, rotation along a geodesic)"""
    hand: Rule = "nearest"
    """measured hand position: likewise"""

    def rule_of(self, topic: str) -> Rule:
        """How this stream is aligned."""
        rules: dict[str, Rule] = {
            topics.JOINT_STATES.name: self.joints,
            topics.TCP_POSE.name: self.tcp,
            topics.HAND_STATE.name: self.hand,
        }
        return rules.get(topic, "nearest")


@dataclass(frozen=True)
class AlignedEpisode:
    """Rows of one episode, (n, ...) each; `images` are the numbers of the pictures in their bag's topics."""

    stamp_ns: Ints
    arm_q: Floats
    tcp_pose: Floats
    hand_q: Floats
    action: Floats
    intervention: Bools
    mode: NDArray[np.uint8]
    state: Floats | None
    images: dict[str, Ints]
    anchors: int  # before rows were left out
    left_out: dict[str, int] = field(default_factory=dict)  # topic -> rows outside its tolerance
    worst_error_s: dict[str, float] = field(default_factory=dict)  # topic -> among the rows that were kept
    dropped: tuple[dict[str, Any], ...] = ()  # runs of rows that were left out, and why
    error_counts: dict[str, list[int]] = field(
        default_factory=dict
    )  # topic -> kept rows by error, ERROR_BIN_MS
    missing_anchors: int = 0  # points of the grid at which no anchor was recorded

    def picked(self, rows: Ints | Bools) -> "AlignedEpisode":
        """Some of the rows, by number or by a mask (n,); what is said of the episode stays."""
        columns = ("stamp_ns", "arm_q", "tcp_pose", "hand_q", "action", "intervention", "mode")
        chosen: dict[str, Any] = {name: getattr(self, name)[rows] for name in columns}
        state = None if self.state is None else self.state[rows]
        images = {camera: numbers[rows] for camera, numbers in self.images.items()}
        return replace(self, state=state, images=images, **chosen)


def thin_to_rate(stamps: Ints, rate_hz: float) -> Ints:
    """Stamps of a stream that is faster than the rate, the nearest one to each point of a grid.

    A stream at the rate (period over three quarters of the grid's) is returned as it is.
    """
    period_ns = 1e9 / rate_hz
    if len(stamps) < 2 or np.median(np.diff(stamps)) > 0.75 * period_ns:
        return stamps
    points = stamps[0] + np.arange(int((stamps[-1] - stamps[0]) / period_ns) + 1) * period_ns
    return np.unique(stamps[nearest(points.round().astype(np.int64), stamps)])


def align(episode: BagEpisode, config: AlignmentConfig) -> AlignedEpisode:
    """Rows of an episode; MissingStreamError where a stream that every row needs is missing."""
    cameras = [c for c in topics.CAMERAS if config.use_images and _image_topic(c) in episode.streams]
    anchors = _anchors(episode, cameras, config)
    needed = [topics.EXECUTED_ACTION, topics.JOINT_STATES, topics.TCP_POSE, topics.HAND_STATE]
    names = [spec.name for spec in needed] + [_image_topic(c) for c in cameras]
    if topics.SCENE_STATE.name in episode.streams:
        names.append(topics.SCENE_STATE.name)
    errors = {n: _error_s(_stream(episode, n).stamps(), anchors, config.rule_of(n)) for n in names}
    within = {name: error <= config.tolerance_s for name, error in errors.items()}
    action = topics.EXECUTED_ACTION.name
    shifted = nearest(anchors, episode.streams[action].stamps()) + config.action_offset_rows
    within[action] &= (shifted >= 0) & (shifted < len(episode.streams[action].stamps_ns))
    kept = np.logical_and.reduce(list(within.values()))
    rows = _Rows(episode, anchors[kept], config, shifted[kept])
    return rows.aligned(
        cameras,
        anchors=len(anchors),
        left_out={name: int((~ok).sum()) for name, ok in within.items() if not ok.all()},
        worst_error_s={n: float(e[kept].max()) if kept.any() else 0.0 for n, e in errors.items()},
        dropped=_dropped_runs(anchors, kept, within, errors, config.tolerance_s),
        error_counts={n: _counts(e[kept]) for n, e in errors.items()},
        missing_anchors=_missing(anchors, config.rate_hz),
    )


class _Rows:
    """Columns at the anchors that were kept."""

    def __init__(self, episode: BagEpisode, anchors: Ints, config: AlignmentConfig, actions: Ints) -> None:
        self._episode, self._anchors, self._config, self._actions = episode, anchors, config, actions

    def aligned(self, cameras: list[str], **account: Any) -> AlignedEpisode:
        """The episode's rows; `account` says what was left out and how well the rest fits."""
        executed = self._column(topics.EXECUTED_ACTION.name, 15, self._actions)
        scene = topics.SCENE_STATE.name
        return AlignedEpisode(
            stamp_ns=self._anchors,
            arm_q=self._measured(topics.JOINT_STATES.name, 6),
            tcp_pose=self._measured(topics.TCP_POSE.name, 7),
            hand_q=self._measured(topics.HAND_STATE.name, 6),
            action=np.concatenate([_pose9(executed[:, :7]), executed[:, 7:13]], axis=1),
            intervention=executed[:, 13] == Source.HUMAN,
            mode=executed[:, 14].astype(np.uint8),
            state=self._column(scene, -1, self._nearest(scene)) if scene in self._episode.streams else None,
            images={c: self._pictures(_image_topic(c)) for c in cameras},
            **account,
        )

    def _measured(self, name: str, width: int) -> Floats:
        """A stream of measurements by its rule; poses come back as pose9."""
        is_pose = name == topics.TCP_POSE.name
        if self._config.rule_of(name) == "nearest" or not len(self._anchors):
            column = self._column(name, width, self._nearest(name))
            return _pose9(column) if is_pose else column
        before, after, fraction = bracket(self._anchors, self._episode.streams[name].stamps())
        first, second = (self._column(name, width, indices) for indices in (before, after))
        if is_pose:
            return pose9_between(_pose9(first), _pose9(second), fraction)
        return between(first, second, fraction)

    def _nearest(self, name: str) -> Ints:
        return nearest(self._anchors, self._episode.streams[name].stamps())

    def _pictures(self, name: str) -> Ints:
        return np.asarray(self._episode.streams[name].rows, dtype=np.int64)[self._nearest(name)]

    def _column(self, name: str, width: int, indices: Ints) -> Floats:
        values = self._episode.streams[name].values()[indices]
        if not np.all(np.isfinite(values)):
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            at_ns = self._episode.streams[name].stamps_ns[int(indices[row])]
            raise DexpieError(f"{self._episode.where}: {name} at {at_ns} ns is not finite")
        return values.reshape(len(indices), width) if width > 0 else values


def missing_text(topic: str, start_ns: int) -> str:
    """Says that an episode, which begins at `start_ns`, has nothing of a topic."""
    return f"{topic} at {start_ns} ns: has no messages from here to the episode's end"


def _stream(episode: BagEpisode, name: str) -> Stream:
    stream = episode.streams.get(name)
    if stream is None or not stream.stamps_ns:
        raise MissingStreamError(f"{episode.where}: {missing_text(name, episode.start_ns)}")
    return stream


def _error_s(stamps: Ints, anchors: Ints, rule: Rule) -> Floats:
    """Distance of what is taken from its anchor: of the nearest message, or of the farther one of two [s]."""
    if rule == "nearest":
        distance_ns: Ints = np.abs(stamps[nearest(anchors, stamps)] - anchors)
        return distance_ns.astype(np.float64) * 1e-9
    before, after, _ = bracket(anchors, stamps)
    distance_ns = np.maximum(np.abs(anchors - stamps[before]), np.abs(stamps[after] - anchors))
    return distance_ns.astype(np.float64) * 1e-9


def _anchors(episode: BagEpisode, cameras: list[str], config: AlignmentConfig) -> Ints:
    name = _image_topic(cameras[0]) if cameras else topics.EXECUTED_ACTION.name
    stamps = _stream(episode, name).stamps()
    stamps = stamps[(stamps >= episode.start_ns) & (stamps <= episode.end_ns)]
    return thin_to_rate(np.unique(stamps), config.rate_hz)


def _dropped_runs(
    anchors: Ints, kept: Bools, within: dict[str, Bools], errors: dict[str, Floats], tolerance_s: float
) -> tuple[dict[str, Any], ...]:
    """Rows that were left out, in runs of neighbours with the same reason."""
    names = list(within)
    outside = np.stack([~within[name] for name in names], axis=1)
    dropped = np.flatnonzero(~kept)
    if not len(dropped):
        return ()
    apart = (np.diff(dropped) > 1) | (outside[dropped[1:]] != outside[dropped[:-1]]).any(axis=1)
    runs = np.split(dropped, np.flatnonzero(apart) + 1)
    return tuple(
        {
            "first_ns": int(anchors[run[0]]),
            "last_ns": int(anchors[run[-1]]),
            "rows": len(run),
            "why": {
                names[i]: _why(float(errors[names[i]][run].max()), tolerance_s)
                for i in np.flatnonzero(outside[run[0]])
            },
        }
        for run in runs
    )


def _why(error_s: float, tolerance_s: float) -> str:
    if error_s <= tolerance_s:
        return "action_offset_rows reaches beyond the episode"
    return f"message up to {1e3 * error_s:.1f} ms away"


def _counts(errors_s: Floats) -> list[int]:
    bins = np.minimum((errors_s * 1e3 / ERROR_BIN_MS).astype(np.int64), ERROR_BINS - 1)
    counts = np.bincount(bins, minlength=ERROR_BINS).tolist()
    while counts and counts[-1] == 0:
        counts.pop()
    return [int(count) for count in counts]


def _missing(anchors: Ints, rate_hz: float) -> int:
    steps = np.round(np.diff(anchors) * 1e-9 * rate_hz)
    return int(np.maximum(steps - 1, 0).sum())


def _image_topic(camera: str) -> str:
    return topics.compressed_image(camera).name


def _pose9(numbers: Floats) -> Floats:
    """xyz + quaternion xyzw (n, 7) -> pose9 (n, 9)."""
    if not len(numbers):
        return np.zeros((0, 9))
    return se3.pose9_from_matrix(se3.matrix_from_pos_quat(numbers[:, :3], numbers[:, 3:]))
