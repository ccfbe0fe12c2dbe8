"""Progress of the drawer task."""

from typing import Final

import numpy as np

from dexpie_core.se3 import Array
from dexpie_sim.model.drawer import CLEAR_HEIGHT_M, FLOOR_TOP_M
from dexpie_sim.progress.base import ProgressRules, Standing, share
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.drawer_poses import handle_pose
from dexpie_sim.tasks.drawer_sight import Sight

STEPS: Final = ("reach handle", "pull", "withdraw", "reach box", "carry", "lower", "leave")

_FAR_M: Final = 0.80  # distance that counts as nothing done
_AJAR_M: Final = 0.01
_OPEN_M: Final = 0.12  # what a person pulls to; the verdict asks for 0.10
_LIFTED_M: Final = 0.012
_OVER_M: Final = 0.035  # of the middle of the drawer's open part
_CLEAR_M: Final = (0.07, 0.15)  # TCP to box: hand still around it, and clear in the sense of the verdict
_AIMED_M: Final = 0.06  # height of the hand over the insertion at which people have aimed, to 3 mm
_ASTRAY_M: Final = 0.010  # the gap leaves the finger 3.5 mm on either side
_NEAR_M: Final = 0.12  # further off it is the table that finger or box come down on
_WITHDRAWN_M: Final = 0.10  # from where the finger hooks the handle: out of it and above
_LOW_M: Final = CLEAR_HEIGHT_M + 0.015  # people carry the box 4 cm over the edge until it is over its place
_REACH_M: Final = 0.76  # 4 cm before the verdict's


def standing(scene: SceneReading, tcp_T: Array, hand: Array) -> Standing:
    """Reach for the handle, pull, withdraw the finger, reach for the box, carry, lower, leave."""
    sight = Sight.of(scene)
    danger = "box leaves the reach of the arm" if np.linalg.norm(sight.box[:2]) > _REACH_M else ""
    if sight.stowed:
        clear_m = float(np.linalg.norm(tcp_T[:3, 3] - sight.box))
        opened = share(float(hand[:4].mean()), 0.75, 0.85)
        return Standing(6, 0.3 * opened + 0.7 * share(clear_m, *_CLEAR_M), danger)
    off = tcp_T[:3, 3] - handle_pose(sight.handle, sight.pull)[:3, 3]
    if sight.opening_m < _AJAR_M:
        beside_m = float(np.linalg.norm(off[:2]))
        if off[2] < _AIMED_M and _ASTRAY_M < beside_m < _NEAR_M:
            danger = danger or "finger comes down beside the gap"
        return Standing(0, share(float(np.linalg.norm(off)), _FAR_M, 0.0), danger)
    if sight.opening_m < _OPEN_M:
        return Standing(1, share(sight.opening_m, 0.0, _OPEN_M), danger)
    if sight.in_hand and sight.lowest_m > _LIFTED_M:
        place = sight.place_in_drawer(0.01)
        sideways = float(np.linalg.norm((sight.box - place)[:2]))
        if sight.lowest_m < _LOW_M and _OVER_M < sideways < _NEAR_M:
            danger = danger or "box comes down on the drawer's edge"
        if sideways < _OVER_M:
            return Standing(5, share(sight.lowest_m, CLEAR_HEIGHT_M + 0.05, FLOOR_TOP_M), danger)
        lifted = share(sight.lowest_m, 0.0, CLEAR_HEIGHT_M)
        return Standing(4, 0.4 * lifted + 0.6 * share(sideways, _FAR_M, _OVER_M), danger)
    withdrawn_m = float(np.linalg.norm(off))
    if withdrawn_m < _WITHDRAWN_M:
        return Standing(2, share(withdrawn_m, 0.0, _WITHDRAWN_M), danger)
    distance_m = sight.grip_error_m(tcp_T)
    closed = share(float(hand[:4].mean()), 0.90, 0.76) if distance_m < 0.03 else 0.0
    return Standing(3, 0.8 * share(distance_m, _FAR_M, 0.01) + 0.2 * closed, danger)


RULES: Final = ProgressRules(STEPS, standing, lowest_tcp_m=0.085)
