"""UR5 arm from capsules and cylinders, with the published kinematics of `dexpie_core.ur5`.

Frames: the MuJoCo world is the arm's `base` frame. Body i of the chain is the Denavit-Hartenberg frame
i - 1 turned by joint i, so the joint axis is always its local z. Shapes and masses are rounded from the
public data sheet (total 18.4 kg); only the kinematics are exact.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import mujoco

from dexpie_core import ur5

Vec3 = tuple[float, float, float]

SHOULDER_OFFSET_M: Final = 0.1358
ELBOW_OFFSET_M: Final = 0.0165
ARM_CONTYPE: Final = 2
ARM_CONAFFINITY: Final = 1
_ALU: Final = "arm_shell"
_CAP: Final = "arm_cap"


@dataclass(frozen=True)
class JointDrive:
    """Position servo of one arm joint: stiffness (N m / rad), torque limit (N m), rotor inertia (kg m2)."""

    stiffness_nm_rad: float
    torque_limit_nm: float
    armature_kg_m2: float


# Torque limits: UR5 data sheet, size 3 joints 150 N m, size 1 joints 28 N m.
DRIVES: Final = (
    JointDrive(6000.0, 150.0, 1.0),
    JointDrive(6000.0, 150.0, 1.0),
    JointDrive(4000.0, 150.0, 0.5),
    JointDrive(1200.0, 28.0, 0.1),
    JointDrive(1200.0, 28.0, 0.1),
    JointDrive(800.0, 28.0, 0.1),
)


@dataclass(frozen=True)
class _Shape:
    """One capsule or cylinder of a link, between two points in the link's frame (m)."""

    start: Vec3
    end: Vec3
    radius_m: float
    material: str = _ALU
    cylinder: bool = False
    collides: bool = False


_A2, _A3 = ur5.A2_M, ur5.A3_M
_LINKS: Final[tuple[tuple[float, tuple[_Shape, ...]], ...]] = (
    (3.7, (_Shape((0, 0, 0.0), (0, 0, 0.145), 0.06, cylinder=True),)),
    (
        8.4,
        (
            _Shape((0, 0, 0.06), (0, 0, 0.185), 0.058, cylinder=True),
            _Shape((0, 0, 0.185), (0, 0, 0.197), 0.050, _CAP, True),
            _Shape((0, 0, SHOULDER_OFFSET_M), (_A2, 0, SHOULDER_OFFSET_M), 0.044, collides=True),
            _Shape((_A2, 0, 0.07), (_A2, 0, 0.185), 0.052, cylinder=True),
            _Shape((_A2, 0, 0.185), (_A2, 0, 0.196), 0.045, _CAP, True),
        ),
    ),
    (
        2.3,
        (
            _Shape((0, 0, -0.035), (0, 0, 0.07), 0.047, cylinder=True),
            _Shape((0, 0, -0.046), (0, 0, -0.035), 0.041, _CAP, True),
            _Shape((0, 0, ELBOW_OFFSET_M), (_A3, 0, ELBOW_OFFSET_M), 0.036, collides=True),
            _Shape((_A3, 0, -0.035), (_A3, 0, 0.06), 0.040, cylinder=True),
            _Shape((_A3, 0, -0.045), (_A3, 0, -0.035), 0.035, _CAP, True),
        ),
    ),
    (
        1.2,
        (
            _Shape((0, 0, 0.055), (0, 0, 0.148), 0.038, cylinder=True, collides=True),
            _Shape((0, 0, 0.148), (0, 0, 0.158), 0.033, _CAP, True),
        ),
    ),
    (
        1.2,
        (
            _Shape((0, 0, 0.035), (0, 0, 0.133), 0.038, cylinder=True, collides=True),
            _Shape((0, 0, 0.133), (0, 0, 0.143), 0.033, _CAP, True),
        ),
    ),
    (0.2, (_Shape((0, 0, 0.040), (0, 0, ur5.D6_M), 0.036, "hand_metal", True),)),
)


def add_arm(spec: mujoco.MjSpec) -> Any:
    """Add the arm to the world body; returns the flange body, whose frame is the UR tool flange."""
    pedestal = spec.worldbody.add_body(name="arm_base")
    _cylinder(pedestal, (0, 0, 0), (0, 0, 0.03), 0.075, _ALU)
    parent = pedestal
    pos, quat = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
    for index, (mass, shapes) in enumerate(_LINKS):
        body = parent.add_body(name=f"arm_link{index + 1}", pos=pos, quat=quat, gravcomp=1.0)
        joint = body.add_joint(name=ur5.JOINT_NAMES[index], type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1))
        joint.limited = mujoco.mjtLimited.mjLIMITED_TRUE
        joint.range = (-ur5.JOINT_LIMIT_RAD, ur5.JOINT_LIMIT_RAD)
        joint.armature = DRIVES[index].armature_kg_m2
        for shape in shapes:
            _add_shape(body, shape, mass / len(shapes))
        parent = body
        pos, quat = _dh_frame(index)
    return parent.add_body(name="flange", pos=pos, quat=quat, gravcomp=1.0)


def add_arm_servos(spec: mujoco.MjSpec, lag_s: float) -> None:
    """One position actuator a joint; damping = stiffness * lag makes it trail a ramp by `lag_s`."""
    for name, drive in zip(ur5.JOINT_NAMES, DRIVES, strict=True):
        actuator = spec.add_actuator(name=f"servo_{name}", target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=drive.stiffness_nm_rad, kv=drive.stiffness_nm_rad * lag_s)
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.forcerange = (-drive.torque_limit_nm, drive.torque_limit_nm)


def _dh_frame(index: int) -> tuple[Vec3, tuple[float, float, float, float]]:
    d, a, alpha = ur5.DH[index]
    return (a, 0.0, d), (math.cos(alpha / 2), math.sin(alpha / 2), 0.0, 0.0)


def _add_shape(body: Any, shape: _Shape, mass_kg: float) -> None:
    # Collisions use the capsule of the same axis: capsule-plane and capsule-box are analytic and cheap.
    if shape.cylinder:
        _cylinder(body, shape.start, shape.end, shape.radius_m, shape.material, mass_kg)
    if shape.collides or not shape.cylinder:
        visible = not shape.cylinder
        start, end = (shape.start, shape.end) if visible else _rounded_within(shape)
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(*start, *end))
        geom.size = (shape.radius_m, 0, 0)
        geom.mass = mass_kg if visible else 0.0
        geom.material = shape.material
        geom.group = 0 if visible else 4
        geom.contype = ARM_CONTYPE if shape.collides else 0
        geom.conaffinity = ARM_CONAFFINITY if shape.collides else 0


def _rounded_within(shape: _Shape) -> tuple[Vec3, Vec3]:
    """Axis of the capsule that ends where the cylinder ends."""
    (x, y, low), (_, _, high) = shape.start, shape.end
    return (x, y, low + shape.radius_m), (x, y, high - shape.radius_m)


def _cylinder(
    body: Any, start: Vec3, end: Vec3, radius_m: float, material: str, mass_kg: float = 0.0
) -> None:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=(*start, *end), size=(radius_m, 0, 0))
    geom.material = material
    geom.mass = mass_kg
    geom.contype = geom.conaffinity = 0
