"""The cabinet with one drawer and the tissue box, from primitives.

Cabinet frame: origin on the table in the middle of the carcass, x towards the front (the drawer opens along
+x), z up. The cabinet stands on an anti-slip mat: three planar joints whose friction it leaves only when it
is pushed far harder than the arm's force limit allows. So its pose is part of the joint positions.
"""

import math
from typing import Any, Final

import mujoco

from dexpie_sim.model.hand import HAND_CONTYPE
from dexpie_sim.model.room import ENV_CONTYPE

Vec3 = tuple[float, float, float]

CABINET_HALF_M: Final = (0.10, 0.12, 0.0575)
"""Carcass: 20 cm deep, 24 cm wide, 11.5 cm high."""
STROKE_M: Final = 0.15
"""Travel of the drawer between closed and its stop."""
BAR_RADIUS_M: Final = 0.005
HANDLE_GAP_M: Final = 0.022
"""Clear width between the drawer's front and the bar of its handle; a finger is 15 mm thick."""
HANDLE_CLEAR_HALF_M: Final = 0.022
"""Half the clear width between the two posts of the handle."""
HANDLE_HEIGHT_M: Final = 0.072
INNER_X_M: Final = (-0.080, 0.100)
INNER_HALF_Y_M: Final = 0.100
FLOOR_TOP_M: Final = 0.014
"""The drawer's inner floor: x from and to in the cabinet frame while closed, half its width, its height."""
CLEAR_HEIGHT_M: Final = 0.107
"""Underside of the carcass' top: what is higher does not go in with the drawer."""
BOX_HALF_M: Final = (0.050, 0.030, 0.035)
"""A small tissue box, 10 x 6 x 7 cm; its long side is x."""
BOX_MASS_KG: Final = 0.09

_FRONT_M: Final = 0.012
_PLATE_M: Final = 0.004
_BAR_X_M: Final = CABINET_HALF_M[0] + _FRONT_M + HANDLE_GAP_M + BAR_RADIUS_M
HANDLE_AT_M: Final[Vec3] = (_BAR_X_M, 0.0, HANDLE_HEIGHT_M)
"""Middle of the bar in the cabinet frame while the drawer is closed."""
_MAT_FRICTION_N: Final = 150.0
_MAT_FRICTION_NM: Final = 20.0
_SLIDE_FRICTION_N: Final = 2.5
_SLIDE_DAMPING_NS_M: Final = 6.0
# Stiff dry friction: with MuJoCo's default a joint creeps by millimetres a second under its breakaway force.
_DRY: Final = (0.998, 0.999, 0.001, 0.5, 2.0)
_STOP_SOLREF: Final = (0.06, 1.0)
# Polished steel and lacquer decide the friction of their contacts (priority 1), whatever touches them.
_STEEL: Final = (0.35, 0.005, 0.0001)
_LACQUER: Final = (0.45, 0.005, 0.0001)

_SHELL_RGB: Final = (0.72, 0.71, 0.68)
_INSIDE_RGB: Final = (0.68, 0.62, 0.53)
_FRONT_RGB: Final = (0.36, 0.55, 0.62)


def add_cabinet(spec: mujoco.MjSpec) -> None:
    """Carcass with joints cabinet_x, cabinet_y, cabinet_yaw, and the drawer on the joint drawer_slide."""
    cabinet = spec.worldbody.add_body(name="cabinet")
    for name, kind, axis, friction in (
        ("cabinet_x", mujoco.mjtJoint.mjJNT_SLIDE, (1, 0, 0), _MAT_FRICTION_N),
        ("cabinet_y", mujoco.mjtJoint.mjJNT_SLIDE, (0, 1, 0), _MAT_FRICTION_N),
        ("cabinet_yaw", mujoco.mjtJoint.mjJNT_HINGE, (0, 0, 1), _MAT_FRICTION_NM),
    ):
        joint = cabinet.add_joint(name=name, type=kind, axis=axis)
        joint.frictionloss, joint.solimp_friction = friction, _DRY
    depth, width, height = CABINET_HALF_M
    _block(cabinet, (0, 0, 2 * height - _PLATE_M), (depth, width, _PLATE_M), _SHELL_RGB, 1.2)
    for side in (-1, 1):
        _block(cabinet, (0, side * (width - _PLATE_M), height), (depth, _PLATE_M, height), _SHELL_RGB, 0.8)
    _block(cabinet, (-depth + _PLATE_M, 0, height), (_PLATE_M, width, height), _SHELL_RGB, 0.7)
    _block(cabinet, (0, 0, 0.0025), (depth, width, 0.0025), _SHELL_RGB, 0.8, collides=False)
    _add_drawer(cabinet)


def add_tissue_box(spec: mujoco.MjSpec) -> None:
    """A light box with a free joint; its frame is its middle, x along the long side, z up."""
    box = spec.worldbody.add_body(name="tissue_box", pos=(0.5, 0.15, BOX_HALF_M[2]))
    box.add_freejoint(name="tissue_box_free")
    card = box.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=BOX_HALF_M, rgba=(0.88, 0.66, 0.26, 1.0))
    card.mass, card.contype, card.conaffinity = BOX_MASS_KG, 0, HAND_CONTYPE | ENV_CONTYPE
    card.condim, card.friction = 4, (1.0, 0.02, 0.001)
    x, y, z = BOX_HALF_M
    _looks(box, (0, 0, 0.0), (x + 0.0004, y + 0.0004, 0.012), (0.97, 0.97, 0.95))
    _looks(box, (0, 0, z), (0.030, 0.010, 0.0006), (0.30, 0.22, 0.12))
    for tilt, across in ((0.35, 0.004), (-0.35, -0.004)):
        tuft = _looks(box, (0.0, across, z + 0.008), (0.020, 0.0012, 0.014), (1.0, 1.0, 1.0))
        tuft.quat = (math.cos(tilt / 2), math.sin(tilt / 2), 0.0, 0.0)


def _add_drawer(cabinet: Any) -> None:
    drawer = cabinet.add_body(name="drawer")
    slide = drawer.add_joint(name="drawer_slide", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(1, 0, 0))
    slide.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    slide.range, slide.solref_limit = (0.0, STROKE_M), _STOP_SOLREF
    slide.frictionloss, slide.solimp_friction = _SLIDE_FRICTION_N, _DRY
    slide.damping = (_SLIDE_DAMPING_NS_M, 0.0, 0.0)
    (back, front), wide = INNER_X_M, INNER_HALF_Y_M
    middle, half = (back + front) / 2, (front - back) / 2
    wall_m, rim_m = 0.0025, 0.070
    _block(drawer, (middle, 0, FLOOR_TOP_M - 0.003), (half, wide, 0.003), _INSIDE_RGB, 0.15)
    tall = (rim_m - 0.008) / 2
    for side in (-1, 1):
        at = (middle, side * (wide + wall_m), 0.008 + tall)
        _block(drawer, at, (half, wall_m, tall), _INSIDE_RGB, 0.06)
    _block(drawer, (back - wall_m, 0, 0.008 + tall), (wall_m, wide, tall), _INSIDE_RGB, 0.06)
    panel = (CABINET_HALF_M[0] + _FRONT_M / 2, 0, 0.057)
    _block(drawer, panel, (_FRONT_M / 2, CABINET_HALF_M[1] - 0.002, 0.051), _FRONT_RGB, 0.2)
    post_y = HANDLE_CLEAR_HALF_M + BAR_RADIUS_M
    x, _, z = HANDLE_AT_M
    _rod(drawer, (x, -post_y, z), (x, post_y, z))
    for y in (-post_y, post_y):
        _rod(drawer, (CABINET_HALF_M[0] + _FRONT_M, y, z), (x, y, z))


def _block(body: Any, at: Vec3, half: Vec3, rgb: Vec3, mass_kg: float, collides: bool = True) -> None:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=at, size=half, rgba=(*rgb, 1.0))
    geom.mass = mass_kg
    _finish(geom, _LACQUER, collides)


def _rod(body: Any, start: Vec3, end: Vec3) -> None:
    rod = body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(*start, *end))
    rod.size, rod.material = (BAR_RADIUS_M, 0, 0), "frame_metal"
    rod.mass = 0.03
    _finish(rod, _STEEL)


def _finish(geom: Any, friction: Vec3, collides: bool = True) -> None:
    geom.friction, geom.priority, geom.condim = friction, 1, 4
    geom.contype, geom.conaffinity = (ENV_CONTYPE if collides else 0), 0


def _looks(body: Any, at: Vec3, half: Vec3, rgb: Vec3) -> Any:
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=at, size=half, rgba=(*rgb, 1.0))
    geom.mass, geom.contype, geom.conaffinity = 0.0, 0, 0
    return geom
