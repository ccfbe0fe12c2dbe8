"""Lid: lift a lid by its spherical knob, put it aside, grasp a candy, put it into the box.

Positions (m, in `base`), uniform. Train: box centre x 0.48..0.54, y 0.055..0.105, turned by up to 8 deg;
candy x 0.44..0.52, y -0.25..-0.17, turned by up to 30 deg. Held out: box and candy in the 3 cm wide frames
around these ranges.
Success: candy inside the upright box, at rest, nothing touched by the hand, TCP at least 15 cm from the box's
opening, and the lid lying flat on the table, all that for 0.5 s; the lid is not put back, as in the paper.
Failure: box, lid or candy off the table, box knocked over, lid turned over, each for 0.5 s; protective stop.
The runner of an episode ends it after `max_steps`.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from dexpie_core import se3
from dexpie_core.episode import Positions
from dexpie_core.se3 import Array
from dexpie_sim.model.lid import (
    BOX_HEIGHT_M,
    BOX_INNER_HALF_M,
    CANDY_RADIUS_M,
    KNOB_ON_BOX_M,
    KNOB_ON_TABLE_M,
    add_box,
    add_candy,
    add_lid,
)
from dexpie_sim.tasks.base import Move, SceneReading, Sensed, Task
from dexpie_sim.tasks.lid_grasp import (
    CANDY_GRASP_M,
    OPEN,
    PINCH,
    SPREAD,
    pinch_heading,
    pinch_pose,
    pinch_rotation,
)
from dexpie_sim.tasks.placement import draw_xy
from dexpie_sim.tasks.plan import shifted
from dexpie_sim.tasks.verdict import Verdict

BODIES: Final = ("box", "lid", "candy")

ASIDE_M: Final = (-0.01, 0.17)
"""Where a person puts the lid, from the box's centre: away from the candy."""


@dataclass(frozen=True)
class LidRanges:
    """Uniform ranges in `base`: metres; yaws in radians, either way; aside_m: scatter of the lid aside."""

    box_min_m: tuple[float, float] = (0.48, 0.055)
    box_max_m: tuple[float, float] = (0.54, 0.105)
    box_yaw_rad: float = math.radians(8.0)
    candy_min_m: tuple[float, float] = (0.44, -0.25)
    candy_max_m: tuple[float, float] = (0.52, -0.17)
    candy_yaw_rad: float = math.radians(30.0)
    held_out_border_m: float = 0.03
    aside_m: float = 0.015


@dataclass(frozen=True)
class LidRules:
    """Thresholds of the verdict."""

    upright_rad: float = math.radians(10.0)
    fallen_rad: float = math.radians(45.0)
    turned_over_rad: float = math.radians(100.0)
    lid_height_tolerance_m: float = 0.006
    rest_speed_m_s: float = 0.02
    rest_speed_rad_s: float = 0.5
    clear_distance_m: float = 0.15
    dwell_s: float = 0.5
    table_min_m: tuple[float, float] = (0.0, -0.6)
    table_max_m: tuple[float, float] = (1.0, 0.6)


class LidTask(Task):
    """See the module text."""

    name = "lid"
    stages = ("initial", "opened", "grasped")
    max_steps = 750
    home_tcp = se3.make(pinch_rotation(0.0), [0.36, -0.10, 0.30])
    home_hand = np.ones(6)
    names = (
        *(f"box.{c}" for c in ("x", "y", "z", "ax", "ay", "az", "sx", "sy", "sz")),
        *(f"{body}.{c}" for body in ("lid", "candy") for c in ("x", "y", "z", "ax", "ay", "az")),
        *(f"tcp_{body}.{c}" for body in ("box", "lid", "candy") for c in "xyz"),
    )

    def __init__(self, ranges: LidRanges | None = None, rules: LidRules | None = None) -> None:
        self.ranges = ranges or LidRanges()
        self.rules = rules or LidRules()
        self._verdict = Verdict()

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Box, lid and candy, each with a free joint."""
        add_box(spec)
        add_lid(spec)
        add_candy(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Look up addresses."""
        self._body = {name: int(model.body(name).id) for name in BODIES}
        self._qpos = {name: int(model.joint(f"{name}_free").qposadr[0]) for name in BODIES}
        self._qvel = {name: int(model.joint(f"{name}_free").dofadr[0]) for name in BODIES}

    def object_bodies(self) -> frozenset[int]:
        """Box, lid and candy: the hand must have let go of all of them."""
        return frozenset(self._body.values())

    def fixture_bodies(self) -> frozenset[int]:
        """Box and lid: pressing down on them is pressing on the table. The firmest grip is 65 N."""
        return frozenset({self._body["box"], self._body["lid"]})

    def place(self, data: mujoco.MjData, rng: np.random.Generator, stage: str, positions: Positions) -> None:
        """Draw the positions; from `opened` on the lid lies aside."""
        ranges = self.ranges
        box = draw_xy(rng, ranges.box_min_m, ranges.box_max_m, ranges.held_out_border_m, positions)
        box_yaw = rng.uniform(-ranges.box_yaw_rad, ranges.box_yaw_rad)
        candy = draw_xy(rng, ranges.candy_min_m, ranges.candy_max_m, ranges.held_out_border_m, positions)
        candy_yaw = rng.uniform(-ranges.candy_yaw_rad, ranges.candy_yaw_rad)
        aside = box + ASIDE_M + rng.uniform(-ranges.aside_m, ranges.aside_m, 2)
        self.put(data, "box", np.array([*box, BOX_HEIGHT_M]), box_yaw)
        self.put(data, "candy", np.array([*candy, CANDY_RADIUS_M]), candy_yaw)
        if stage == "initial":
            self.put(data, "lid", np.array([*box, BOX_HEIGHT_M + KNOB_ON_BOX_M]), box_yaw)
        else:
            self.put(data, "lid", np.array([*aside, KNOB_ON_TABLE_M]), box_yaw)
        self._verdict = Verdict(stage=stage)

    def put(
        self, data: mujoco.MjData, body: str, xyz: Array, yaw_rad: float = 0.0, tilt_rad: float = 0.0
    ) -> None:
        """Set the pose of box, lid or candy outright: origin (m), yaw, then tilt about its own x axis."""
        R = se3.rotation_from_rotvec([0.0, 0.0, yaw_rad]) @ se3.rotation_from_rotvec([tilt_rad, 0.0, 0.0])
        at, moving = self._qpos[body], self._qvel[body]
        data.qpos[at : at + 3] = xyz
        mujoco.mju_mat2Quat(data.qpos[at + 3 : at + 7], R.flatten())
        data.qvel[moving : moving + 6] = 0.0

    def setup_motion(self, data: mujoco.MjData, stage: str) -> list[Move]:
        """`opened`: the hand has just left the lid. `grasped`: pinch the candy and lift it 12 cm."""
        if stage == "initial":
            return []
        if stage == "opened":
            over = self._frame(data, "lid")[:3, 3] + np.array([-0.04, -0.03, 0.12])
            return [Move(pinch_pose(over, 0.0), SPREAD, 0.2)]
        candy = self._frame(data, "candy")
        heading = pinch_heading(candy[:3, 3], candy[:3, 0])
        at = pinch_pose(candy[:3, 3] + np.array([0.0, 0.0, CANDY_GRASP_M]), heading)
        lifted = shifted(at, [0.0, 0.0, 0.12])
        grip = PINCH["candy"]
        return [Move(at, OPEN, 0.3), Move(at, grip, 0.6), Move(lifted, grip, 0.8), Move(lifted, grip, 0.3)]

    def update(self, data: mujoco.MjData, sensed: Sensed, dt_s: float) -> None:
        """Accumulate the dwell times; the first verdict stays."""
        if self._verdict.given:
            return
        frames = {name: self._frame(data, name) for name in BODIES}
        done = self._candy_in_box(data, frames, sensed) and self._lid_aside(data, frames)
        self._verdict = self._verdict.after(
            dt_s,
            sensed,
            self.rules.dwell_s,
            done,
            "candy lies in the box, lid beside it",
            self._lost_reason(frames),
        )

    def reading(self, data: mujoco.MjData, tcp_T: Array) -> SceneReading:
        """Poses of opening, knob and candy, and the three points in the TCP frame."""
        frames = [self._frame(data, name) for name in BODIES]
        box, lid, candy = frames
        R, p = tcp_T[:3, :3], tcp_T[:3, 3]
        values = np.concatenate(
            [
                *(box[:3, 3], box[:3, 2], box[:3, 0]),
                *(lid[:3, 3], lid[:3, 2]),
                *(candy[:3, 3], candy[:3, 0]),
                *(R.T @ (frame[:3, 3] - p) for frame in frames),
            ]
        )
        v = self._verdict
        return SceneReading(self.names, values, v.success, v.failure, v.reason, v.stage)

    def save(self) -> Any:
        """Verdicts are immutable."""
        return self._verdict

    def restore(self, state: Any) -> None:
        """Take a saved verdict back."""
        self._verdict = state

    def _frame(self, data: mujoco.MjData, body: str) -> Array:
        at = self._qpos[body]
        R = np.empty(9)
        mujoco.mju_quat2Mat(R, data.qpos[at + 3 : at + 7])
        return se3.make(R.reshape(3, 3), data.qpos[at : at + 3])

    def _at_rest(self, data: mujoco.MjData, body: str) -> bool:
        velocity = data.qvel[self._qvel[body] : self._qvel[body] + 6]
        linear, angular = float(np.linalg.norm(velocity[:3])), float(np.linalg.norm(velocity[3:]))
        return linear < self.rules.rest_speed_m_s and angular < self.rules.rest_speed_rad_s

    def _candy_in_box(self, data: mujoco.MjData, frames: dict[str, Array], sensed: Sensed) -> bool:
        box, candy = frames["box"], frames["candy"]
        if sensed.holds_object or box[2, 2] < math.cos(self.rules.upright_rad):
            return False
        x, y, z = box[:3, :3].T @ (candy[:3, 3] - box[:3, 3])
        inside = max(abs(x), abs(y)) < BOX_INNER_HALF_M and -BOX_HEIGHT_M < z < -CANDY_RADIUS_M
        clear = np.linalg.norm(sensed.tcp_T[:3, 3] - box[:3, 3]) > self.rules.clear_distance_m
        return bool(inside and clear and self._at_rest(data, "candy") and self._at_rest(data, "box"))

    def _lid_aside(self, data: mujoco.MjData, frames: dict[str, Array]) -> bool:
        lid = frames["lid"]
        flat = lid[2, 2] > math.cos(self.rules.upright_rad)
        low = abs(lid[2, 3] - KNOB_ON_TABLE_M) < self.rules.lid_height_tolerance_m
        return bool(flat and low and self._at_rest(data, "lid"))

    def _lost_reason(self, frames: dict[str, Array]) -> str:
        rules = self.rules
        for name, frame in frames.items():
            xy = frame[:2, 3]
            if not (np.all(xy > rules.table_min_m) and np.all(xy < rules.table_max_m)):
                return f"{name} left the table"
        if frames["box"][2, 2] < math.cos(rules.fallen_rad):
            return "box was knocked over"
        return "lid turned over" if frames["lid"][2, 2] < math.cos(rules.turned_over_rad) else ""
