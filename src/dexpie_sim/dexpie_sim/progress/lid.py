"""Progress of the lid task."""

import math
from typing import Final

import numpy as np

from dexpie_core.se3 import Array
from dexpie_sim.model.lid import CANDY_RADIUS_M, KNOB_ON_BOX_M
from dexpie_sim.progress.base import ProgressRules, Standing, share
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.lid_grasp import PINCH_POINT_M
from dexpie_sim.tasks.lid_plan import candy_is_in, in_hand, lid_is_aside

STEPS: Final = ("reach lid", "put lid aside", "reach candy", "carry candy", "leave")

_FAR_M: Final = 0.80  # distance that counts as nothing done
_LIFTED_M: Final = 0.012
_ASIDE_M: Final = 0.15  # lid's middle from the box's: it then lies beside it
_CARRY_HEIGHT_M: Final = 0.12
_CLEAR_M: Final = (
    0.10,
    0.16,
)  # TCP to the box's opening: fingers in it, and clear in the sense of the verdict
_TIPPING_RAD: Final = math.radians(8.0)  # of the box, which stands still in every good attempt
_SLANTING_RAD: Final = math.radians(35.0)  # of the lid, which hangs within 20 deg of level in good hands
_REACH_M: Final = 0.76


def standing(scene: SceneReading, tcp_T: Array, hand: Array) -> Standing:
    """Reach for the lid, put it aside, reach for the candy, carry it into the box, leave."""
    box, lid, candy = scene.group("box."), scene.group("lid."), scene.group("candy.")
    danger = _danger(box, lid, candy)
    if not lid_is_aside(scene):
        return _with_lid(scene, box, lid, hand, danger)
    if candy_is_in(scene):
        clear_m = float(np.linalg.norm(tcp_T[:3, 3] - box[:3]))
        return Standing(4, share(clear_m, *_CLEAR_M), danger)
    if in_hand(scene, "candy") and candy[2] > CANDY_RADIUS_M + _LIFTED_M:
        sideways = float(np.linalg.norm(candy[:2] - box[:2]))
        lifted = share(float(candy[2]), CANDY_RADIUS_M, _CARRY_HEIGHT_M)
        lowered = share(float(candy[2] - box[2]), 0.10, 0.0) if sideways < 0.03 else 0.0
        return Standing(3, 0.25 * lifted + 0.5 * share(sideways, _FAR_M, 0.02) + 0.25 * lowered, danger)
    return Standing(2, _reach(scene.group("tcp_candy."), hand), danger)


def _with_lid(scene: SceneReading, box: Array, lid: Array, hand: Array, danger: str) -> Standing:
    above_m = float(lid[2] - box[2] - KNOB_ON_BOX_M)
    sideways = float(np.linalg.norm(lid[:2] - box[:2]))
    if in_hand(scene, "lid") and (above_m > _LIFTED_M or sideways > 0.03):
        lifted = share(above_m, 0.0, 0.05)
        lowered = share(float(lid[2]), 0.15, 0.045) if sideways > _ASIDE_M else 0.0
        return Standing(1, 0.25 * lifted + 0.5 * share(sideways, 0.0, _ASIDE_M) + 0.25 * lowered, danger)
    return Standing(0, _reach(scene.group("tcp_lid."), hand), danger)


def _reach(thing: Array, hand: Array) -> float:
    """How much of reaching and pinching is done; thing (3,) in the TCP frame."""
    distance_m = float(np.linalg.norm(thing - PINCH_POINT_M))
    closed = share(float(hand[2:4].mean()), 0.78, 0.62) if distance_m < 0.03 else 0.0
    return 0.8 * share(distance_m, _FAR_M, 0.005) + 0.2 * closed


def _danger(box: Array, lid: Array, candy: Array) -> str:
    if box[5] < math.cos(_TIPPING_RAD):
        return "box tips"
    if lid[5] < math.cos(_SLANTING_RAD):
        return "lid turns over"
    for name, thing in (("box", box), ("lid", lid), ("candy", candy)):
        if np.linalg.norm(thing[:2]) > _REACH_M:
            return f"{name} leaves the reach of the arm"
    return ""


RULES: Final = ProgressRules(STEPS, standing, lowest_tcp_m=0.075)
