"""Rows of a dataset out of an episode of the authors' tools. Pure: numpy in, numpy out.

The authors record one row a front image, 30 a second: six joint angles and the TCP pose as xyz and rotation
vector; the action is the absolute TCP target, xyz and six numbers of its rotation, and six hand commands.
Their six rotation numbers are the first two ROWS of the matrix, ours (se3) its first two columns: read as
ours, every target would be the inverse rotation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dexpie_core import action_space, se3
from dexpie_core.errors import DexpieError
from dexpie_core.modes import Mode
from dexpie_training import schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.interpolation import between, bracket, nearest, pose9_between

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Images = NDArray[np.uint8]
RotationLayout = Literal["rows", "columns"]

STATE_DIM: Final = 12
FARTHEST_M: Final = 3.0  # twice a UR5's reach
HAND_TOLERANCE: Final = 1e-3
TURNED_RAD: Final = np.radians(20.0)

IMPORT_RULE: Final = (
    "rows as recorded, one a front image, aligned by the tool that recorded them; the action of a row is the "
    "recorded one of shift_rows rows later, on top of recorded_action_offset_rows, and a row whose action "
    "lies across a gap is left out. Resampled on request: states, poses and actions are interpolated, the "
    "image and who decided are the nearest."
)


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Images of a camera on disk: `read(first, last)` gives rows first..last-1, (n, H, W, 3) uint8."""

    read: Callable[[int, int], Images]
    block_rows: int = 64
    """rows that are best read together"""


@dataclass(frozen=True, eq=False)
class SourceEpisode:
    """One episode as recorded, T rows. intervention and stamps_ns are None where the file lacks them."""

    where: str  # names it in messages
    episode_id: str
    success: bool
    rate_hz: float
    state: Floats  # (T, 12) joint angles [rad], TCP xyz [m] and rotation vector [rad]
    action: Floats  # (T, 15)
    intervention: Bools | None  # (T,)
    stamps_ns: Ints | None  # (T,) time of the front image
    cameras: dict[str, ImageRows]
    hand_q: Floats | None = None  # (T, 6) measured hand position
    worst_error_ms: dict[str, float] = field(default_factory=dict)  # of the recording tool's alignment


@dataclass(frozen=True)
class RowRules:
    """How rows are made of a recording."""

    shift_rows: int
    """the action of a row is the recorded one of so many rows later"""
    offset_rows: float
    """by how many rows actions are later than images after that, the recording tool's own offset included"""
    rotation: RotationLayout
    """what the six rotation numbers of an action are of the matrix"""
    rate_hz: float | None = None
    """rate to resample to; None keeps the recording's"""


def make_rows(source: SourceEpisode, rules: RowRules) -> AlignedEpisode:
    """Rows of an episode; DexpieError names the episode and what is wrong with it."""
    _check_numbers(source)
    count = len(source.action)
    images = np.arange(max(0, count - rules.shift_rows))
    actions = images + rules.shift_rows
    period_ns = 1e9 / source.rate_hz
    stamps = _stamps(source, period_ns)
    late_ns = stamps[actions] - stamps[images] - rules.shift_rows * period_ns
    whole = np.abs(late_ns) < 0.5 * period_ns
    rows = AlignedEpisode(
        stamp_ns=stamps[images],
        arm_q=source.state[images, :6],
        tcp_pose=_tcp_pose9(source.state[images]),
        hand_q=_hand(source, images, actions, rules),
        action=_action(source, rules.rotation)[actions],
        intervention=_human(source)[actions],
        mode=np.where(_human(source)[actions], Mode.HUMAN, Mode.AUTONOMOUS).astype(np.uint8),
        state=None,
        images=dict.fromkeys(source.cameras, images),
        anchors=count,
        left_out={"the last, without an action": min(count, rules.shift_rows)},
        worst_error_s={name: error * 1e-3 for name, error in source.worst_error_ms.items()},
    )
    if rules.rate_hz is not None and rules.rate_hz != source.rate_hz:
        return _counted(_resampled(rows, whole, rules.rate_hz, period_ns))
    left_out = {**rows.left_out, "action across a gap": int((~whole).sum())}
    return _counted(replace(rows.picked(whole), left_out=left_out))


def missing(source: SourceEpisode) -> list[str]:
    """What the recording lacks, one sentence each."""
    gaps = []
    if source.hand_q is None:
        gaps.append("hand position: not recorded, the hand command in force stands for it")
    if source.stamps_ns is None:
        gaps.append("times: not recorded, rows are stamped at the rate, so that gaps are not seen")
    return gaps


def kind_of(source: SourceEpisode) -> str:
    """An episode in which a human decided every action is a demonstration."""
    return "demonstration" if _human(source).all() else "rollout"


def _human(source: SourceEpisode) -> Bools:
    if source.intervention is None:
        return np.ones(len(source.action), dtype=bool)
    return source.intervention


def _stamps(source: SourceEpisode, period_ns: float) -> Ints:
    if source.stamps_ns is None:
        return (np.arange(len(source.action)) * period_ns).round().astype(np.int64)
    steps = np.diff(source.stamps_ns)
    if np.any(steps <= 0):
        raise DexpieError(f"{source.where}: row {int(np.argmax(steps <= 0)) + 1}: its time goes back")
    if len(steps) and not 0.9 < np.median(steps) / period_ns < 1.1:
        told_hz = 1e9 / float(np.median(steps))
        raise DexpieError(
            f"{source.where}: its rate is {source.rate_hz:g} Hz, its times tell {told_hz:.1f} Hz"
        )
    return source.stamps_ns


def _check_numbers(source: SourceEpisode) -> None:
    for name, values in (("state", source.state), ("action", source.action)):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise DexpieError(f"{source.where}: row {int(np.argmax(bad))}: {name} is not finite")
    hand = source.action[:, 9:]
    if hand.size and (hand.min() < -HAND_TOLERANCE or hand.max() > 1.0 + HAND_TOLERANCE):
        raise DexpieError(
            f"{source.where}: hand commands from {hand.min():g} to {hand.max():g}; "
            "0 to 1 is wanted, the register value divided by 1000"
        )
    farthest = max(float(np.abs(p).max(initial=0.0)) for p in (source.action[:, :3], source.state[:, 6:9]))
    if farthest > FARTHEST_M:
        raise DexpieError(f"{source.where}: a TCP position of {farthest:g}; metres are wanted")


def _tcp_pose9(state: Floats) -> Floats:
    rotation = se3.rotation_from_rotvec(state[:, 9:12]) if len(state) else np.zeros((0, 3, 3))
    return se3.pose9_from_matrix(se3.make(rotation, state[:, 6:9]))


def _action(source: SourceEpisode, layout: RotationLayout) -> Floats:
    """Actions (T, 15) with our rotation numbers; DexpieError where the other layout fits the TCP better."""
    try:
        by_columns = se3.rotation_from_6d(source.action[:, 3:9])
    except ValueError as error:
        raise DexpieError(f"{source.where}: action: {error}") from None
    by_rows = np.swapaxes(by_columns, -1, -2)
    rotation, rejected = (by_rows, by_columns) if layout == "rows" else (by_columns, by_rows)
    measured = se3.rotation_from_rotvec(source.state[:, 9:12])
    turned, other = (float(np.median(se3.rotation_angle(measured, R))) for R in (rotation, rejected))
    if turned > TURNED_RAD and other < 0.5 * turned:
        better = "columns" if layout == "rows" else "rows"
        raise DexpieError(
            f"{source.where}: action rotations read as {layout} are {np.degrees(turned):.0f} degrees from "
            f"the measured TCP, as {better} {np.degrees(other):.0f}; give --rotation {better}"
        )
    hand = np.clip(source.action[:, 9:], 0.0, 1.0)
    return action_space.pack(se3.make(rotation, source.action[:, :3]), hand)


def _hand(source: SourceEpisode, images: Ints, actions: Ints, rules: RowRules) -> Floats:
    """Measured hand positions; where there are none, the commands that were in force, never the row's own."""
    if source.hand_q is not None:
        return source.hand_q[images]
    in_force = np.maximum(actions - max(1, round(rules.offset_rows)), rules.shift_rows)
    return np.clip(source.action[in_force, 9:], 0.0, 1.0)


def _resampled(rows: AlignedEpisode, whole: Bools, rate_hz: float, period_ns: float) -> AlignedEpisode:
    """The rows at another rate: on a regular grid from the first row on, never across a gap."""
    stamps = rows.stamp_ns
    if len(stamps) == 0:
        return rows
    points = int((stamps[-1] - stamps[0]) * rate_hz * 1e-9 + 1e-6) + 1
    grid = stamps[0] + (np.arange(points) * 1e9 / rate_hz).round().astype(np.int64)
    before, after, _ = bracket(grid, stamps)
    kept = whole[before] & whole[after] & (stamps[after] - stamps[before] <= schema.LONGEST_GAP * period_ns)
    grid, close = grid[kept], nearest(grid, stamps)[kept]
    before, after, fraction = bracket(grid, stamps)

    def numbers(values: Floats) -> Floats:
        return between(values[before], values[after], fraction)

    def poses(values: Floats) -> Floats:
        return pose9_between(values[before], values[after], fraction)

    error_s = float(np.abs(stamps[close] - grid).max(initial=0)) * 1e-9
    return replace(
        rows.picked(close),
        left_out={"across a gap": int((~kept).sum())},
        stamp_ns=grid,
        arm_q=numbers(rows.arm_q),
        tcp_pose=poses(rows.tcp_pose),
        hand_q=numbers(rows.hand_q),
        action=np.concatenate([poses(rows.action[:, :9]), numbers(rows.action[:, 9:])], axis=1),
        anchors=points,
        worst_error_s={**rows.worst_error_s, "image": error_s},
    )


def _counted(rows: AlignedEpisode) -> AlignedEpisode:
    """Without the reasons for which no row was left out."""
    return replace(rows, left_out={why: count for why, count in rows.left_out.items() if count})
