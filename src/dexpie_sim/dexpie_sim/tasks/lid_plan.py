"""How a person does the lid task: what to reach for next, given what is seen."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.lid import BOX_INNER_HALF_M, CANDY_RADIUS_M, KNOB_ON_TABLE_M
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.lid import ASIDE_M
from dexpie_sim.tasks.lid_grasp import (
    CANDY_GRASP_M,
    OPEN,
    PART,
    PINCH,
    PINCH_POINT_M,
    free_heading,
    off_the_wall,
    pinch_pose,
    pinch_rotation,
    straight_heading,
)
from dexpie_sim.tasks.plan import Intent, View, shifted


class Phase(Enum):
    """Step of the plan; lid and candy go through the same steps, one after the other."""

    RAISE = "raise"
    OVER = "over"
    DOWN = "down"
    CLOSE = "close"
    LIFT = "lift"
    CARRY = "carry"
    LOWER = "lower"
    RELEASE = "release"
    DONE = "done"


@dataclass(frozen=True)
class LidPlanConfig:
    """Distances (m), times (s) and speed fractions of the plan; spreads are standard deviations of habits.

    travel_height_m: of the TCP when the hand crosses the table; its fingertips are 8 cm lower. clear_s: time
    after the release in which the digits stay near each other, to leave the box without touching it.
    """

    travel_height_m: float = 0.27
    above_m: float = 0.08
    lift_m: float = 0.08
    carry_above_rim_m: float = 0.06
    release_above_rim_m: float = 0.006
    close_s: float = 0.45
    release_s: float = 0.35
    settle_s: float = 0.10
    clear_s: float = 0.6
    careful_speed: float = 0.55
    blend_s: float = 0.12
    heading_spread_rad: float = 0.08
    aside_spread_m: float = 0.012
    drop_spread_m: float = 0.006


class LidPlan:
    """Lid first, then the candy: reach from above, pinch, lift, carry, set down, let go, raise the hand."""

    def __init__(self, rng: np.random.Generator, config: LidPlanConfig | None = None) -> None:
        self._config = config = config or LidPlanConfig()
        self._heading_offset = float(np.clip(rng.normal(0.0, config.heading_spread_rad), -0.2, 0.2))
        self._aside_offset = np.clip(rng.normal(0.0, config.aside_spread_m, 2), -0.03, 0.03)
        self._drop_offset = np.clip(rng.normal(0.0, config.drop_spread_m, 2), -0.015, 0.015)
        self._close_s = config.close_s * rng.uniform(0.9, 1.2)
        self.phase = Phase.RAISE
        self.thing = "lid"
        self._heading = 0.0
        self._goal: Array | None = None
        self._seen_at = np.zeros(3)

    def first_phase(self, view: View) -> None:
        """Enter the plan where the scene stands: with lid or candy in hand, or before the reach."""
        held = next((thing for thing in ("lid", "candy") if _lifted(view, thing)), None)
        if held is None:
            self._enter(Phase.RAISE, view)
        else:
            self.thing = held
            self._enter(Phase.LIFT, view)

    def step(self, view: View) -> tuple[Intent, bool]:
        """The intent now, and whether a new phase has begun with it."""
        following = self._next(view)
        if following is not self.phase:
            self._enter(following, view)
            return self._intent(view), True
        return self._intent(view), False

    def _next(self, view: View) -> Phase:
        config, phase = self._config, self.phase
        nearly = view.remaining_s <= config.blend_s
        still = view.remaining_s <= -config.settle_s
        if phase in _CARRYING and view.phase_s > 0.3 and not in_hand(view.scene, self.thing):
            return Phase.RAISE
        if phase in (Phase.OVER, Phase.DOWN) and self._moved(view):
            return Phase.RAISE
        if phase is Phase.RAISE and nearly and view.phase_s > config.settle_s:
            return self._after_raising(view)
        if phase in (Phase.OVER, Phase.LIFT) and nearly and view.phase_s > config.settle_s:
            return _FOLLOWING[phase]
        if phase is Phase.DOWN and still:
            return Phase.CLOSE
        if phase is Phase.CLOSE and view.phase_s > self._close_s:
            return Phase.LIFT
        if phase is Phase.CARRY and nearly and (self._above_destination(view) or view.remaining_s < -1.5):
            return Phase.LOWER
        if phase is Phase.LOWER and (self._set_down(view) or view.remaining_s < -0.6):
            return Phase.RELEASE
        if phase is Phase.RELEASE and view.phase_s > config.release_s:
            return Phase.RAISE
        return phase

    def _after_raising(self, view: View) -> Phase:
        """What is to be done next. The last look takes its time: the candy has to come to rest."""
        if not (lid_is_aside(view.scene) and candy_is_in(view.scene)):
            return Phase.OVER
        return Phase.DONE if view.phase_s > 1.2 else Phase.RAISE

    def _enter(self, phase: Phase, view: View) -> None:
        self.phase = phase
        T = view.tcp_T
        if phase is Phase.RAISE:
            self._goal = shifted(T, [0.0, 0.0, max(self._config.travel_height_m - T[2, 3], 0.0)])
        elif phase is Phase.OVER:
            self._begin_reach(view)
        elif phase is Phase.CLOSE:
            self._goal = self._grasp(view)
        elif phase is Phase.LIFT:
            self._goal = shifted(T if self._goal is None else self._goal, [0.0, 0.0, self._config.lift_m])

    def _begin_reach(self, view: View) -> None:
        self.thing = "candy" if lid_is_aside(view.scene) else "lid"
        scene = view.scene
        at = scene.group(f"{self.thing}.")
        self._seen_at = at[:3]
        if self.thing == "candy":
            self._heading = free_heading(at, scene.group("box."), scene.group("lid."))
        else:
            self._heading = straight_heading(at)
        self._heading += self._heading_offset

    def _intent(self, view: View) -> Intent:
        config, phase = self._config, self.phase
        goal = view.tcp_T if self._goal is None else self._goal
        if phase is Phase.OVER:
            return Intent(shifted(self._grasp(view), [0.0, 0.0, config.above_m]), OPEN)
        if phase is Phase.DOWN:
            return Intent(self._grasp(view), OPEN, config.careful_speed)
        if phase is Phase.CLOSE:
            return Intent(goal, PINCH[self.thing])
        if phase is Phase.LIFT:
            return Intent(goal, PINCH[self.thing], 0.7)
        if phase is Phase.CARRY:
            self._goal = self._carry_goal(view, self._carry_height_m(view))
            return Intent(self._goal, PINCH[self.thing])
        if phase is Phase.LOWER:
            self._goal = self._carry_goal(view, -0.002)
            return Intent(self._goal, PINCH[self.thing], config.careful_speed)
        if phase is Phase.RELEASE:
            return Intent(goal, PART)
        return Intent(goal, PART if view.phase_s < config.clear_s else OPEN, 0.8)

    def _grasp(self, view: View) -> Array:
        point = view.scene.group(f"{self.thing}.")[:3]
        if self.thing == "candy":
            point = point + off_the_wall(point, view.scene.group("box."))
            point[2] += CANDY_GRASP_M
        return pinch_pose(point, self._heading)

    def _destination(self, view: View) -> Array:
        """Where the thing in hand is to be let go (3,): aside, in the opening, or, box shut, on the table."""
        box = view.scene.group("box.")[:3]
        if self.thing == "lid":
            candy = view.scene.group("candy.")[:2]
            spots = [box[:2] + aside + self._aside_offset for aside in (ASIDE_M, *OTHERWISE_ASIDE_M)]
            free = [spot for spot in spots if np.linalg.norm(spot - candy) > LID_KEEPS_OFF_M]
            return np.array([*free[0], KNOB_ON_TABLE_M])
        if lid_is_aside(view.scene):
            return np.array([*(box[:2] + self._drop_offset), box[2] + self._config.release_above_rim_m])
        return np.array([*(box[:2] + BESIDE_M), CANDY_RADIUS_M])

    def _carry_height_m(self, view: View) -> float:
        """Height above the destination at which the way there clears the box."""
        rim = float(view.scene.group("box.")[2])
        hangs = KNOB_ON_TABLE_M if self.thing == "lid" else 0.0
        return rim + self._config.carry_above_rim_m + hangs - float(self._destination(view)[2])

    def _carry_goal(self, view: View, height_m: float) -> Array:
        """TCP pose that brings the thing in hand `height_m` above its destination, a lid hanging level."""
        target = self._destination(view)
        R = pinch_rotation(straight_heading(target) + self._heading_offset)
        if self.thing == "lid":
            tilt = np.cross(view.tcp_T[:3, :3].T @ view.scene.group("lid.")[3:6], R.T @ [0.0, 0.0, 1.0])
            angle = float(np.linalg.norm(tilt))
            R = R @ se3.rotation_from_rotvec(tilt * min(1.0, 0.26 / max(angle, 1e-9)))
        offset = view.scene.group(f"tcp_{self.thing}.")
        return se3.make(R, target + np.array([0.0, 0.0, height_m]) - R @ offset)

    def _above_destination(self, view: View) -> bool:
        offset = view.scene.group(f"{self.thing}.")[:2] - self._destination(view)[:2]
        return bool(np.linalg.norm(offset) < 0.015)

    def _set_down(self, view: View) -> bool:
        return bool(view.scene.group(f"{self.thing}.")[2] - self._destination(view)[2] < 0.0025)

    def _moved(self, view: View) -> bool:
        return bool(np.linalg.norm(view.scene.group(f"{self.thing}.")[:3] - self._seen_at) > 0.02)


OTHERWISE_ASIDE_M: Final = ((-0.01, 0.29), (-0.01, -0.18))
"""Where the lid goes, from the box's centre, when the candy lies where a person would put it."""
LID_KEEPS_OFF_M: Final = 0.11
"""Smallest distance between the candy and the middle of the place for the lid."""
BESIDE_M: Final = (-0.02, -0.22)
"""Where a candy in hand is laid, from the box's centre, when the box turns out to be shut."""
_CARRYING: Final = (Phase.LIFT, Phase.CARRY, Phase.LOWER)
_FOLLOWING: Final = {Phase.OVER: Phase.DOWN, Phase.LIFT: Phase.CARRY}


def in_hand(scene: SceneReading, thing: str) -> bool:
    """Whether the thing is where a pinched thing is, seen from the palm."""
    return bool(np.linalg.norm(scene.group(f"tcp_{thing}.") - PINCH_POINT_M) < 0.025)


def _lifted(view: View, thing: str) -> bool:
    """Whether the hand holds the thing above what it lay on."""
    height = view.scene.group(f"{thing}.")[2]
    box = view.scene.group("box.")
    if thing == "lid":
        resting = abs(height - KNOB_ON_TABLE_M) < 0.01 or _lid_is_on(view)
    else:
        resting = height < CANDY_RADIUS_M + 0.01 or height < box[2]
    return not resting and in_hand(view.scene, thing)


def _lid_is_on(view: View) -> bool:
    lid, box = view.scene.group("lid."), view.scene.group("box.")
    return bool(np.linalg.norm(lid[:2] - box[:2]) < 0.1 and lid[2] < box[2] + 0.05)


def lid_is_aside(scene: SceneReading) -> bool:
    """Whether the lid lies flat on the table."""
    return bool(abs(scene.group("lid.")[2] - KNOB_ON_TABLE_M) < 0.006)


def candy_is_in(scene: SceneReading) -> bool:
    """Whether the candy is inside the box."""
    candy, box = scene.group("candy."), scene.group("box.")
    return bool(np.all(np.abs(candy[:2] - box[:2]) < BOX_INNER_HALF_M + 0.01) and candy[2] < box[2])
