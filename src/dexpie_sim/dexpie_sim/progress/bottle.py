"""Progress of the bottle task."""

import math
from typing import Final

import numpy as np

from dexpie_core.se3 import Array
from dexpie_sim.model.bottle import PLATFORM_HALF_M, radius_at
from dexpie_sim.progress.base import ProgressRules, Standing, share
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.bottle import GRASP_HEIGHT_M
from dexpie_sim.tasks.bottle_plan import in_hand

STEPS: Final = ("reach", "carry", "lower", "leave")

_GRASPED_M: Final = np.array([0.014 + radius_at(GRASP_HEIGHT_M), -GRASP_HEIGHT_M, 0.012])
"""The bottle's base in the TCP frame when the hand is around it."""
_FAR_M: Final = 0.80  # distance that counts as nothing done
_LIFTED_M: Final = 0.012  # base above table or platform; the tremor of a held bottle is 2 mm
_CARRY_HEIGHT_M: Final = 0.10
_OVER_M: Final = 0.05  # of the middle of the platform
_SEATED_M: Final = 0.008
_TIPPING_RAD: Final = math.radians(7.0)  # standing free it tips for good at 22 deg; no good grasp exceeds 4
_SLANTING_RAD: Final = math.radians(35.0)  # in the hand: it turns about the grip, and is about to slip out
_IN_GRIP_RAD: Final = math.radians(45.0)  # between bottle and hand: closed fingers allow no more
_FALLEN_RAD: Final = math.radians(50.0)  # free: it cannot be stopped before the verdict's 60 deg
_REACH_M: Final = 0.80  # horizontal, from the arm's axis


def standing(scene: SceneReading, tcp_T: Array, hand: Array) -> Standing:
    """Reach, carry, lower, leave."""
    bottle, platform = scene.group("bottle."), scene.group("platform.")
    offset = bottle[:3] - platform
    sideways = float(np.linalg.norm(offset[:2]))
    held = in_hand(scene) and float(bottle[3:6] @ tcp_T[:3, 1]) > math.cos(_IN_GRIP_RAD)
    danger = _danger(bottle, held and bottle[2] > _LIFTED_M)
    lost = bottle[5] < math.cos(_FALLEN_RAD) and not held
    if sideways < PLATFORM_HALF_M[0] and abs(offset[2]) < _SEATED_M:
        clear_m = float(np.linalg.norm(np.cross(tcp_T[:3, 3] - bottle[:3], bottle[3:6])))
        # The thumb holds on to it until it is opened as far as the fingers.
        opened = share(float(hand[:4].mean()), 0.45, 0.9)
        return Standing(3, 0.5 * opened + 0.5 * share(clear_m, 0.05, 0.11), danger, lost)
    if held and bottle[2] > _LIFTED_M:
        if sideways < _OVER_M:
            return Standing(2, share(float(offset[2]), _CARRY_HEIGHT_M, 0.0), danger, lost)
        lifted = share(float(bottle[2]), 0.0, _CARRY_HEIGHT_M)
        return Standing(1, 0.3 * lifted + 0.7 * share(sideways, _FAR_M, _OVER_M), danger, lost)
    distance_m = float(np.linalg.norm(scene.group("tcp_bottle.") - _GRASPED_M))
    closed = share(float(hand[:4].mean()), 0.95, 0.5) if held else 0.0
    return Standing(0, 0.8 * share(distance_m, _FAR_M, 0.005) + 0.2 * closed, danger, lost)


def _danger(bottle: Array, carried: bool) -> str:
    if bottle[5] < math.cos(_SLANTING_RAD if carried else _TIPPING_RAD):
        return "bottle tips"
    return "bottle leaves the reach of the arm" if np.linalg.norm(bottle[:2]) > _REACH_M else ""


RULES: Final = ProgressRules(STEPS, standing, lowest_tcp_m=0.050)
