"""Six-actuator right hand with the joint geometry and coupling of the RH56DFX, from capsules and boxes.

Hand frame: origin at the wrist flange of the hand, fingers along -z, palm facing -x, thumb side +y.
Joint positions, ranges and coupling ratios: facts/hardware.md 2.5. A channel value of 1 is open (angle 0),
0 is closed (upper end of the range). Every follower joint has its own position actuator that gets the
target of its driving joint times the coupling ratio; an equality constraint would make the fingers lag.
"""

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

Vec3 = tuple[float, float, float]

HAND_CONTYPE: Final = 2
HAND_CONAFFINITY: Final = 1
RANGES_RAD: Final = (1.62, 1.62, 1.62, 1.62, 0.68, 1.3)
"""Upper end of each actuated joint, in channel order: little, ring, middle, index, thumb bend, rotate."""
DRIVE_JOINTS: Final = (
    "little_proximal",
    "ring_proximal",
    "middle_proximal",
    "index_proximal",
    "thumb_bend",
    "thumb_rotate",
)
FOLLOWERS: Final = (
    ("little_distal", 0, 1.87 / 1.62),
    ("ring_distal", 1, 1.75 / 1.62),
    ("middle_distal", 2, 1.82 / 1.62),
    ("index_distal", 3, 1.82 / 1.62),
    ("thumb_middle", 4, 1.0),
    ("thumb_distal", 4, 0.77 / 0.68),
)
"""(joint, driving channel, ratio follower angle / driving angle)."""
FINGER_FRICTION: Final = (1.2, 0.02, 0.001)
PALM_HALF_M: Final = (0.018, 0.041, 0.050)

_FINGERS: Final = {  # root in the hand frame, length of the distal phalanx (m)
    "little": ((0.002, -0.026, -0.104), 0.046),
    "ring": ((0.002, -0.006, -0.105), 0.055),
    "middle": ((0.002, 0.013, -0.106), 0.059),
    "index": ((0.002, 0.032, -0.105), 0.055),
}
_PROXIMAL_M: Final = 0.032
_FINGER_RADIUS_M: Final = 0.0075
_THUMB_RADIUS_M: Final = 0.0085
_THUMB_ROTATE_AT: Final = (-0.015, 0.021, -0.038)
_THUMB_BEND_AT: Final = (-0.026, 0.029, -0.028)
_THUMB_MIDDLE_AT: Final = (-0.037, 0.072, -0.063)
_THUMB_DISTAL_AT: Final = (-0.042, 0.092, -0.073)
_THUMB_TIP_AT: Final = (-0.048, 0.118, -0.088)


@dataclass(frozen=True)
class HandDrive:
    """Finger servos: stiffness (N m / rad) and torque limits (N m); 7 to 10 N at a finger."""

    stiffness_nm_rad: float = 2.5
    damping_nm_s_rad: float = 0.10
    drive_torque_nm: float = 0.5
    thumb_torque_nm: float = 1.2
    follower_torque_nm: float = 0.25
    armature_kg_m2: float = 0.002


def add_hand(mount: Any, drive: HandDrive) -> None:
    """Add palm, thumb and fingers to `mount`, a body whose frame is the hand frame."""
    palm = mount.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0.004, 0.002, -0.054), size=PALM_HALF_M)
    _finish(palm, 0.45, "hand_shell")
    wrist = mount.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=(0, 0, 0.02, 0, 0, -0.006), size=(0.032, 0, 0)
    )
    _finish(wrist, 0.05, "hand_metal", collides=False)
    for name, (root, distal_m) in _FINGERS.items():
        _add_finger(mount, name, root, distal_m, drive)
    _add_thumb(mount, drive)


def add_hand_servos(spec: mujoco.MjSpec, drive: HandDrive) -> None:
    """Six driving actuators in channel order, then one actuator for each follower joint."""
    for channel, joint in enumerate(DRIVE_JOINTS):
        torque = drive.thumb_torque_nm if channel >= 4 else drive.drive_torque_nm
        _servo(spec, joint, drive, torque)
    for joint, channel, _ in FOLLOWERS:
        _servo(spec, joint, drive, drive.thumb_torque_nm / 2 if channel == 4 else drive.follower_torque_nm)


_RANGES: Final = np.array(RANGES_RAD)
_CHANNELS: Final = np.array([channel for _, channel, _ in FOLLOWERS])
_RATIOS: Final = np.array([ratio for _, _, ratio in FOLLOWERS])


def joint_targets(hand: np.ndarray) -> np.ndarray:
    """Angles (..., 12) of the driving and the follower joints (rad) for hand targets (..., 6) in [0, 1]."""
    drive = (1.0 - hand) * _RANGES
    return np.concatenate([drive, drive[..., _CHANNELS] * _RATIOS], axis=-1)


def hand_from_joints(drive_rad: np.ndarray) -> np.ndarray:
    """Hand position (6,) in [0, 1] of the driving joint angles (6,) in rad."""
    hand: np.ndarray = np.minimum(np.maximum(1.0 - drive_rad / _RANGES, 0.0), 1.0)
    return hand


def _add_finger(mount: Any, name: str, root: Vec3, distal_m: float, drive: HandDrive) -> None:
    # Flexion turns the finger from -z towards the palm side -x: positive about +y.
    proximal = _link(mount, f"{name}_proximal", root, (0, 1, 0), RANGES_RAD[0], drive)
    _capsule(proximal, (0, 0, 0), (0, 0, -_PROXIMAL_M), _FINGER_RADIUS_M, "hand_shell")
    upper = next(ratio for joint, _, ratio in FOLLOWERS if joint == f"{name}_distal") * RANGES_RAD[0]
    distal = _link(proximal, f"{name}_distal", (0, 0, -_PROXIMAL_M), (0, 1, 0), upper, drive)
    tip_z = -(distal_m - _FINGER_RADIUS_M)
    _capsule(distal, (0, 0, 0), (0, 0, tip_z), _FINGER_RADIUS_M, "hand_pad")


def _add_thumb(mount: Any, drive: HandDrive) -> None:
    rotate = _link(mount, "thumb_rotate", _THUMB_ROTATE_AT, (0, 0, 1), RANGES_RAD[5], drive)
    base = _between(_THUMB_ROTATE_AT, _THUMB_BEND_AT)
    _capsule(rotate, (0, 0, 0), base, 0.012, "hand_metal", collides=False)
    # Flexion sweeps the thumb towards the fingertips: about -x while the thumb points to +y.
    bend = _link(rotate, "thumb_bend", base, (-1, 0, 0), RANGES_RAD[4], drive)
    to_middle = _between(_THUMB_BEND_AT, _THUMB_MIDDLE_AT)
    _capsule(bend, (0, 0, 0), to_middle, _THUMB_RADIUS_M + 0.002, "hand_shell")
    middle = _link(bend, "thumb_middle", to_middle, (-1, 0, 0), RANGES_RAD[4], drive)
    to_distal = _between(_THUMB_MIDDLE_AT, _THUMB_DISTAL_AT)
    _capsule(middle, (0, 0, 0), to_distal, _THUMB_RADIUS_M, "hand_shell")
    distal = _link(middle, "thumb_distal", to_distal, (-1, 0, 0), 0.77, drive)
    _capsule(distal, (0, 0, 0), _between(_THUMB_DISTAL_AT, _THUMB_TIP_AT), _THUMB_RADIUS_M, "hand_pad")


def _link(parent: Any, joint: str, pos: Vec3, axis: Vec3, upper_rad: float, drive: HandDrive) -> Any:
    body = parent.add_body(name=f"hand_{joint}", pos=pos, gravcomp=1.0)
    hinge = body.add_joint(name=joint, type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis)
    hinge.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    hinge.range = (0.0, upper_rad)
    hinge.armature = drive.armature_kg_m2
    return body


def _servo(spec: mujoco.MjSpec, joint: str, drive: HandDrive, torque_nm: float) -> None:
    actuator = spec.add_actuator(name=f"servo_{joint}", target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=drive.stiffness_nm_rad, kv=drive.damping_nm_s_rad)
    actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    actuator.forcerange = (-torque_nm, torque_nm)


def _capsule(
    body: Any, start: Vec3, end: Vec3, radius_m: float, material: str, collides: bool = True
) -> None:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(*start, *end), size=(radius_m, 0, 0))
    _finish(geom, 0.03, material, collides)


def _finish(geom: Any, mass_kg: float, material: str, collides: bool = True) -> None:
    geom.mass = mass_kg
    geom.material = material
    geom.condim = 4
    geom.friction = FINGER_FRICTION
    geom.contype = HAND_CONTYPE if collides else 0
    geom.conaffinity = HAND_CONAFFINITY if collides else 0


def _between(start: Vec3, end: Vec3) -> Vec3:
    return (end[0] - start[0], end[1] - start[1], end[2] - start[2])
