"""Action and observation spaces, and the way from an observation to what a policy takes."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from gymnasium import spaces

from dexpie_core import se3, ur5
from dexpie_core.action_space import ACTION_DIM
from dexpie_core.observation import Observation
from dexpie_core.se3 import Array
from dexpie_sim.environment.config import EnvironmentConfig
from dexpie_sim.model.room import CAMERAS
from dexpie_sim.scene import TCP_OFFSET

_LONGEST_S: Final = 1e6
_HAND_MARGIN: Final = 0.5  # a finger pushed past its end stop, or noise
_ROTATION_MARGIN: Final = 1e-6
_RELATIVE_M: Final = 1.0
_OBJECT_BOUND: Final = 100.0


def action_space(config: EnvironmentConfig) -> spaces.Box:
    """Box (15,), or (H, 15) for chunks: position (m), 6D rotation, hand in [0, 1]; float64."""
    limits = config.executor.limits
    if config.action == "chunk" and config.frame == "tcp":
        low_m, high_m = (-_RELATIVE_M,) * 3, (_RELATIVE_M,) * 3
    else:
        low_m, high_m = limits.workspace_min_m, limits.workspace_max_m
    low, high = np.array([*low_m, *[-1.0] * 6, *[0.0] * 6]), np.array([*high_m, *[1.0] * 12])
    if config.action == "chunk":
        horizon = config.executor.schedule.horizon
        low, high = np.tile(low, (horizon, 1)), np.tile(high, (horizon, 1))
    return spaces.Box(low, high, dtype=np.float64)


def observation_space(config: EnvironmentConfig, object_count: int) -> spaces.Dict:
    """Dict of `arm_q`, `tcp`, `hand`, `time`, and as set `objects`, `prefix`, and the cameras by name."""
    parts: dict[str, spaces.Space[Any]] = {
        "time": _box((1,), 0.0, _LONGEST_S),
        "arm_q": _box((6,), -2.0 * math.pi, 2.0 * math.pi),
        "tcp": _tcp_box(),
        "hand": _box((6,), -_HAND_MARGIN, 1.0 + _HAND_MARGIN),
    }
    if config.objects:
        parts["objects"] = _box((object_count,), -_OBJECT_BOUND, _OBJECT_BOUND)
    if config.prefix_length:
        parts["prefix"] = _box((config.prefix_length, ACTION_DIM), -10.0, 10.0)
    if config.images:
        shape = (config.image_size, config.image_size, 3)
        parts |= {name: spaces.Box(0, 255, shape, np.uint8) for name in CAMERAS}
    return spaces.Dict(parts)


def observation_dict(config: EnvironmentConfig, seen: Observation, prefix: Array) -> dict[str, Any]:
    """What the environment gives for what a policy would see."""
    values: dict[str, Any] = {
        "time": np.array([seen.stamp_s]),
        "arm_q": seen.arm_q,
        "tcp": se3.pose9_from_matrix(seen.tcp_T),
        "hand": seen.hand,
    }
    if config.objects:
        values["objects"] = seen.scene
    if config.prefix_length:
        values["prefix"] = prefix
    if config.images:
        values |= seen.images
    return values


def to_observation(observation: Mapping[str, Any]) -> Observation:
    """What `Policy.infer` takes, to the last bit what a lockstep rollout gives it.

    The TCP is that of the measured joints, as on the robot.
    """
    arm_q = np.asarray(observation["arm_q"])
    return Observation(
        stamp_s=float(observation["time"][0]),
        arm_q=arm_q,
        tcp_T=ur5.forward(arm_q, TCP_OFFSET),
        hand=np.asarray(observation["hand"]),
        scene=observation.get("objects"),
        images={name: observation[name] for name in CAMERAS if name in observation},
    )


def prefix_of(observation: Mapping[str, Any]) -> Array:
    """The steps (n, 15) that the chunk for this observation must start with; n = 0 while the robot holds."""
    prefix: Array = observation.get("prefix", np.empty((0, ACTION_DIM)))
    return prefix


def _box(shape: tuple[int, ...], low: float, high: float) -> spaces.Box:
    return spaces.Box(low, high, shape, np.float64)


def _tcp_box() -> spaces.Box:
    bound = np.array([2.0] * 3 + [1.0 + _ROTATION_MARGIN] * 6)
    return spaces.Box(-bound, bound, dtype=np.float64)
