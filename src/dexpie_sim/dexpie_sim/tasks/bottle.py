"""Bottle: grasp a tapered bottle, carry it, place it upright on a raised platform.

Positions (m, in `base`), uniform. Train: bottle x 0.40..0.70, y -0.36..0.04 (30 x 40 cm), any yaw; platform
centre x 0.52..0.66, y 0.17..0.30. Held out: the bottle in the 3 cm wide frame around its train range.
Success: bottle upright within 10 deg, its base on the platform top, at rest, no contact with the hand and
TCP at least 10 cm from its axis, all that for 0.5 s. Failure: tilted by more than 60 deg or off the table
without being held for 0.5 s, or a protective stop. The runner of an episode ends it after `max_steps`.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from dexpie_core import se3
from dexpie_core.episode import Positions
from dexpie_core.se3 import Array
from dexpie_sim.model.bottle import PLATFORM_HALF_M, add_bottle, add_platform, radius_at
from dexpie_sim.tasks.base import Move, SceneReading, Sensed, Task
from dexpie_sim.tasks.placement import draw_xy
from dexpie_sim.tasks.verdict import Verdict

GRASP_HEIGHT_M: Final = 0.080
"""Height on the bottle at which the middle of the palm is put."""


@dataclass(frozen=True)
class BottleRanges:
    """Uniform position ranges in `base`, metres."""

    bottle_min_m: tuple[float, float] = (0.40, -0.36)
    bottle_max_m: tuple[float, float] = (0.70, 0.04)
    held_out_border_m: float = 0.03
    platform_min_m: tuple[float, float] = (0.52, 0.17)
    platform_max_m: tuple[float, float] = (0.66, 0.30)


@dataclass(frozen=True)
class BottleRules:
    """Thresholds of the verdict."""

    upright_rad: float = math.radians(10.0)
    fallen_rad: float = math.radians(60.0)
    seat_tolerance_m: float = 0.008
    rest_speed_m_s: float = 0.02
    rest_speed_rad_s: float = 0.3
    clear_distance_m: float = 0.10
    dwell_s: float = 0.5
    table_min_m: tuple[float, float] = (0.0, -0.6)
    table_max_m: tuple[float, float] = (1.0, 0.6)


def grasp_pose(bottle_xyz: Array, heading_rad: float, gap_m: float = 0.0, ahead_m: float = 0.010) -> Array:
    """TCP pose (4, 4) with the palm beside the bottle, `gap_m` away from touching it.

    Fingers point along `heading_rad` in the horizontal plane, the palm faces left of it, the thumb is up.
    The bottle's axis is `ahead_m` further along the fingers than the palm's middle.
    """
    R = side_grasp_rotation(heading_rad)
    contact = _PALM_TO_AXIS_M + radius_at(GRASP_HEIGHT_M) + gap_m
    axis_point = np.asarray(bottle_xyz) + np.array([0.0, 0.0, GRASP_HEIGHT_M])
    return se3.make(R, axis_point - R[:, 0] * contact - R[:, 2] * ahead_m)


def side_grasp_rotation(heading_rad: float) -> Array:
    """TCP rotation (3, 3): z (fingers) along the heading, y (thumb side) up, x (palm) to the left."""
    z = np.array([math.cos(heading_rad), math.sin(heading_rad), 0.0])
    y = np.array([0.0, 0.0, 1.0])
    return np.stack([np.cross(y, z), y, z], axis=1)


_PALM_TO_AXIS_M: Final = 0.014  # palm surface ahead of the TCP, along the palm normal

PRESHAPE: Final = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
"""Fingers open, thumb turned to oppose them."""
GRIP: Final = np.array([0.45, 0.38, 0.25, 0.25, 0.75, 0.0])
"""Targets that close the hand around the bottle with the fingers' full force."""


class BottleTask(Task):
    """See the module text."""

    name = "bottle"
    stages = ("initial", "grasped")
    max_steps = 400
    home_tcp = se3.make(side_grasp_rotation(0.0), [0.42, -0.30, 0.26])
    home_hand = np.ones(6)
    names = (
        *(f"bottle.{c}" for c in ("x", "y", "z", "ax", "ay", "az")),
        *(f"platform.{c}" for c in "xyz"),
        *(f"tcp_bottle.{c}" for c in "xyz"),
        *(f"tcp_platform.{c}" for c in "xyz"),
    )

    def __init__(self, ranges: BottleRanges | None = None, rules: BottleRules | None = None) -> None:
        self.ranges = ranges or BottleRanges()
        self.rules = rules or BottleRules()
        self._verdict = Verdict()

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Bottle with a free joint; platform as a mocap body, so that each episode can move it."""
        add_platform(spec)
        add_bottle(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Look up addresses."""
        self._body = model.body("bottle").id
        joint = model.joint("bottle_free")
        self._qpos, self._qvel = int(joint.qposadr[0]), int(joint.dofadr[0])
        platform = model.body("platform")
        self._platform, self._mocap = int(platform.id), int(platform.mocapid[0])

    def object_bodies(self) -> frozenset[int]:
        """The bottle."""
        return frozenset({self._body})

    def fixture_bodies(self) -> frozenset[int]:
        """The platform."""
        return frozenset({self._platform})

    def place(self, data: mujoco.MjData, rng: np.random.Generator, stage: str, positions: Positions) -> None:
        """Draw bottle and platform positions."""
        r = self.ranges
        bottle = draw_xy(rng, r.bottle_min_m, r.bottle_max_m, r.held_out_border_m, positions)
        yaw = rng.uniform(-math.pi, math.pi)
        platform = rng.uniform(r.platform_min_m, r.platform_max_m)
        self.put(data, np.array([*bottle, 0.0]), yaw, platform)
        self._verdict = Verdict(stage=stage)

    def put(
        self,
        data: mujoco.MjData,
        bottle_xyz: Array,
        yaw_rad: float,
        platform_xy: Array,
        tilt_rad: float = 0.0,
    ) -> None:
        """Set bottle pose (base point, m; tilt about its x axis) and platform position (m) outright."""
        R = se3.rotation_from_rotvec([0.0, 0.0, yaw_rad]) @ se3.rotation_from_rotvec([tilt_rad, 0.0, 0.0])
        data.qpos[self._qpos : self._qpos + 3] = bottle_xyz
        mujoco.mju_mat2Quat(data.qpos[self._qpos + 3 : self._qpos + 7], R.flatten())
        data.qvel[self._qvel : self._qvel + 6] = 0.0
        data.mocap_pos[self._mocap] = (platform_xy[0], platform_xy[1], PLATFORM_HALF_M[2])

    def setup_motion(self, data: mujoco.MjData, stage: str) -> list[Move]:
        """`grasped`: take the bottle from the side and lift it 10 cm."""
        if stage == "initial":
            return []
        bottle = data.qpos[self._qpos : self._qpos + 3].copy()
        at = grasp_pose(bottle, 0.0, gap_m=0.002)
        lifted = at.copy()
        lifted[2, 3] += 0.10
        return [
            Move(at, PRESHAPE, 0.4),
            Move(at, GRIP, 0.8),
            Move(lifted, GRIP, 0.9),
            Move(lifted, GRIP, 0.3),
        ]

    def update(self, data: mujoco.MjData, sensed: Sensed, dt_s: float) -> None:
        """Accumulate the dwell times; the first verdict stays."""
        if self._verdict.given:
            return
        base, axis = self._pose(data)
        self._verdict = self._verdict.after(
            dt_s,
            sensed,
            self.rules.dwell_s,
            self._seated(data, base, axis, sensed),
            "bottle stands on the platform",
            self._lost_reason(base, axis),
        )

    def reading(self, data: mujoco.MjData, tcp_T: Array) -> SceneReading:
        """Bottle base point and axis, platform top centre, and both points in the TCP frame."""
        base, axis = self._pose(data)
        platform = data.mocap_pos[self._mocap] + np.array([0.0, 0.0, PLATFORM_HALF_M[2]])
        R, p = tcp_T[:3, :3], tcp_T[:3, 3]
        values = np.concatenate([base, axis, platform, R.T @ (base - p), R.T @ (platform - p)])
        v = self._verdict
        return SceneReading(self.names, values, v.success, v.failure, v.reason, v.stage)

    def save(self) -> Any:
        """Verdicts are immutable."""
        return self._verdict

    def restore(self, state: Any) -> None:
        """Take a saved verdict back."""
        self._verdict = state

    def _pose(self, data: mujoco.MjData) -> tuple[Array, Array]:
        q = data.qpos[self._qpos : self._qpos + 7]
        w, x, y, z = q[3:7]
        axis = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        return q[:3].copy(), axis

    def _seated(self, data: mujoco.MjData, base: Array, axis: Array, sensed: Sensed) -> bool:
        rules = self.rules
        top = data.mocap_pos[self._mocap] + np.array([0.0, 0.0, PLATFORM_HALF_M[2]])
        offset = np.abs(base - top)
        on_top = (
            offset[0] < PLATFORM_HALF_M[0]
            and offset[1] < PLATFORM_HALF_M[1]
            and offset[2] < rules.seat_tolerance_m
        )
        if not on_top or sensed.holds_object or axis[2] < math.cos(rules.upright_rad):
            return False
        velocity = data.qvel[self._qvel : self._qvel + 6]
        at_rest = (
            np.linalg.norm(velocity[:3]) < rules.rest_speed_m_s
            and np.linalg.norm(velocity[3:]) < rules.rest_speed_rad_s
        )
        clear = np.linalg.norm(np.cross(sensed.tcp_T[:3, 3] - base, axis)) > rules.clear_distance_m
        return bool(at_rest and clear)

    def _lost_reason(self, base: Array, axis: Array) -> str:
        if axis[2] < math.cos(self.rules.fallen_rad):
            return "bottle fell over"
        inside = np.all(base[:2] > self.rules.table_min_m) and np.all(base[:2] < self.rules.table_max_m)
        return "" if inside else "bottle left the table"
