"""Puts the streams of an episode onto one 25 Hz grid. The rule is stated in ALIGNMENT_RULE."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core import se3, topics
from dexpie_core.errors import DexpieError
from dexpie_core.executor import Source
from dexpie_training.bag_episodes import BagEpisode

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ALIGNMENT_RULE: Final = (
    "anchor: stamp of the front image, where there are images, else of /executor/action; within the "
    "episode's start and end; thinned to a regular grid where images come faster than the rate. "
    "Every stream: the message whose header stamp is nearest to the anchor, if within tolerance; only "
    "messages stamped within the episode count. "
    "Action: the nearest /executor/action, shifted by action_offset_rows. A row with a stream outside "
    "tolerance is left out and counted."
)


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


@dataclass(frozen=True)
class AlignedEpisode:
    """Rows of one episode, (n, ...) each; `images` are indices into the bag's JPEG streams."""

    stamp_ns: Ints
    arm_q: Floats
    tcp_pose: Floats
    hand_q: Floats
    action: Floats
    intervention: NDArray[np.bool_]
    mode: NDArray[np.uint8]
    state: Floats | None
    images: dict[str, Ints]
    anchors: int  # before rows were left out
    left_out: dict[str, int] = field(default_factory=dict)  # topic -> rows outside its tolerance
    worst_error_s: dict[str, float] = field(default_factory=dict)  # topic -> among the rows that were kept


def nearest(anchors: Ints, stamps: Ints) -> Ints:
    """Index of the stamp nearest to each anchor, the earlier one of two equally near; stamps ascend."""
    if len(stamps) == 0:
        raise ValueError("no stamps")
    right = np.clip(np.searchsorted(stamps, anchors), 1, max(len(stamps) - 1, 1))
    right = np.minimum(right, len(stamps) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(anchors - stamps[left] <= stamps[right] - anchors, left, right)


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
    taken: dict[str, Ints] = {}
    errors: dict[str, Floats] = {}
    for name in names:
        stream = episode.streams.get(name)
        if stream is None or not stream.stamps_ns:
            raise MissingStreamError(f"{episode.where}: topic {name} has no messages in it")
        stamps = stream.stamps()
        taken[name] = nearest(anchors, stamps)
        errors[name] = np.abs(stamps[taken[name]] - anchors) * 1e-9
    shifted = taken[topics.EXECUTED_ACTION.name] + config.action_offset_rows
    actions = len(episode.streams[topics.EXECUTED_ACTION.name].stamps_ns)
    within = {name: error <= config.tolerance_s for name, error in errors.items()}
    within[topics.EXECUTED_ACTION.name] &= (shifted >= 0) & (shifted < actions)
    taken[topics.EXECUTED_ACTION.name] = shifted
    kept = np.logical_and.reduce(list(within.values()))
    return _rows(episode, anchors, {n: i[kept] for n, i in taken.items()}, kept, within, errors)


def _rows(
    episode: BagEpisode,
    anchors: Ints,
    taken: dict[str, Ints],
    kept: NDArray[np.bool_],
    within: dict[str, NDArray[np.bool_]],
    errors: dict[str, Floats],
) -> AlignedEpisode:
    def column(name: str) -> Floats:
        values = episode.streams[name].values()[taken[name]]
        if not np.all(np.isfinite(values)):
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise DexpieError(f"{episode.where}: {name} at {anchors[kept][row]} ns is not finite")
        return values

    executed = column(topics.EXECUTED_ACTION.name).reshape(-1, 15)
    scene = topics.SCENE_STATE.name
    return AlignedEpisode(
        stamp_ns=anchors[kept],
        arm_q=column(topics.JOINT_STATES.name).reshape(-1, 6),
        tcp_pose=_pose9(column(topics.TCP_POSE.name).reshape(-1, 7)),
        hand_q=column(topics.HAND_STATE.name).reshape(-1, 6),
        action=np.concatenate([_pose9(executed[:, :7]), executed[:, 7:13]], axis=1),
        intervention=executed[:, 13] == Source.HUMAN,
        mode=executed[:, 14].astype(np.uint8),
        state=column(scene) if scene in taken else None,
        images={c: taken[_image_topic(c)] for c in topics.CAMERAS if _image_topic(c) in taken},
        anchors=len(anchors),
        left_out={name: int((~ok).sum()) for name, ok in within.items() if not ok.all()},
        worst_error_s={n: float(e[kept].max()) if kept.any() else 0.0 for n, e in errors.items()},
    )


def _anchors(episode: BagEpisode, cameras: list[str], config: AlignmentConfig) -> Ints:
    name = _image_topic(cameras[0]) if cameras else topics.EXECUTED_ACTION.name
    stream = episode.streams.get(name)
    if stream is None:
        raise MissingStreamError(f"{episode.where}: topic {name} has no messages in it")
    stamps = stream.stamps()
    stamps = stamps[(stamps >= episode.start_ns) & (stamps <= episode.end_ns)]
    return thin_to_rate(np.unique(stamps), config.rate_hz)


def _image_topic(camera: str) -> str:
    return topics.compressed_image(camera).name


def _pose9(numbers: Floats) -> Floats:
    """xyz + quaternion xyzw (n, 7) -> pose9 (n, 9)."""
    if not len(numbers):
        return np.zeros((0, 9))
    return se3.pose9_from_matrix(se3.matrix_from_pos_quat(numbers[:, :3], numbers[:, 3:]))
