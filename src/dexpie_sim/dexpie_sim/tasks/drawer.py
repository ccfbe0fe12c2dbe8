"""Drawer: insert the index finger into the gap behind the handle, pull, put the tissue box into the drawer.

Train ranges (uniform, in `base`): cabinet x 0.48..0.50, y -0.28..-0.26, turned by up to 4 deg from opening
along +y; box x 0.42..0.50, y 0.16..0.24, turned by up to 15 deg from its long side along x. Held out: box in
the 3 cm wide frame around its train range, cabinet turned by 4 to 9 deg either way.
Stages: `initial` (closed, box on the table), `opened` (12.5 to 14.5 cm open, box on the table), `grasped`
(the same with the box in the hand, 12 cm higher).
Success: open by at least 10 cm, all eight corners of the box inside the drawer and low enough for it to
close, at rest, no contact of hand and box, TCP at least 14 cm from the box, for 0.5 s. Failure: box off the
table or out of reach without being held for 0.5 s, or a protective stop. The runner ends an episode after
`max_steps`.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import mujoco
import numpy as np

from dexpie_core import se3
from dexpie_core.episode import Positions
from dexpie_core.se3 import Array
from dexpie_sim.model.drawer import (
    BOX_HALF_M,
    CLEAR_HEIGHT_M,
    FLOOR_TOP_M,
    HANDLE_AT_M,
    INNER_HALF_Y_M,
    INNER_X_M,
    add_cabinet,
    add_tissue_box,
)
from dexpie_sim.tasks.base import Move, SceneReading, Sensed, Task
from dexpie_sim.tasks.drawer_poses import GRIP, OPEN, POINT_LEAN_RAD, PRESHAPE, box_pose, leaning_rotation
from dexpie_sim.tasks.placement import draw_xy
from dexpie_sim.tasks.plan import shifted
from dexpie_sim.tasks.verdict import Verdict

_PULL_NOMINAL: Final = np.array([0.0, 1.0, 0.0])
_CORNERS: Final = np.array(list(product((-1.0, 1.0), repeat=3))) * np.array(BOX_HALF_M)


@dataclass(frozen=True)
class DrawerRanges:
    """Uniform ranges: positions in `base` (m), angles from the nominal directions (rad)."""

    cabinet_min_m: tuple[float, float] = (0.48, -0.28)
    cabinet_max_m: tuple[float, float] = (0.50, -0.26)
    cabinet_yaw_rad: float = math.radians(4.0)
    cabinet_held_out_rad: float = math.radians(9.0)
    box_min_m: tuple[float, float] = (0.42, 0.16)
    box_max_m: tuple[float, float] = (0.50, 0.24)
    box_yaw_rad: float = math.radians(15.0)
    held_out_border_m: float = 0.03
    opened_m: tuple[float, float] = (0.125, 0.145)


@dataclass(frozen=True)
class DrawerRules:
    """Thresholds of the verdict. reach_m: horizontal distance from the arm's axis."""

    open_m: float = 0.10
    inside_tolerance_m: float = 0.003
    rest_speed_m_s: float = 0.02
    rest_speed_rad_s: float = 0.3
    clear_distance_m: float = 0.14
    dwell_s: float = 0.5
    table_min_m: tuple[float, float] = (0.0, -0.6)
    table_max_m: tuple[float, float] = (1.0, 0.6)
    reach_m: float = 0.80


@dataclass(frozen=True)
class Layout:
    """Where things are: cabinet x, y (m) and opening direction (rad), opening (m), box pose (4, 4)."""

    cabinet_xy: Array
    cabinet_yaw_rad: float
    opening_m: float
    box_T: Array


class DrawerTask(Task):
    """See the module text."""

    name = "drawer"
    stages = ("initial", "opened", "grasped")
    max_steps = 800
    home_tcp = se3.make(leaning_rotation(_PULL_NOMINAL, POINT_LEAN_RAD), [0.44, 0.06, 0.30])
    home_hand = OPEN
    names = (
        *(f"box.{c}" for c in ("x", "y", "z", "ax", "ay", "az", "ux", "uy", "uz")),
        *(f"handle.{c}" for c in "xyz"),
        *(f"pull.{c}" for c in "xy"),
        "drawer.opening",
        *(f"tcp_box.{c}" for c in ("x", "y", "z", "ax", "ay", "az", "ux", "uy", "uz")),
        *(f"tcp_handle.{c}" for c in "xyz"),
        *(f"tcp_pull.{c}" for c in "xyz"),
    )

    def __init__(self, ranges: DrawerRanges | None = None, rules: DrawerRules | None = None) -> None:
        self.ranges = ranges or DrawerRanges()
        self.rules = rules or DrawerRules()
        self._verdict = Verdict()

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Cabinet with its drawer, and the box."""
        add_cabinet(spec)
        add_tissue_box(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Look up addresses."""
        self._body = model.body("tissue_box").id
        self._fixtures = frozenset({model.body("cabinet").id, model.body("drawer").id})
        joint = model.joint("tissue_box_free")
        self._qpos, self._qvel = int(joint.qposadr[0]), int(joint.dofadr[0])
        names = ("cabinet_x", "cabinet_y", "cabinet_yaw", "drawer_slide")
        self._cabinet = np.array([model.joint(name).qposadr[0] for name in names], dtype=int)
        self._cabinet_dof = np.array([model.joint(name).dofadr[0] for name in names], dtype=int)

    def object_bodies(self) -> frozenset[int]:
        """The box."""
        return frozenset({self._body})

    def fixture_bodies(self) -> frozenset[int]:
        """Carcass and drawer: pulling takes a few newtons, pressing on them stops the arm."""
        return self._fixtures

    def place(self, data: mujoco.MjData, rng: np.random.Generator, stage: str, positions: Positions) -> None:
        """Draw cabinet, opening and box."""
        self.put(data, _draw(rng, self.ranges, stage, positions))
        self._verdict = Verdict(stage=stage)

    def put(self, data: mujoco.MjData, layout: Layout) -> None:
        """Set the poses of all things outright, at rest."""
        data.qpos[self._cabinet] = (*layout.cabinet_xy, layout.cabinet_yaw_rad, layout.opening_m)
        data.qvel[self._cabinet_dof] = 0.0
        data.qpos[self._qpos : self._qpos + 3] = layout.box_T[:3, 3]
        mujoco.mju_mat2Quat(data.qpos[self._qpos + 3 : self._qpos + 7], layout.box_T[:3, :3].flatten())
        data.qvel[self._qvel : self._qvel + 6] = 0.0

    def layout(self, data: mujoco.MjData) -> Layout:
        """Where things are now."""
        x, y, yaw, opening = data.qpos[self._cabinet]
        return Layout(np.array([x, y]), float(yaw), float(opening), self._box(data))

    def setup_motion(self, data: mujoco.MjData, stage: str) -> list[Move]:
        """`grasped`: take the box from above and lift it 12 cm."""
        if stage != "grasped":
            return []
        box = self._box(data)
        at = box_pose(box[:3, 3], box[:3, :3], _PULL_NOMINAL)
        lifted = shifted(at, [0.0, 0.0, 0.12])
        return [
            Move(self.home_tcp, PRESHAPE, 0.04),
            Move(lifted, PRESHAPE, 1.2),
            Move(at, PRESHAPE, 0.8),
            Move(at, GRIP, 0.8),
            Move(lifted, GRIP, 0.9),
            Move(lifted, GRIP, 0.3),
        ]

    def update(self, data: mujoco.MjData, sensed: Sensed, dt_s: float) -> None:
        """Accumulate the dwell times; the first verdict stays."""
        if self._verdict.given:
            return
        box = self._box(data)
        self._verdict = self._verdict.after(
            dt_s,
            sensed,
            self.rules.dwell_s,
            self._stowed(data, box, sensed),
            "box lies in the open drawer",
            self._lost_reason(box[:3, 3]),
        )

    def reading(self, data: mujoco.MjData, tcp_T: Array) -> SceneReading:
        """Box (centre, long and up axis), handle, opening direction, opening; poses in the TCP frame too."""
        box = self._box(data)
        layout = self.layout(data)
        pull = _direction(layout.cabinet_yaw_rad)
        handle = self._handle(layout)
        R, p = tcp_T[:3, :3], tcp_T[:3, 3]
        centre, along, up = box[:3, 3], box[:3, 0], box[:3, 2]
        here = [centre, along, up, handle, pull[:2], [layout.opening_m]]
        seen = [R.T @ (centre - p), R.T @ along, R.T @ up, R.T @ (handle - p), R.T @ pull]
        v = self._verdict
        values = np.concatenate([*here, *seen])
        return SceneReading(self.names, values, v.success, v.failure, v.reason, v.stage)

    def save(self) -> Any:
        """Verdicts are immutable."""
        return self._verdict

    def restore(self, state: Any) -> None:
        """Take a saved verdict back."""
        self._verdict = state

    def _box(self, data: mujoco.MjData) -> Array:
        q = data.qpos[self._qpos : self._qpos + 7]
        R = np.empty(9)
        mujoco.mju_quat2Mat(R, q[3:7])
        return se3.make(R.reshape(3, 3), q[:3])

    def _handle(self, layout: Layout) -> Array:
        pull = _direction(layout.cabinet_yaw_rad)
        ahead = HANDLE_AT_M[0] + layout.opening_m
        return np.array([*layout.cabinet_xy, HANDLE_AT_M[2]]) + ahead * pull

    def _stowed(self, data: mujoco.MjData, box: Array, sensed: Sensed) -> bool:
        rules = self.rules
        if sensed.holds_object or data.qpos[self._cabinet[3]] < rules.open_m:
            return False
        if np.linalg.norm(sensed.tcp_T[:3, 3] - box[:3, 3]) < rules.clear_distance_m:
            return False
        velocity = data.qvel[self._qvel : self._qvel + 6]
        at_rest = (
            np.linalg.norm(velocity[:3]) < rules.rest_speed_m_s
            and np.linalg.norm(velocity[3:]) < rules.rest_speed_rad_s
        )
        return bool(at_rest) and self._inside(self.layout(data), box)

    def _inside(self, layout: Layout, box: Array) -> bool:
        """Whether all corners of the box are in the drawer and below what would keep it from closing."""
        corners = _CORNERS @ box[:3, :3].T + box[:3, 3]
        pull = _direction(layout.cabinet_yaw_rad)
        side = np.array([-pull[1], pull[0]])
        flat = corners[:, :2] - layout.cabinet_xy
        local = np.stack([flat @ pull[:2] - layout.opening_m, flat @ side, corners[:, 2]], axis=1)
        slack = self.rules.inside_tolerance_m
        low = np.array([INNER_X_M[0], -INNER_HALF_Y_M, FLOOR_TOP_M]) - slack
        high = np.array([INNER_X_M[1] + slack, INNER_HALF_Y_M + slack, CLEAR_HEIGHT_M])
        return bool(np.all(local > low) and np.all(local < high))

    def _lost_reason(self, centre: Array) -> str:
        rules = self.rules
        if np.any(centre[:2] < rules.table_min_m) or np.any(centre[:2] > rules.table_max_m):
            return "box left the table"
        return "box is out of reach" if np.linalg.norm(centre[:2]) > rules.reach_m else ""


def _direction(yaw_rad: float) -> Array:
    return np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0.0])


def _draw(rng: np.random.Generator, ranges: DrawerRanges, stage: str, positions: Positions) -> Layout:
    cabinet = rng.uniform(ranges.cabinet_min_m, ranges.cabinet_max_m)
    turned = rng.uniform(-1.0, 1.0) * ranges.cabinet_yaw_rad
    box_xy = rng.uniform(ranges.box_min_m, ranges.box_max_m)
    box_yaw = rng.uniform(-1.0, 1.0) * ranges.box_yaw_rad
    opening = 0.0 if stage == "initial" else rng.uniform(*ranges.opened_m)
    if positions == "held_out":
        size = rng.uniform(ranges.cabinet_yaw_rad, ranges.cabinet_held_out_rad)
        turned = size if rng.uniform() < 0.5 else -size
        box_xy = draw_xy(rng, ranges.box_min_m, ranges.box_max_m, ranges.held_out_border_m, positions)
    R = se3.rotation_from_rotvec([0.0, 0.0, box_yaw])
    box = se3.make(R, np.array([*box_xy, BOX_HALF_M[2]]))
    return Layout(cabinet, math.pi / 2 + turned, opening, box)
