"""How a person does the drawer task: what to reach for next, given what is seen."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.drawer import CLEAR_HEIGHT_M, FLOOR_TOP_M
from dexpie_sim.tasks.drawer_poses import (
    GRIP,
    HOOK,
    LET_GO,
    OPEN,
    POINT,
    PRESHAPE,
    box_pose,
    grip_axis,
    handle_pose,
)
from dexpie_sim.tasks.drawer_sight import Sight
from dexpie_sim.tasks.plan import Intent, View, shifted


class Phase(Enum):
    """Step of the plan."""

    CLEAR = "clear"
    OVER_HANDLE = "over_handle"
    AIM = "aim"
    INSERT = "insert"
    HOOK = "hook"
    PULL = "pull"
    UNHOOK = "unhook"
    WITHDRAW = "withdraw"
    OVER_BOX = "over_box"
    DESCEND = "descend"
    CLOSE = "close"
    LIFT = "lift"
    CARRY = "carry"
    LOWER = "lower"
    RELEASE = "release"
    RISE = "rise"
    RETREAT = "retreat"
    DONE = "done"


@dataclass(frozen=True)
class DrawerPlanConfig:
    """Distances (m), times (s) and speed fractions of the plan.

    open_m: opening it pulls to. enough_m: opening at which it does not pull again. aim_s: pause over the gap
    until hand and eye agree. forward_m: so far before the middle of the drawer's open part goes the box, for
    the fingers need more room than the thumb. spare_m: distance before the handle of the spot for a box that
    cannot go in. grip_error_m: a box that is held further off than this is put there too, and grasped anew:
    with it the hand would come down on the drawer's walls. *_spread: standard deviations between episodes of
    where the box is taken, how the hand is turned on it, and where it is put.
    """

    open_m: float = 0.138
    enough_m: float = 0.122
    travel_m: float = 0.28
    over_handle_m: float = 0.11
    aim_m: float = 0.050
    aim_s: float = 0.30
    hook_s: float = 0.40
    slip_m: float = 0.03
    unhook_s: float = 0.35
    over_box_m: float = 0.10
    close_s: float = 0.50
    carry_m: float = 0.045
    forward_m: float = 0.010
    spare_m: float = 0.24
    grip_error_m: float = 0.025
    release_s: float = 0.45
    careful_speed: float = 0.45
    pull_speed: float = 0.55
    blend_s: float = 0.12
    grip_spread_m: float = 0.005
    turn_spread_rad: float = 0.06
    place_spread_m: float = 0.006


class DrawerPlan:
    """Insert, hook, pull; grasp from above, carry, set down; starts again where handle or box is lost."""

    def __init__(self, rng: np.random.Generator, config: DrawerPlanConfig | None = None) -> None:
        self._config = config = config or DrawerPlanConfig()
        self._along_m = float(np.clip(rng.normal(0.0, config.grip_spread_m), -0.012, 0.012))
        self._turn_rad = float(np.clip(rng.normal(0.0, config.turn_spread_rad), -0.15, 0.15))
        self._place = np.append(np.clip(rng.normal(0.0, config.place_spread_m, 2), -0.01, 0.01), 0.0)
        slow, blend_s = rng.uniform(0.9, 1.2), config.blend_s
        self._when_left_s = {
            Phase.OVER_HANDLE: (Phase.AIM, blend_s),
            Phase.AIM: (Phase.INSERT, -config.aim_s * slow),
            Phase.INSERT: (Phase.HOOK, -0.15),
            Phase.OVER_BOX: (Phase.DESCEND, 0.0),
            Phase.DESCEND: (Phase.CLOSE, -0.1),
            Phase.LIFT: (Phase.CARRY, blend_s),
            Phase.LOWER: (Phase.RELEASE, -0.2),
            Phase.RISE: (Phase.RETREAT, blend_s),
        }
        self._after_s = {
            Phase.HOOK: (Phase.PULL, config.hook_s * slow),
            Phase.CLOSE: (Phase.LIFT, config.close_s * slow),
            Phase.RELEASE: (Phase.RISE, config.release_s),
        }
        self.phase = Phase.CLEAR
        self._gesture = OPEN
        self._regrasp = False
        self._goal: Array | None = None
        self._mark = np.zeros(3)

    def first_phase(self, view: View) -> None:
        """Enter the plan where the scene stands."""
        sight, self._goal = Sight.of(view.scene), None
        self._regrasp = sight.grip_error_m(view.tcp_T) > self._config.grip_error_m
        self._enter(Phase.LIFT if sight.in_hand and sight.lowest_m > 0.02 else Phase.CLEAR, view, sight)

    def step(self, view: View) -> tuple[Intent, bool]:
        """The intent now, and whether a new phase has begun with it."""
        sight = Sight.of(view.scene)
        following = Phase.CLEAR if self._spoilt(view, sight) else self._next(view, sight)
        new = following is not self.phase
        if new:
            self._enter(following, view, sight)
        return self._intent(view, sight), new

    def _spoilt(self, view: View, sight: Sight) -> bool:
        """Whether what the present phase counts on is no longer so."""
        phase, config = self.phase, self._config
        if phase in (Phase.AIM, Phase.INSERT):
            return bool(np.linalg.norm(sight.handle - self._mark) > 0.012)
        if phase is Phase.PULL and sight.opening_m <= config.open_m - 0.006:
            slipped = np.linalg.norm(sight.tcp_handle - self._mark) > config.slip_m
            return bool(slipped or view.remaining_s < -0.5)
        if phase in (Phase.OVER_BOX, Phase.DESCEND) and sight.opening_m < config.enough_m:
            return True
        if phase is Phase.DESCEND:
            return bool(np.linalg.norm(sight.box - self._mark) > 0.02)
        return phase in (Phase.LIFT, Phase.CARRY, Phase.LOWER) and view.phase_s > 0.3 and not sight.in_hand

    def _next(self, view: View, sight: Sight) -> Phase:
        config, phase, left_s = self._config, self.phase, view.remaining_s
        if phase in (Phase.CLEAR, Phase.WITHDRAW) and left_s <= config.blend_s:
            if sight.stowed:
                return Phase.RETREAT
            return Phase.OVER_BOX if sight.opening_m > config.enough_m else Phase.OVER_HANDLE
        if phase is Phase.PULL and sight.opening_m > config.open_m - 0.006:
            return Phase.UNHOOK
        if phase is Phase.UNHOOK and view.phase_s > config.unhook_s and left_s <= 0.0:
            return Phase.WITHDRAW
        if phase is Phase.CARRY and left_s <= 0.0 and self._is_over(sight, 0.012):
            return Phase.LOWER
        if phase is Phase.LOWER and not self._is_over(sight, 0.03):
            return Phase.LIFT
        if phase is Phase.RETREAT and left_s <= 0.0 and view.phase_s > 0.6:
            return Phase.DONE if sight.stowed else Phase.CLEAR
        return self._timed(view)

    def _timed(self, view: View) -> Phase:
        if self.phase in self._when_left_s:
            following, left_s = self._when_left_s[self.phase]
            return following if view.remaining_s <= left_s else self.phase
        if self.phase in self._after_s:
            following, after_s = self._after_s[self.phase]
            return following if view.phase_s > after_s else self.phase
        return self.phase

    def _enter(self, phase: Phase, view: View, sight: Sight) -> None:
        config, T = self._config, view.tcp_T
        goal = T if self._goal is None else self._goal
        self.phase = phase
        if phase is Phase.CLEAR:
            # The hand keeps its kind of gesture until it is out of handle or drawer.
            self._gesture = LET_GO if view.hand[5] < 0.5 else POINT
            self._goal = shifted(T, [0.0, 0.0, max(config.travel_m - T[2, 3], 0.0)])
        elif phase is Phase.AIM:
            self._mark = sight.handle
        elif phase is Phase.PULL:
            self._mark = sight.tcp_handle
            self._goal = shifted(goal, (max(config.open_m - sight.opening_m, 0.0) + 0.008) * sight.pull)
        elif phase is Phase.UNHOOK:
            self._goal = handle_pose(sight.handle, sight.pull)
        elif phase is Phase.WITHDRAW:
            self._goal = handle_pose(sight.handle, sight.pull, 0.12)
        elif phase is Phase.DESCEND:
            self._mark, self._regrasp = sight.box, False
            self._goal = self._box_goal(sight, 0.0)
        elif phase is Phase.LIFT:
            up = FLOOR_TOP_M + CLEAR_HEIGHT_M + config.carry_m - sight.lowest_m
            self._goal = shifted(goal, [0.0, 0.0, max(up, 0.0)])
        elif phase is Phase.RISE:
            self._goal = shifted(goal, [0.0, 0.0, 0.13])
        elif phase is Phase.RETREAT:
            self._goal = shifted(T, 0.10 * sight.pull + [0.0, 0.0, max(config.travel_m - T[2, 3], 0.0)])

    def _intent(self, view: View, sight: Sight) -> Intent:
        phase, config = self.phase, self._config
        above_handle_m = {Phase.OVER_HANDLE: config.over_handle_m, Phase.AIM: config.aim_m, Phase.INSERT: 0.0}
        if phase in above_handle_m:
            self._goal = handle_pose(sight.handle, sight.pull, above_handle_m[phase])
        elif phase is Phase.OVER_BOX:
            self._goal = self._box_goal(sight, config.over_box_m)
        elif phase in (Phase.CARRY, Phase.LOWER):
            above_m = CLEAR_HEIGHT_M + config.carry_m if phase is Phase.CARRY else 0.002
            bottom = self._destination(sight) + np.array([0.0, 0.0, above_m])
            self._goal = sight.carried_to(view.tcp_T, bottom)
        hand = self._gesture if phase is Phase.CLEAR else _HANDS.get(phase, OPEN)
        goal = view.tcp_T.copy() if self._goal is None else self._goal
        return Intent(goal, hand, self._speed())

    def _speed(self) -> float:
        if self.phase in (Phase.AIM, Phase.INSERT, Phase.DESCEND, Phase.LOWER):
            return self._config.careful_speed
        if self.phase in (Phase.PULL, Phase.UNHOOK, Phase.WITHDRAW):
            return self._config.pull_speed
        return 0.8 if _HANDS.get(self.phase) is GRIP else 1.0

    def _box_goal(self, sight: Sight, above_m: float) -> Array:
        """Where to take the box, a little beside its middle and turned, as people do."""
        across, vertical = grip_axis(sight.R_box)
        beside = self._along_m * sight.R_box[:, 3 - across - vertical]
        turned = se3.rotation_from_rotvec([0.0, 0.0, self._turn_rad]) @ sight.R_box
        return box_pose(sight.box + beside, turned, sight.pull, above_m)

    def _destination(self, sight: Sight) -> Array:
        """Where the middle of the box's bottom goes: into the drawer if it is open and the grip is good."""
        if self._regrasp or sight.opening_m < self._config.enough_m:
            return sight.place_before_drawer(self._config.spare_m)
        return sight.place_in_drawer(self._config.forward_m) + self._place

    def _is_over(self, sight: Sight, within_m: float) -> bool:
        return bool(np.linalg.norm((sight.box - self._destination(sight))[:2]) < within_m)


_HANDS: Final = {
    **dict.fromkeys((Phase.OVER_HANDLE, Phase.AIM, Phase.INSERT, Phase.UNHOOK, Phase.WITHDRAW), POINT),
    **dict.fromkeys((Phase.HOOK, Phase.PULL), HOOK),
    **dict.fromkeys((Phase.OVER_BOX, Phase.DESCEND), PRESHAPE),
    **dict.fromkeys((Phase.CLOSE, Phase.LIFT, Phase.CARRY, Phase.LOWER), GRIP),
    **dict.fromkeys((Phase.RELEASE, Phase.RISE), LET_GO),
}
