"""How a person does the bottle task: what to reach for next, given what is seen."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.bottle import GRIP, PRESHAPE, grasp_pose
from dexpie_sim.tasks.plan import Intent, View, shifted

OPEN = np.ones(6)


class Phase(Enum):
    """Step of the plan."""

    CLEAR = "clear"
    OVER = "over"
    APPROACH = "approach"
    ENGAGE = "engage"
    SLIDE = "slide"
    CLOSE = "close"
    LIFT = "lift"
    CARRY = "carry"
    LOWER = "lower"
    RELEASE = "release"
    BACK_OFF = "back_off"
    RETREAT = "retreat"
    DONE = "done"


@dataclass(frozen=True)
class BottlePlanConfig:
    """Distances (m), times (s) and speed fractions of the plan."""

    approach_gap_m: float = 0.09
    wide_ahead_m: float = 0.045
    grasp_ahead_m: float = 0.012
    close_s: float = 0.45
    lift_m: float = 0.10
    carry_height_m: float = 0.055
    release_s: float = 0.35
    travel_height_m: float = 0.27
    careful_speed: float = 0.55
    blend_s: float = 0.12
    heading_spread_rad: float = 0.08
    place_spread_m: float = 0.008


class BottlePlan:
    """Grasp from the side, lift, carry, set down, open, back off; starts again where the bottle is lost."""

    def __init__(self, rng: np.random.Generator, config: BottlePlanConfig | None = None) -> None:
        self._config = config = config or BottlePlanConfig()
        self._heading_offset = rng.normal(0.0, config.heading_spread_rad)
        self._place_offset = np.append(np.clip(rng.normal(0.0, config.place_spread_m, 2), -0.02, 0.02), 0.0)
        self._close_s = config.close_s * rng.uniform(0.9, 1.2)
        self.phase = Phase.CLEAR
        self._heading = 0.0
        self._goal: Array | None = None
        self._bottle_xy = np.zeros(2)

    def first_phase(self, view: View) -> None:
        """Enter the plan where the scene stands: bottle put down, in the hand, or before the reach."""
        if in_hand(view.scene) and self._placed(view):
            self.phase = Phase.RELEASE
            self._goal = view.tcp_T.copy()
        elif in_hand(view.scene) and view.scene.group("bottle.")[2] > 0.02:
            self.phase = Phase.LIFT
            self._goal = view.tcp_T.copy()
        else:
            self._begin_reach(view)

    def step(self, view: View) -> tuple[Intent, bool]:
        """The intent now, and whether a new phase has begun with it."""
        following = self._next(view)
        if following is not self.phase:
            self._enter(following, view)
            return self._intent(view), True
        return self._intent(view), False

    def _next(self, view: View) -> Phase:
        config, phase = self._config, self.phase
        arrived = view.remaining_s <= 0.0
        nearly = view.remaining_s <= config.blend_s
        if phase in (Phase.LIFT, Phase.CARRY, Phase.LOWER) and view.phase_s > 0.3 and not in_hand(view.scene):
            return Phase.CLEAR
        if phase in _REACHING and self._moved(view):
            return Phase.CLEAR
        if phase is Phase.CLEAR and self._goal is None:
            return Phase.APPROACH
        if phase in _FOLLOWING and nearly:
            return _FOLLOWING[phase]
        if phase is Phase.SLIDE and view.remaining_s <= -0.05:
            return Phase.CLOSE
        if phase is Phase.CLOSE and view.phase_s > self._close_s:
            return Phase.LIFT
        if phase is Phase.CARRY and nearly and self._above_platform(view):
            return Phase.LOWER
        if phase is Phase.LOWER and (self._set_down(view) or view.remaining_s < -0.6):
            return Phase.RELEASE
        if phase is Phase.RELEASE and view.phase_s > config.release_s and np.all(view.hand[:4] > 0.9):
            return Phase.BACK_OFF
        if phase is Phase.BACK_OFF and nearly:
            return Phase.RETREAT
        if phase is Phase.RETREAT and arrived and view.phase_s > 0.8:
            return Phase.DONE if self._placed(view) else Phase.CLEAR
        return phase

    def _enter(self, phase: Phase, view: View) -> None:
        self.phase = phase
        if phase is Phase.CLEAR:
            self._begin_reach(view)
        elif phase is Phase.SLIDE:
            self._goal = None
        elif phase is Phase.LIFT:
            self._goal = shifted(self._goal_or(view), [0.0, 0.0, self._config.lift_m])
        elif phase is Phase.RELEASE:
            self._goal = self._goal_or(view)
        elif phase is Phase.BACK_OFF:
            T = self._goal_or(view)
            self._goal = shifted(T, -0.010 * T[:3, 0] - 0.045 * T[:3, 2])
        elif phase is Phase.RETREAT:
            T = self._goal_or(view)
            self._goal = shifted(T, -0.13 * T[:3, 0] - 0.02 * T[:3, 2] + np.array([0.0, 0.0, 0.04]))

    def _begin_reach(self, view: View) -> None:
        self.phase = Phase.CLEAR
        bottle = view.scene.group("bottle.")
        azimuth = math.atan2(bottle[1], bottle[0])
        self._heading = 0.5 * (azimuth + 0.2) + self._heading_offset
        self._bottle_xy = bottle[:2].copy()
        self._goal = None
        T = view.tcp_T
        if self._path_is_blocked(T, bottle):
            up = max(self._config.travel_height_m - T[2, 3], 0.0)
            back = 0.0 if up == 0.0 else 1.0
            self._goal = shifted(T, back * (-0.06 * T[:3, 0] - 0.05 * T[:3, 2]) + np.array([0.0, 0.0, up]))

    def _path_is_blocked(self, T: Array, bottle: Array) -> bool:
        """Whether the straight way of the hand to the start of the grasp passes too near to the bottle."""
        start, end = T[:3, 3], self._approach_pose(bottle)[:3, 3]
        way = end[:2] - start[:2]
        s = np.clip(np.dot(bottle[:2] - start[:2], way) / max(np.dot(way, way), 1e-9), 0.0, 1.0)
        distance = float(np.linalg.norm(start[:2] + s * way - bottle[:2]))
        height = start[2] + s * (end[2] - start[2])
        return distance < _HAND_REACH_M and height < _CLEAR_HEIGHT_M

    def _approach_pose(self, bottle: Array) -> Array:
        return grasp_pose(bottle[:3], self._heading, self._config.approach_gap_m, self._config.wide_ahead_m)

    def _moved(self, view: View) -> bool:
        return bool(np.linalg.norm(view.scene.group("bottle.")[:2] - self._bottle_xy) > 0.03)

    def _intent(self, view: View) -> Intent:
        config = self._config
        bottle, phase = view.scene.group("bottle.")[:3], self.phase
        if phase is Phase.CLEAR and self._goal is not None:
            return Intent(self._goal, OPEN)
        if phase is Phase.OVER:
            above = self._approach_pose(bottle)
            above[2, 3] = max(above[2, 3], config.travel_height_m)
            return Intent(above, OPEN)
        if phase in (Phase.CLEAR, Phase.APPROACH):
            return Intent(self._approach_pose(bottle), PRESHAPE)
        if phase is Phase.ENGAGE:
            return Intent(grasp_pose(bottle, self._heading, 0.006, config.wide_ahead_m), PRESHAPE, 0.8)
        if phase is Phase.SLIDE:
            if self._goal is None:
                self._goal = grasp_pose(bottle, self._heading, 0.001, config.grasp_ahead_m)
            return Intent(self._goal, PRESHAPE, config.careful_speed)
        if phase is Phase.CLOSE:
            return Intent(self._goal_or(view), GRIP)
        if phase is Phase.LIFT:
            return Intent(self._goal_or(view), GRIP, 0.8)
        if phase is Phase.CARRY:
            self._goal = self._carry_goal(view, config.carry_height_m)
            return Intent(self._goal, GRIP)
        if phase is Phase.LOWER:
            self._goal = self._carry_goal(view, -0.002)
            return Intent(self._goal, GRIP, config.careful_speed)
        if phase in (Phase.RELEASE, Phase.BACK_OFF):
            return Intent(self._goal_or(view), PRESHAPE, 0.8)
        return Intent(self._goal_or(view), OPEN)

    def _carry_goal(self, view: View, height_m: float) -> Array:
        """TCP pose that puts the bottle's base `height_m` above the platform, standing straight."""
        bottle = view.scene.group("bottle.")
        base, axis = bottle[:3], bottle[3:6]
        R, p = view.tcp_T[:3, :3], view.tcp_T[:3, 3]
        straighten = np.cross(axis, [0.0, 0.0, 1.0])
        angle = float(np.linalg.norm(straighten))
        straighten = straighten * min(1.0, 0.26 / max(angle, 1e-9))
        R_goal = se3.rotation_from_rotvec(straighten) @ R
        target = view.scene.group("platform.") + self._place_offset + np.array([0.0, 0.0, height_m])
        return se3.make(R_goal, target - R_goal @ (R.T @ (base - p)))

    def _goal_or(self, view: View) -> Array:
        return view.tcp_T.copy() if self._goal is None else self._goal

    def _above_platform(self, view: View) -> bool:
        offset = view.scene.group("bottle.")[:2] - view.scene.group("platform.")[:2] - self._place_offset[:2]
        return bool(np.linalg.norm(offset) < 0.03)

    def _set_down(self, view: View) -> bool:
        height = view.scene.group("bottle.")[2] - view.scene.group("platform.")[2]
        return bool(height < 0.004)

    def _placed(self, view: View) -> bool:
        bottle, platform = view.scene.group("bottle."), view.scene.group("platform.")
        return bool(np.all(np.abs(bottle[:3] - platform) < [0.06, 0.06, 0.01]) and bottle[5] > 0.97)


_HAND_REACH_M = 0.12
_CLEAR_HEIGHT_M = 0.22
_REACHING = (Phase.OVER, Phase.APPROACH, Phase.ENGAGE)
_FOLLOWING = {
    Phase.CLEAR: Phase.OVER,
    Phase.OVER: Phase.APPROACH,
    Phase.APPROACH: Phase.ENGAGE,
    Phase.ENGAGE: Phase.SLIDE,
    Phase.LIFT: Phase.CARRY,
}


def in_hand(scene: SceneReading) -> bool:
    """Whether the bottle is where a held bottle is, seen from the palm."""
    x, y, z = scene.group("tcp_bottle.")
    return bool(0.0 < x < 0.11 and -0.16 < y < -0.02 and -0.07 < z < 0.07)
