"""The drawer task's physics and verdicts, from constructed states."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.cell import Cell
from dexpie_sim.config import preset
from dexpie_sim.model.drawer import BOX_HALF_M, FLOOR_TOP_M, STROKE_M
from dexpie_sim.tasks.base import Sensed
from dexpie_sim.tasks.drawer import DrawerTask, Layout
from dexpie_sim.tasks.drawer_poses import HOOK, POINT, handle_pose
from dexpie_sim.tasks.plan import shifted

CABINET = (0.49, -0.27)
FAR = se3.make(np.eye(3), [0.45, 0.2, 0.4])


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell(preset("default", task="drawer"))


def task_of(cell: Cell) -> DrawerTask:
    assert isinstance(cell.task, DrawerTask)
    return cell.task


def layout(box_xyz: tuple[float, float, float], opening_m: float = 0.13, R: Array | None = None) -> Layout:
    box = se3.make(np.eye(3) if R is None else R, np.array(box_xyz))
    return Layout(np.array(CABINET), math.pi / 2, opening_m, box)


def put(cell: Cell, where: Layout) -> None:
    cell.reset(seed=0)
    task_of(cell).put(cell.data, where)
    mujoco.mj_forward(cell.model, cell.data)


def in_drawer(opening_m: float = 0.13, ahead_m: float = 0.0) -> tuple[float, float, float]:
    """Middle of the open part, the box just above the floor; `ahead_m` further out."""
    y = CABINET[1] + 0.10 + opening_m / 2 + ahead_m
    return (CABINET[0], y, FLOOR_TOP_M + BOX_HALF_M[2] + 0.001)


def drive(cell: Cell, T: Array, hand: Array, duration_s: float) -> None:
    """Straight there, as far as the arm does not stop."""
    start, steps = cell.observe().tcp_T, round(duration_s / 0.04)
    cell.set_hand_target(hand)
    for k in range(1, steps + 1):
        cell.set_arm_target(se3.interpolate(start, T, k / steps))
        cell.advance(0.04)


def test_box_in_the_open_drawer_is_success_after_the_dwell(cell: Cell) -> None:
    put(cell, layout(in_drawer()))
    cell.advance(0.3)
    assert not cell.scene().success
    cell.advance(0.7)
    reading = cell.scene()
    assert (reading.success, reading.failure) == (True, False)
    np.testing.assert_allclose(reading.group("box.")[2], FLOOR_TOP_M + BOX_HALF_M[2], atol=0.002)


def test_box_on_its_side_in_the_drawer_is_success_too(cell: Cell) -> None:
    x, y, _ = in_drawer()
    on_side = se3.rotation_from_rotvec([math.pi / 2, 0.0, 0.0])
    put(cell, layout((x, y, FLOOR_TOP_M + BOX_HALF_M[1] + 0.001), R=on_side))
    cell.advance(1.0)
    assert cell.scene().success


def test_a_drawer_open_too_little_is_not(cell: Cell) -> None:
    put(cell, layout(in_drawer(0.13, -0.04), opening_m=0.09))
    cell.advance(1.2)
    reading = cell.scene()
    assert not reading.success
    assert not reading.failure


@pytest.mark.parametrize(
    ("box_xyz", "rotvec"),
    [
        ((CABINET[0], CABINET[1] + 0.19, FLOOR_TOP_M + 0.051), (0.0, math.pi / 2, 0.0)),
        ((CABINET[0] + 0.16, CABINET[1] + 0.165, 0.036), (0.0, 0.0, 0.0)),
        ((CABINET[0], CABINET[1], 0.155), (0.0, 0.0, 0.0)),
        ((CABINET[0], CABINET[1] + 0.36, 0.036), (0.0, 0.0, 0.0)),
    ],
    ids=["on end, too tall to close", "beside the drawer", "on top of the cabinet", "before the drawer"],
)
def test_almost_is_not_success(
    cell: Cell, box_xyz: tuple[float, float, float], rotvec: tuple[float, float, float]
) -> None:
    put(cell, layout(box_xyz, R=se3.rotation_from_rotvec(rotvec)))
    cell.advance(1.5)
    reading = cell.scene()
    assert not reading.success
    assert not reading.failure


@pytest.mark.parametrize(
    ("sensed", "success"),
    [
        (Sensed(FAR, False, False), True),
        (Sensed(FAR, True, False), False),
        (Sensed(se3.make(np.eye(3), [CABINET[0], in_drawer()[1], 0.17]), False, False), False),
    ],
    ids=["hand away", "hand touches the box", "hand over the box"],
)
def test_the_hand_must_be_away(cell: Cell, sensed: Sensed, success: bool) -> None:
    put(cell, layout(in_drawer()))
    for _ in range(30):
        task_of(cell).update(cell.data, sensed, 0.02)
    assert cell.scene().success is success


@pytest.mark.parametrize(
    ("up_m", "aside_m", "inside"),
    [(0.0, 0.0, True), (0.020, 0.0, True), (0.028, 0.0, False), (0.0, 0.049, True), (0.0, 0.056, False)],
)
def test_all_of_the_box_must_be_in_the_drawer(cell: Cell, up_m: float, aside_m: float, inside: bool) -> None:
    x, y, z = in_drawer()
    put(cell, layout((x + aside_m, y, z + up_m)))
    for _ in range(30):
        task_of(cell).update(cell.data, Sensed(FAR, False, False), 0.02)
    assert cell.scene().success is inside


def test_a_moving_box_is_not_yet_success(cell: Cell) -> None:
    put(cell, layout(in_drawer()))
    joint = cell.model.joint("tissue_box_free").dofadr[0]
    for _ in range(30):
        cell.data.qvel[joint] = 0.05
        task_of(cell).update(cell.data, Sensed(FAR, False, False), 0.02)
    assert not cell.scene().success


def test_box_on_the_table_stays_put(cell: Cell) -> None:
    put(cell, layout((0.45, 0.2, BOX_HALF_M[2])))
    cell.advance(3.0)
    reading = cell.scene()
    assert (reading.success, reading.failure) == (False, False)
    expected = [0.45, 0.2, BOX_HALF_M[2], 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(reading.group("box."), expected, atol=0.002)


@pytest.mark.parametrize(
    ("xy", "reason"), [((0.4, 0.65), "box left the table"), ((0.75, 0.4), "box is out of reach")]
)
def test_a_lost_box_is_failure(cell: Cell, xy: tuple[float, float], reason: str) -> None:
    put(cell, layout((*xy, BOX_HALF_M[2])))
    cell.advance(0.3)
    assert not cell.scene().failure
    cell.advance(0.4)
    assert cell.scene().failure
    assert cell.scene().reason == reason


@pytest.mark.parametrize("ahead_m", [0.0, 0.16], ids=["on the cabinet", "on the drawer's front"])
def test_pressing_on_the_cabinet_is_a_protective_stop(cell: Cell, ahead_m: float) -> None:
    put(cell, layout((0.45, 0.22, BOX_HALF_M[2])))
    over = task_of(cell).home_tcp.copy()
    over[:2, 3] = CABINET[0], CABINET[1] + 0.10 + ahead_m
    drive(cell, over, POINT, 1.5)
    assert not cell.protective_stop
    drive(cell, shifted(over, [0.0, 0.0, -0.25]), POINT, 2.0)
    assert cell.protective_stop
    assert (cell.scene().failure, cell.scene().reason) == (True, "protective stop")


def test_the_slide_sticks_runs_and_stops_softly(cell: Cell) -> None:
    put(cell, layout((0.45, 0.22, BOX_HALF_M[2]), opening_m=0.0))
    slide = cell.model.joint("drawer_slide").dofadr[0]

    def opening() -> float:
        return float(cell.scene().group("drawer.opening")[0])

    cell.data.qfrc_applied[slide] = 2.0
    cell.advance(2.0)
    assert abs(opening()) < 0.0005
    cell.data.qfrc_applied[slide] = 4.0
    cell.advance(3.0)
    assert STROKE_M - 0.002 < opening() < STROKE_M + 0.006
    cell.data.qfrc_applied[slide] = 0.0
    cell.advance(1.0)
    assert abs(opening() - STROKE_M) < 0.004


@pytest.mark.parametrize(
    ("ahead_m", "opens"),
    [(0.0, True), (0.008, True), (-0.012, False), (0.020, False)],
    ids=["middle of the gap", "8 mm ahead", "12 mm short", "20 mm ahead"],
)
def test_only_a_finger_in_the_gap_opens_the_drawer(cell: Cell, ahead_m: float, opens: bool) -> None:
    cell.reset(seed=2)
    before = task_of(cell).layout(cell.data)
    bar, pull = cell.scene().group("handle."), np.append(cell.scene().group("pull."), 0.0)
    at = shifted(handle_pose(bar, pull), ahead_m * pull)
    for T, hand, duration_s in (
        (shifted(at, [0.0, 0.0, 0.10]), POINT, 1.5),
        (shifted(at, [0.0, 0.0, 0.05]), POINT, 0.6),
        (at, POINT, 0.8),
        (at, HOOK, 0.4),
        (shifted(at, 0.14 * pull), HOOK, 1.6),
    ):
        drive(cell, T, hand, duration_s)
    after = task_of(cell).layout(cell.data)
    assert (after.opening_m > 0.12) is opens
    assert opens or after.opening_m < 0.01
    np.testing.assert_allclose(after.cabinet_xy, before.cabinet_xy, atol=0.001)
    assert after.cabinet_yaw_rad == pytest.approx(before.cabinet_yaw_rad, abs=0.002)


def test_grasped_holds_the_box_over_the_table(cell: Cell) -> None:
    for seed in (1, 6):
        cell.reset("grasped", seed)
        reading = cell.scene()
        assert cell.holds_object()
        assert reading.stage == "grasped"
        assert cell.observe().time_s == 0.0
        assert reading.group("box.")[2] > BOX_HALF_M[2] + 0.10
        assert reading.group("drawer.opening")[0] > 0.12
        height = reading.group("box.")[2]
        cell.advance(2.0)
        assert cell.scene().group("box.")[2] == pytest.approx(height, abs=0.003)


def test_verdict_stays(cell: Cell) -> None:
    put(cell, layout(in_drawer()))
    cell.advance(1.0)
    assert cell.scene().success
    where = layout((0.9, 0.5, 0.3))
    task_of(cell).put(cell.data, replace(where, opening_m=0.0))
    cell.advance(1.5)
    assert cell.scene().success
