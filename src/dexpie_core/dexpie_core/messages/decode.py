"""Numbers from messages: attributes are read, so rclpy classes and rosbags dataclasses both do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dexpie_core import se3, ur5
from dexpie_core.action_space import ACTION_DIM, HAND_DIM, pack
from dexpie_core.chunk_schedule import Chunk, PrefixRequest
from dexpie_core.executor import HumanAction
from dexpie_core.follower import Misalignment
from dexpie_core.modes import Mode
from dexpie_core.se3 import Array


def stamp_ns(message: Any) -> int:
    """Header stamp of a message, nanoseconds."""
    return time_ns(message.header.stamp)


def time_ns(time: Any) -> int:
    """A builtin_interfaces/Time, nanoseconds."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def pose_T(message: Any) -> Array:
    """Transform (4, 4) of a geometry_msgs/Pose."""
    p, q = message.position, message.orientation
    return se3.matrix_from_pos_quat([p.x, p.y, p.z], [q.x, q.y, q.z, q.w])


def action15(message: Any) -> Array:
    """Action (15,) of a message with `pose` and `hand` (Action, ExecutedAction)."""
    return pack(pose_T(message.pose), np.asarray(message.hand, dtype=np.float64))


def reference15(message: Any) -> Array:
    """Reference action (15,) of a Mode message."""
    return pack(pose_T(message.reference_pose), np.asarray(message.reference_hand, dtype=np.float64))


def human_action(message: Any, stamp_s: float) -> HumanAction:
    """HumanAction of an Action message; the stamp is the receiver's, so that clocks never mix."""
    hand = np.asarray(message.misalignment_hand, dtype=np.float64)
    return HumanAction(
        stamp_s, int(message.epoch), action15(message), Misalignment(float(message.misalignment_rad), hand)
    )


def prefix_request(message: Any) -> PrefixRequest:
    """PrefixRequest of a ChunkRequest message."""
    prefix = _targets(message.prefix_poses, message.prefix_hand)
    return PrefixRequest(int(message.epoch), int(message.sequence), int(message.tick), prefix)


def chunk(message: Any) -> Chunk:
    """Chunk of an ActionChunk message."""
    targets = _targets(message.poses, message.hand)
    return Chunk(int(message.epoch), int(message.sequence), int(message.tick), targets)


def _targets(poses: Sequence[Any], hand: Any) -> Array:
    if len(hand) != HAND_DIM * len(poses):
        raise ValueError(f"{len(poses)} poses need {HAND_DIM * len(poses)} hand targets, got {len(hand)}")
    if not poses:
        return np.zeros((0, ACTION_DIM))
    T = np.stack([pose_T(p) for p in poses])
    return pack(T, np.asarray(hand, dtype=np.float64).reshape(-1, HAND_DIM))


def joint_positions(message: Any) -> Array:
    """Arm joint angles (6,) of a JointState, matched by name: drivers may order them differently."""
    positions = dict(zip(message.name, message.position, strict=True))
    missing = [name for name in ur5.JOINT_NAMES if name not in positions]
    if missing:
        raise ValueError(f"/arm/joint_states lacks {', '.join(missing)}")
    return np.array([positions[name] for name in ur5.JOINT_NAMES], dtype=np.float64)


def glove_angles(message: Any) -> dict[str, float]:
    """Glove angles (degrees) by signal name."""
    return dict(zip(message.names, (float(a) for a in message.angles_deg), strict=True))


def mode_of(message: Any) -> Mode:
    """Mode of a Mode or ExecutedAction message."""
    return Mode(int(message.mode))
