"""The bottle task's ranges and verdicts, from constructed states."""

import math

import mujoco
import numpy as np
import pytest

from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig
from dexpie_sim.tasks import bottle as bottle_module
from dexpie_sim.tasks.bottle import PLATFORM_HALF_M, BottleTask

PLATFORM_XY = np.array([0.52, 0.22])
TOP_M = 2 * PLATFORM_HALF_M[2]


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell()


def put(cell: Cell, xyz: tuple[float, float, float], tilt_rad: float = 0.0) -> None:
    cell.reset(seed=0)
    task = cell.task
    assert isinstance(task, BottleTask)
    task.put(cell.data, np.array(xyz), 0.3, PLATFORM_XY, tilt_rad)
    mujoco.mj_forward(cell.model, cell.data)


def test_standing_on_the_platform_is_success_after_the_dwell(cell: Cell) -> None:
    put(cell, (*PLATFORM_XY, TOP_M + 0.001))
    cell.advance(0.3)
    assert not cell.scene().success
    cell.advance(0.7)
    reading = cell.scene()
    assert reading.success
    assert not reading.failure
    np.testing.assert_allclose(reading.group("bottle.")[2], TOP_M, atol=0.002)


@pytest.mark.parametrize("xy", [(0.52, 0.05), (0.61, 0.22)])
def test_standing_beside_the_platform_or_hanging_over_its_edge_is_not(
    cell: Cell, xy: tuple[float, float]
) -> None:
    put(cell, (*xy, 0.001 if xy[1] < 0.1 else TOP_M + 0.001))
    cell.advance(1.2)
    assert not cell.scene().success


def test_standing_on_the_table_stays_put(cell: Cell) -> None:
    put(cell, (0.5, -0.1, 0.0))
    cell.advance(3.0)
    reading = cell.scene()
    assert not reading.success
    assert not reading.failure
    np.testing.assert_allclose(reading.group("bottle."), [0.5, -0.1, 0.0, 0.0, 0.0, 1.0], atol=0.003)


def test_fallen_bottle_is_failure(cell: Cell) -> None:
    put(cell, (0.5, -0.1, 0.03), tilt_rad=math.radians(80))
    cell.advance(1.5)
    assert cell.scene().failure
    assert cell.scene().reason == "bottle fell over"


def test_a_tilt_of_ten_degrees_rights_itself_and_one_of_forty_falls(cell: Cell) -> None:
    put(cell, (0.5, -0.1, 0.006), tilt_rad=math.radians(10))
    cell.advance(1.5)
    assert cell.scene().group("bottle.")[5] > 0.999
    put(cell, (0.5, -0.1, 0.02), tilt_rad=math.radians(40))
    cell.advance(2.0)
    assert cell.scene().failure


def test_bottle_off_the_table_is_failure(cell: Cell) -> None:
    put(cell, (0.5, -0.7, 0.0))
    cell.advance(0.7)
    assert cell.scene().reason == "bottle left the table"


def test_held_bottle_on_the_platform_is_not_yet_success(cell: Cell) -> None:
    cell.reset("grasped", 1)
    task = cell.task
    assert isinstance(task, BottleTask)
    bottle = cell.scene().group("bottle.")
    assert cell.holds_object()
    assert 0.08 < bottle[2] < 0.13
    # Put the platform under the bottle in the hand: it is in place, but not released.
    task.rules = bottle_module.BottleRules(seat_tolerance_m=0.2, clear_distance_m=0.0)
    cell.data.mocap_pos[0, :2] = bottle[:2]
    try:
        cell.advance(1.0)
        assert not cell.scene().success
    finally:
        task.rules = bottle_module.BottleRules()


def test_positions_stay_in_their_ranges() -> None:
    task = BottleTask()
    low, high = np.array(task.ranges.bottle_min_m), np.array(task.ranges.bottle_max_m)
    for positions, inside in (("train", True), ("held_out", False)):
        cell = Cell(CellConfig(positions=positions))  # type: ignore[arg-type]
        for seed in range(25):
            cell.reset(seed=seed)
            xy = cell.scene().group("bottle.")[:2]
            assert bool(np.all(xy >= low) and np.all(xy <= high)) is inside
            assert np.all(xy >= low - 0.03)
            assert np.all(xy <= high + 0.03)


def test_scene_in_the_tcp_frame_matches_the_scene_in_base(cell: Cell) -> None:
    cell.reset(seed=4)
    reading, T = cell.scene(), cell.observe().tcp_T
    for name in ("bottle", "platform"):
        seen = np.append(reading.group(f"tcp_{name}."), 1.0)
        np.testing.assert_allclose((T @ seen)[:3], reading.group(f"{name}.")[:3], atol=2e-4)  # encoder noise


def test_verdict_stays(cell: Cell) -> None:
    put(cell, (*PLATFORM_XY, TOP_M + 0.001))
    cell.advance(1.0)
    assert cell.scene().success
    cell.data.qpos[-7:-4] = (0.5, -0.1, 0.3)
    cell.advance(1.5)
    assert cell.scene().success
