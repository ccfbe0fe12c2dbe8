"""Messages from numbers.

Encoders take `make(typename, **fields)`, which builds a message of the caller's kind (rclpy class or
rosbags dataclass) from plain numbers, strings, arrays and other messages.
Stamps are integer nanoseconds; every pose is in the arm's `base` frame unless said otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3, ur5
from dexpie_core.action_space import HAND_DIM, unpack
from dexpie_core.chunk_schedule import Chunk, PrefixRequest
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.executor import HumanAction, TickOutput
from dexpie_core.se3 import Array

BASE_FRAME: Final = "base"
TRACKER_FRAME: Final = "tracker_world"
EVENT_START: Final = 0
EVENT_END: Final = 1


class Make(Protocol):
    """Builds a message of type `typename`, e.g. 'geometry_msgs/msg/Pose'."""

    def __call__(self, typename: str, /, **fields: Any) -> Any: ...


def time(make: Make, stamp_ns: int) -> Any:
    """builtin_interfaces/Time."""
    return make("builtin_interfaces/msg/Time", sec=int(stamp_ns // 10**9), nanosec=int(stamp_ns % 10**9))


def header(make: Make, stamp_ns: int, frame: str = BASE_FRAME) -> Any:
    """std_msgs/Header."""
    return make("std_msgs/msg/Header", stamp=time(make, stamp_ns), frame_id=frame)


def pose(make: Make, T: ArrayLike) -> Any:
    """geometry_msgs/Pose of a transform (4, 4)."""
    return poses(make, np.asarray(T, dtype=np.float64)[None])[0]


def poses(make: Make, T: ArrayLike) -> list[Any]:
    """geometry_msgs/Pose of each of the transforms (N, 4, 4)."""
    T = np.asarray(T, dtype=np.float64)
    positions, quaternions = T[:, :3, 3].tolist(), se3.quat_from_matrix(T).tolist()
    return [
        make(
            "geometry_msgs/msg/Pose",
            position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        )
        for (x, y, z), (qx, qy, qz, qw) in zip(positions, quaternions, strict=True)
    ]


def pose_stamped(make: Make, T: ArrayLike, stamp_ns: int, frame: str = BASE_FRAME) -> Any:
    """geometry_msgs/PoseStamped."""
    return make("geometry_msgs/msg/PoseStamped", header=header(make, stamp_ns, frame), pose=pose(make, T))


def joint_state(make: Make, q_rad: ArrayLike, qd_rad_s: ArrayLike, stamp_ns: int) -> Any:
    """sensor_msgs/JointState of the arm's six joints."""
    return make(
        "sensor_msgs/msg/JointState",
        header=header(make, stamp_ns),
        name=list(ur5.JOINT_NAMES),
        position=np.asarray(q_rad, dtype=np.float64),
        velocity=np.asarray(qd_rad_s, dtype=np.float64),
        effort=np.zeros(0),
    )


def arm_status(
    make: Make,
    stamp_ns: int,
    ready: bool,
    protective_stop: bool = False,
    emergency_stop: bool = False,
    detail: str = "",
    speed_scaling: float = 1.0,
) -> Any:
    """dexpie_msgs/ArmStatus."""
    return make(
        "dexpie_msgs/msg/ArmStatus",
        header=header(make, stamp_ns),
        ready=ready,
        protective_stop=protective_stop,
        emergency_stop=emergency_stop,
        speed_scaling=speed_scaling,
        detail=detail,
    )


def arm_command(make: Make, out: TickOutput, stamp_ns: int, due_ns: int) -> Any:
    """dexpie_msgs/ArmCommand of a tick that has a command."""
    T, _ = unpack(_command(out))
    return make(
        "dexpie_msgs/msg/ArmCommand",
        header=header(make, stamp_ns),
        pose=pose(make, T),
        due=time(make, due_ns),
        epoch=out.epoch,
        tick=out.tick,
    )


def hand_command(make: Make, out: TickOutput, stamp_ns: int) -> Any:
    """dexpie_msgs/HandCommand of a tick that has a command."""
    _, hand = unpack(_command(out))
    return make(
        "dexpie_msgs/msg/HandCommand",
        header=header(make, stamp_ns),
        position=hand,
        epoch=out.epoch,
        tick=out.tick,
    )


def hand_state(
    make: Make,
    position: ArrayLike,
    force_n: ArrayLike,
    stamp_ns: int,
    *,
    current_a: ArrayLike = (0.0,) * HAND_DIM,
    temperature_c: ArrayLike = (25.0,) * HAND_DIM,
    status: ArrayLike = (0,) * HAND_DIM,
    error: ArrayLike = (0,) * HAND_DIM,
) -> Any:
    """dexpie_msgs/HandState; by default of a hand without faults. Every field has six values."""
    return make(
        "dexpie_msgs/msg/HandState",
        header=header(make, stamp_ns, "hand"),
        position=np.asarray(position, dtype=np.float64),
        force_n=np.asarray(force_n, dtype=np.float64),
        current_a=np.asarray(current_a, dtype=np.float64),
        temperature_c=np.asarray(temperature_c, dtype=np.float64),
        status=np.asarray(status, dtype=np.uint8),
        error=np.asarray(error, dtype=np.uint8),
    )


def executed_action(make: Make, out: TickOutput, stamp_ns: int) -> Any:
    """dexpie_msgs/ExecutedAction: what was sent, who decided it, what the policy wanted."""
    command = _command(out)
    T, hand = unpack(command)
    T_wish, hand_wish = unpack(command if out.policy_wish is None else out.policy_wish)
    return make(
        "dexpie_msgs/msg/ExecutedAction",
        header=header(make, stamp_ns),
        tick=out.tick,
        epoch=out.epoch,
        mode=int(out.mode),
        source=int(out.source),
        pose=pose(make, T),
        hand=hand,
        policy_valid=out.policy_wish is not None,
        policy_pose=pose(make, T_wish),
        policy_hand=hand_wish,
        clamped=int(out.clamped),
        starved=out.starved,
        chunk_sequence=out.chunk_sequence,
        chunk_step=out.chunk_step,
    )


def mode(make: Make, out: TickOutput, stamp_ns: int) -> Any:
    """dexpie_msgs/Mode: the reference is the last command, what the follower clutches to."""
    T, hand = unpack(_command(out))
    return make(
        "dexpie_msgs/msg/Mode",
        header=header(make, stamp_ns),
        mode=int(out.mode),
        epoch=out.epoch,
        reason=out.reason,
        reference_pose=pose(make, T),
        reference_hand=hand,
    )


def action(make: Make, human: HumanAction, stamp_ns: int) -> Any:
    """dexpie_msgs/Action of the human follower."""
    T, hand = unpack(human.action)
    return make(
        "dexpie_msgs/msg/Action",
        header=header(make, stamp_ns),
        pose=pose(make, T),
        hand=hand,
        epoch=human.epoch,
        misalignment_rad=human.misalignment.rotation_rad,
        misalignment_hand=np.asarray(human.misalignment.hand, dtype=np.float64),
    )


def glove_state(make: Make, angles_deg: Mapping[str, float], stamp_ns: int, side: str = "right") -> Any:
    """dexpie_msgs/GloveState, named ergonomics in degrees; side is left or right."""
    return make(
        "dexpie_msgs/msg/GloveState",
        header=header(make, stamp_ns, f"glove_{side}"),
        side=side,
        names=list(angles_deg),
        angles_deg=np.array(list(angles_deg.values()), dtype=np.float64),
    )


def chunk_request(make: Make, request: PrefixRequest, observation_ns: int, stamp_ns: int) -> Any:
    """dexpie_msgs/ChunkRequest; the prefix is absolute."""
    T, hand = unpack(request.prefix)
    return make(
        "dexpie_msgs/msg/ChunkRequest",
        header=header(make, stamp_ns),
        epoch=request.epoch,
        sequence=request.sequence,
        tick=request.tick,
        observation_time=time(make, observation_ns),
        prefix_poses=poses(make, T),
        prefix_hand=hand.reshape(-1),
    )


def action_chunk(
    make: Make,
    chunk: Chunk,
    reference: ArrayLike,
    prefix_length: int,
    inference_s: float,
    policy_id: str,
    stamp_ns: int,
) -> Any:
    """dexpie_msgs/ActionChunk with absolute targets; `reference` (4, 4) is the observed TCP pose."""
    T, hand = unpack(chunk.targets)
    return make(
        "dexpie_msgs/msg/ActionChunk",
        header=header(make, stamp_ns),
        epoch=chunk.epoch,
        sequence=chunk.sequence,
        tick=chunk.tick,
        reference=pose(make, reference),
        poses=poses(make, T),
        hand=hand.reshape(-1),
        prefix_length=prefix_length,
        inference_s=inference_s,
        policy_id=policy_id,
    )


def episode_start(make: Make, start: EpisodeStart, stamp_ns: int) -> Any:
    """dexpie_msgs/EpisodeEvent that opens an episode."""
    return _episode_event(make, stamp_ns, EVENT_START, start)


def episode_end(make: Make, start: EpisodeStart, end: EpisodeEnd, stamp_ns: int) -> Any:
    """dexpie_msgs/EpisodeEvent that closes an episode; it repeats the start, so that either tells all."""
    return _episode_event(
        make, stamp_ns, EVENT_END, start, outcome=end.outcome, reason=end.reason, gaps=list(end.gaps)
    )


def _episode_event(make: Make, stamp_ns: int, event: int, start: EpisodeStart, **end: object) -> Any:
    return make(
        "dexpie_msgs/msg/EpisodeEvent",
        header=header(make, stamp_ns, ""),
        event=event,
        episode_id=start.episode_id,
        task=start.task,
        stage=start.stage,
        kind=start.kind,
        policy_id=start.policy_id,
        operator_name=start.operator,
        seed=start.seed,
        pair_id=start.pair_id,
        positions=start.positions,
        **end,
    )


def scene_state(
    make: Make,
    names: Sequence[str],
    values: ArrayLike,
    success: bool,
    failure: bool,
    reason: str,
    stage: str,
    stamp_ns: int,
) -> Any:
    """dexpie_msgs/SceneState: ground truth of the simulated cell."""
    return make(
        "dexpie_msgs/msg/SceneState",
        header=header(make, stamp_ns),
        names=list(names),
        values=np.asarray(values, dtype=np.float64),
        success=success,
        failure=failure,
        reason=reason,
        stage=stage,
    )


def _command(out: TickOutput) -> Array:
    if out.command is None:
        raise ValueError("this tick has no command yet: the robot's pose is not known")
    return out.command
