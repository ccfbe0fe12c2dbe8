"""The tapered bottle and the platform, from primitives."""

import math
from itertools import pairwise
from typing import Any, Final

import mujoco
import numpy as np

from dexpie_sim.model.hand import HAND_CONTYPE
from dexpie_sim.model.room import ENV_CONTYPE

HEIGHT_M: Final = 0.19
PROFILE: Final = ((0.0, 0.0325), (0.115, 0.0265), (0.145, 0.0150), (0.19, 0.0140))
"""Outline of the bottle: (height, radius) in metres."""
PLATFORM_HALF_M: Final = (0.05, 0.05, 0.025)
MASS_KG: Final = 0.25


def radius_at(height_m: float) -> float:
    """Radius (m) of the bottle at a height above its base."""
    heights, radii = zip(*PROFILE, strict=True)
    return float(np.interp(height_m, heights, radii))


def add_platform(spec: mujoco.MjSpec) -> None:
    """A block that each episode can put elsewhere: a mocap body."""
    platform = spec.worldbody.add_body(name="platform", mocap=True, pos=(0.52, 0.22, PLATFORM_HALF_M[2]))
    block = platform.add_geom(
        name="platform", type=mujoco.mjtGeom.mjGEOM_BOX, size=PLATFORM_HALF_M, material="platform"
    )
    block.contype, block.conaffinity = ENV_CONTYPE, 0
    block.friction = (0.8, 0.01, 0.001)
    top = platform.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=(0, 0, PLATFORM_HALF_M[2]), size=(0.04, 0.0004, 0)
    )
    top.material, top.contype, top.conaffinity = "platform_top", 0, 0


def add_bottle(spec: mujoco.MjSpec) -> None:
    """A tapered bottle with a free joint; its frame is the middle of its base, z up."""
    bottle = spec.worldbody.add_body(name="bottle", pos=(0.54, -0.12, 0.0))
    bottle.add_freejoint(name="bottle_free")
    # A stack of capsules, tapering as the outline does: all contacts are analytic, no convex solver.
    heights = np.linspace(0.030, 0.120, 6)
    for low, high in pairwise(heights):
        _collider(bottle, low, high, radius_at((low + high) / 2))
    _collider(bottle, 0.145, HEIGHT_M - 0.014, 0.0145)
    # It stands on eight small balls on the rim of its base: exact and cheap on table and platform.
    for angle in np.arange(8) * math.pi / 4:
        ball = bottle.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(0.004, 0, 0), group=4, mass=0.0)
        ball.pos = (0.0275 * math.cos(angle), 0.0275 * math.sin(angle), 0.004)
        ball.contype, ball.conaffinity, ball.condim = 0, ENV_CONTYPE, 4
    _add_bottle_looks(bottle)
    bottle.explicitinertial = True
    bottle.mass, bottle.ipos = MASS_KG, (0.0, 0.0, 0.075)
    transverse = MASS_KG * (3 * 0.028**2 + 0.16**2) / 12
    bottle.inertia = (transverse, transverse, MASS_KG * 0.028**2 / 2)


def _collider(bottle: Any, low_m: float, high_m: float, radius_m: float) -> None:
    geom = bottle.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(0, 0, low_m, 0, 0, high_m), size=(radius_m, 0, 0)
    )
    geom.contype, geom.conaffinity = 0, HAND_CONTYPE | ENV_CONTYPE
    geom.condim, geom.friction = 4, (1.0, 0.02, 0.001)
    geom.group, geom.mass = 4, 0.0


def _add_bottle_looks(bottle: Any) -> None:
    edges = np.concatenate([np.linspace(0.0, 0.115, 8), np.linspace(0.115, 0.145, 9)[1:], [0.158]])
    for low, high in pairwise(edges):
        middle = (low + high) / 2
        label = 0.03 < middle < 0.085
        rgb = (0.95, 0.94, 0.88) if label else (0.05, 0.52, 0.30)
        _disc(bottle, low, high, radius_at(middle), rgb)
    _disc(bottle, 0.158, HEIGHT_M, 0.0165, (0.93, 0.62, 0.10))
    mark = bottle.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=(radius_at(0.06) - 0.001, 0, 0.058), size=(0.0025, 0.010, 0.018)
    )
    mark.rgba, mark.mass, mark.contype, mark.conaffinity = (0.80, 0.12, 0.14, 1.0), 0.0, 0, 0


def _disc(bottle: Any, low_m: float, high_m: float, radius_m: float, rgb: tuple[float, float, float]) -> None:
    geom = bottle.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=(0, 0, low_m, 0, 0, high_m), size=(radius_m, 0, 0)
    )
    geom.rgba, geom.mass = (*rgb, 1.0), 0.0
    geom.contype = geom.conaffinity = 0
