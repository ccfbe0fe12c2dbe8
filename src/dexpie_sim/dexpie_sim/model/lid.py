"""The box, its lid with a spherical knob, and the wrapped candy, from primitives.

Frames (z up where the body stands): box, middle of its opening at the height of the rim; lid, centre of its
knob; candy, its centre with x along the wrapper. Every contact is a pair that MuJoCo solves in closed form.
Contact bits: hand and table as in the room, 4 the lid's solids, 8 the box's walls.
"""

import math
from typing import Any, Final

import mujoco

from dexpie_sim.model.hand import HAND_CONTYPE
from dexpie_sim.model.room import ENV_CONTYPE

Vec3 = tuple[float, float, float]
Rgb = tuple[float, float, float]

BOX_HEIGHT_M: Final = 0.075
BOX_INNER_HALF_M: Final = 0.053
BOX_WALL_M: Final = 0.006
BOX_FLOOR_M: Final = 0.006
BOX_MASS_KG: Final = 0.60
"""Of glazed stoneware. With the table's friction of 0.8 it slides when pushed with 5 N."""

LID_HALF_M: Final = 0.061
LID_PLATE_M: Final = 0.006
LID_LIP_M: Final = 0.006
LID_MASS_KG: Final = 0.11
"""Of painted wood."""
KNOB_RADIUS_M: Final = 0.019
KNOB_ABOVE_PLATE_M: Final = 0.030
"""Centre of the knob above the upper face of the lid's plate."""
KNOB_ON_BOX_M: Final = LID_PLATE_M + KNOB_ABOVE_PLATE_M
"""Centre of the knob above the box's rim while the lid lies on it."""
KNOB_ON_TABLE_M: Final = KNOB_ON_BOX_M + LID_LIP_M
"""Centre of the knob above the table while the lid lies there on its lip."""

CANDY_RADIUS_M: Final = 0.0135
CANDY_HALF_M: Final = 0.0045
"""Half length of the cylindrical part: the candy is 36 mm long and 27 mm thick."""
CANDY_MASS_KG: Final = 0.016

_SOLID: Final = 4
_WALL: Final = 8
_GLAZE: Final[Rgb] = (0.10, 0.42, 0.50)
_GLAZE_DARK: Final[Rgb] = (0.06, 0.27, 0.33)
_CREAM: Final[Rgb] = (0.93, 0.90, 0.82)
_KNOB: Final[Rgb] = (0.86, 0.60, 0.12)
_WRAPPER: Final[Rgb] = (0.85, 0.10, 0.30)
_WRAPPER_LIGHT: Final[Rgb] = (0.98, 0.86, 0.88)
_SMOOTH_FRICTION: Final = (0.5, 0.01, 0.001)
_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
_SPHERE: Final = mujoco.mjtGeom.mjGEOM_SPHERE
_CYLINDER: Final = mujoco.mjtGeom.mjGEOM_CYLINDER
_CAPSULE: Final = mujoco.mjtGeom.mjGEOM_CAPSULE


def add_box(spec: mujoco.MjSpec) -> None:
    """A heavy open box with a free joint: four walls and a floor."""
    box = spec.worldbody.add_body(name="box", pos=(0.52, 0.08, BOX_HEIGHT_M))
    box.add_freejoint(name="box_free")
    inner, wall, foot = BOX_INNER_HALF_M, BOX_WALL_M / 2, 0.002
    # Walls end above the table: the box stands on four feet, and touches with its edges once it has tipped.
    middle, half = (foot - BOX_HEIGHT_M) / 2, (BOX_HEIGHT_M - foot) / 2
    for sign in (-1.0, 1.0):
        _wall(box, (0.0, sign * (inner + wall), middle), (inner + 2 * wall, wall, half))
        _wall(box, (sign * (inner + wall), 0.0, middle), (wall, inner, half))
    _wall(box, (0.0, 0.0, foot - BOX_HEIGHT_M + BOX_FLOOR_M / 2), (inner, inner, BOX_FLOOR_M / 2))
    for x, y in _corners(inner):
        _foot(box, (x, y, 0.004 - BOX_HEIGHT_M), 0.004, ENV_CONTYPE)
    _add_band(box)
    _inertia(box, BOX_MASS_KG, (0.0, 0.0, -0.6 * BOX_HEIGHT_M), (inner, inner, BOX_HEIGHT_M / 2))


def add_lid(spec: mujoco.MjSpec) -> None:
    """A flat lid with a free joint, kept in place by a lip 3 mm smaller than the opening, and its knob."""
    lid = spec.worldbody.add_body(name="lid", pos=(0.52, 0.08, BOX_HEIGHT_M + KNOB_ON_BOX_M))
    lid.add_freejoint(name="lid_free")
    top, plate = -KNOB_ABOVE_PLATE_M, LID_PLATE_M / 2
    # The plate's solid ends 1 mm above its underside; there the lid rests on four points, not on faces.
    solid = _geom(lid, _BOX, (LID_HALF_M, LID_HALF_M, plate - 0.0005), pos=(0.0, 0.0, top - plate + 0.0005))
    shank = _geom(lid, _CAPSULE, (0.006, 0, 0), fromto=(0, 0, top, 0, 0, -0.008))
    knob = _geom(lid, _SPHERE, (KNOB_RADIUS_M, 0, 0))
    for geom, rgb in ((solid, _CREAM), (shank, _KNOB), (knob, _KNOB)):
        _collide(geom, _SOLID, HAND_CONTYPE | ENV_CONTYPE | _WALL)
        geom.rgba = (*rgb, 1.0)
    under = top - LID_PLATE_M
    for x, y in _corners(BOX_INNER_HALF_M + BOX_WALL_M / 2):
        _foot(lid, (x, y, under + 0.002), 0.002, _WALL)
    for x, y in _corners(BOX_INNER_HALF_M - 0.003 - 0.004):
        _foot(lid, (x, y, under - LID_LIP_M + 0.004), 0.004, _WALL | ENV_CONTYPE)
    half = BOX_INNER_HALF_M - 0.003
    lip = _geom(lid, _BOX, (half, half, LID_LIP_M / 2), pos=(0.0, 0.0, under - LID_LIP_M / 2))
    lip.rgba = (*_CREAM, 1.0)
    panel = _geom(lid, _BOX, (LID_HALF_M - 0.012, LID_HALF_M - 0.012, 0.0006), pos=(0.0, 0.0, top))
    panel.rgba = (*_GLAZE, 1.0)
    _inertia(lid, LID_MASS_KG, (0.0, 0.0, top + 0.002), (LID_HALF_M, LID_HALF_M, 0.012))


def add_candy(spec: mujoco.MjSpec) -> None:
    """A wrapped candy with a free joint: one capsule; the twisted ends of the wrapper are only seen."""
    candy = spec.worldbody.add_body(name="candy", pos=(0.5, -0.18, CANDY_RADIUS_M))
    candy.add_freejoint(name="candy_free")
    body = _geom(candy, _CAPSULE, (CANDY_RADIUS_M, 0, 0), fromto=(-CANDY_HALF_M, 0, 0, CANDY_HALF_M, 0, 0))
    _collide(body, 0, HAND_CONTYPE | ENV_CONTYPE | _SOLID | _WALL)
    # Paper that gives: a little resistance to rolling, so that it stays where it is put.
    body.condim, body.friction = 6, (1.0, 0.01, 0.002)
    body.rgba = (*_WRAPPER, 1.0)
    for x in (-0.004, 0.004):
        band = _geom(candy, _CYLINDER, (CANDY_RADIUS_M + 0.0003, 0.0015, 0), pos=(x, 0, 0))
        band.quat = (math.sqrt(0.5), 0.0, math.sqrt(0.5), 0.0)
        band.rgba = (*_WRAPPER_LIGHT, 1.0)
    for sign in (-1.0, 1.0):
        for turn, rgb in ((0.0, _WRAPPER), (math.pi / 3, _WRAPPER_LIGHT), (2 * math.pi / 3, _WRAPPER)):
            fan = _geom(candy, _BOX, (0.0055, 0.009, 0.0008), pos=(sign * 0.0225, 0.0, 0.0))
            fan.quat = (math.cos(turn / 2), math.sin(turn / 2), 0.0, 0.0)
            fan.rgba = (*rgb, 1.0)
    long, thick = CANDY_HALF_M + CANDY_RADIUS_M, CANDY_RADIUS_M
    _inertia(candy, CANDY_MASS_KG, (0.0, 0.0, 0.0), (0.8 * long, 0.8 * thick, 0.8 * thick))


def _wall(box: Any, pos: Vec3, half: Vec3) -> None:
    wall = _geom(box, _BOX, half, pos=pos)
    wall.rgba = (*_GLAZE, 1.0)
    _collide(wall, _WALL, HAND_CONTYPE | ENV_CONTYPE)


def _add_band(box: Any) -> None:
    """A dark band around the foot and a cream edge around the rim: they show how the box stands."""
    half = BOX_INNER_HALF_M + BOX_WALL_M
    band = _geom(box, _BOX, (half + 0.0005, half + 0.0005, 0.0035), pos=(0.0, 0.0, 0.0035 - BOX_HEIGHT_M))
    band.rgba = (*_GLAZE_DARK, 1.0)
    for sign in (-1.0, 1.0):
        for size, pos in (
            ((half + 0.0004, BOX_WALL_M / 2 + 0.0004, 0.002), (0.0, sign * (half - BOX_WALL_M / 2), -0.0015)),
            ((BOX_WALL_M / 2 + 0.0004, half + 0.0004, 0.002), (sign * (half - BOX_WALL_M / 2), 0.0, -0.0015)),
        ):
            _geom(box, _BOX, size, pos=pos).rgba = (*_CREAM, 1.0)


def _corners(half_m: float) -> list[tuple[float, float]]:
    return [(x, y) for x in (-half_m, half_m) for y in (-half_m, half_m)]


def _geom(body: Any, kind: Any, size: Vec3, **where: Any) -> Any:
    """A geom that is only seen until `_collide` makes it solid; bodies get their inertia as a whole."""
    geom = body.add_geom(type=kind, size=size, **where)
    geom.mass, geom.contype, geom.conaffinity = 0.0, 0, 0
    return geom


def _collide(geom: Any, contype: int, conaffinity: int) -> None:
    geom.contype, geom.conaffinity = contype, conaffinity
    geom.condim, geom.friction = 4, _SMOOTH_FRICTION


def _foot(body: Any, pos: Vec3, radius_m: float, on: int) -> None:
    """A point that the body stands on: an invisible sphere."""
    foot = _geom(body, _SPHERE, (radius_m, 0, 0), pos=pos)
    foot.conaffinity, foot.condim, foot.group = on, 4, 4
    foot.friction = _SMOOTH_FRICTION


def _inertia(body: Any, mass_kg: float, centre: Vec3, half: Vec3) -> None:
    """Mass, its centre, and the inertia of a solid block of these half sizes."""
    body.explicitinertial = True
    body.mass, body.ipos = mass_kg, centre
    x, y, z = (h * h for h in half)
    body.inertia = (mass_kg * (y + z) / 3, mass_kg * (x + z) / 3, mass_kg * (x + y) / 3)
