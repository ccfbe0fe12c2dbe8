"""How the cell looks in an episode: light, colours and camera poses drawn from its seed. Changes no physics.

Hues move by little, so that every object keeps the colour by which a person would name it.
"""

import colorsys
import copy
import math
from dataclasses import dataclass, field
from typing import Final

import mujoco
import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.room import CAMERAS

_STREAM: Final = 5150
_TABLE_MATERIAL: Final = "table_top"
_OBJECT_MATERIALS: Final = ("platform", "platform_top")
_ROOM_BODY: Final = 0
_ROBOT_BODIES: Final = ("arm_", "hand", "flange")


@dataclass(frozen=True)
class Tint:
    """Half widths of uniform changes of a colour: hue in degrees, saturation and value relative."""

    hue_deg: float
    saturation: float
    value: float


@dataclass(frozen=True)
class LooksRanges:
    """Uniform ranges of `varied` looks.

    room (wall, floor), objects, robot: changes of colour. table: a filter over its wood, of any hue, at most
    this saturation, and this value. light, ambient: intensity of each lamp and of the light from everywhere,
    relative to the fixed looks, in which the table is lit to full brightness. light_tilt_rad: each lamp about
    two horizontal axes. warmth: relative surplus of red, and lack of blue, of all light. camera_m,
    camera_rad: each coordinate of position and rotation vector of a camera.
    """

    room: Tint = Tint(12.0, 0.35, 0.15)
    table_saturation: float = 0.25
    table_value: tuple[float, float] = (0.55, 0.95)
    objects: Tint = Tint(10.0, 0.18, 0.14)
    robot: Tint = Tint(4.0, 0.20, 0.15)
    light_tilt_rad: float = math.radians(20.0)
    light: tuple[float, float] = (0.45, 1.1)
    ambient: tuple[float, float] = (0.7, 1.05)
    warmth: float = 0.07
    camera_m: dict[str, float] = field(default_factory=lambda: {"front": 0.004, "wrist": 0.0015})
    camera_rad: dict[str, float] = field(
        default_factory=lambda: {"front": math.radians(0.4), "wrist": math.radians(0.3)}
    )


def varied(model: mujoco.MjModel, seed: int, ranges: LooksRanges | None = None) -> mujoco.MjModel:
    """A copy of the model that looks as the episode of this seed does."""
    ranges = ranges or LooksRanges()
    rng = np.random.default_rng([seed, _STREAM])
    model = copy.copy(model)
    _vary_lights(model, rng, ranges)
    _vary_materials(model, rng, ranges)
    _vary_geoms(model, rng, ranges)
    for name in CAMERAS:
        _move_camera(model, rng, name, ranges.camera_m[name], ranges.camera_rad[name])
    return model


def _vary_lights(model: mujoco.MjModel, rng: np.random.Generator, ranges: LooksRanges) -> None:
    warmth = rng.uniform(-ranges.warmth, ranges.warmth)
    colour = np.array([1.0 + warmth, 1.0, 1.0 - warmth])
    for light in range(model.nlight):
        tilt = [*rng.uniform(-ranges.light_tilt_rad, ranges.light_tilt_rad, 2), 0.0]
        model.light_dir[light] = se3.rotation_from_rotvec(tilt) @ model.light_dir[light]
        model.light_diffuse[light] *= colour * rng.uniform(*ranges.light)
    headlight = model.vis.headlight
    ambient = colour * rng.uniform(*ranges.ambient)
    headlight.ambient[:] = headlight.ambient * ambient
    headlight.diffuse[:] = headlight.diffuse * ambient


def _vary_materials(model: mujoco.MjModel, rng: np.random.Generator, ranges: LooksRanges) -> None:
    of_object, of_robot = _draw(rng, ranges.objects), _draw(rng, ranges.robot)
    hue, saturation = rng.uniform(), rng.uniform(0.0, ranges.table_saturation)
    filtered = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(*ranges.table_value))
    for index in range(model.nmat):
        name = model.material(index).name
        change = of_object if name in _OBJECT_MATERIALS else of_robot
        if name == _TABLE_MATERIAL:
            model.mat_rgba[index, :3] = filtered
        else:
            model.mat_rgba[index, :3] = _changed(model.mat_rgba[index, :3], change)


def _vary_geoms(model: mujoco.MjModel, rng: np.random.Generator, ranges: LooksRanges) -> None:
    """Geoms with a colour of their own: each part of the room by itself, the parts of a body together."""
    for body in range(model.nbody):
        of_body = _draw(rng, ranges.objects)
        if model.body(body).name.startswith(_ROBOT_BODIES):
            continue
        first = model.body_geomadr[body]
        for geom in range(first, first + model.body_geomnum[body]):
            change = _draw(rng, ranges.room) if body == _ROOM_BODY else of_body
            if model.geom_matid[geom] < 0:
                model.geom_rgba[geom, :3] = _changed(model.geom_rgba[geom, :3], change)


def _move_camera(
    model: mujoco.MjModel, rng: np.random.Generator, name: str, shift_m: float, turn_rad: float
) -> None:
    camera = model.camera(name).id
    model.cam_pos[camera] += rng.uniform(-shift_m, shift_m, 3)
    turn, quat = rng.uniform(-turn_rad, turn_rad, 3), model.cam_quat[camera].copy()
    mujoco.mju_quatIntegrate(quat, turn, 1.0)
    model.cam_quat[camera] = quat


def _draw(rng: np.random.Generator, tint: Tint) -> Array:
    """Change of hue (turns), saturation and value (relative)."""
    half = np.array([tint.hue_deg / 360.0, tint.saturation, tint.value])
    change: Array = rng.uniform(-half, half)
    return change


def _changed(rgb: Array, change: Array) -> tuple[float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) for c in rgb))
    return colorsys.hsv_to_rgb(
        (hue + change[0]) % 1.0,
        min(saturation * (1.0 + change[1]), 1.0),
        min(value * (1.0 + change[2]), 1.0),
    )
