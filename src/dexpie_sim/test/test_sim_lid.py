"""The lid task's bodies, ranges, stages and verdicts, from constructed states."""

import math

import mujoco
import numpy as np
import pytest

from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig, preset
from dexpie_sim.model.lid import (
    BOX_FLOOR_M,
    BOX_HEIGHT_M,
    BOX_INNER_HALF_M,
    CANDY_RADIUS_M,
    KNOB_ON_BOX_M,
    KNOB_ON_TABLE_M,
)
from dexpie_sim.tasks.lid import LidTask
from dexpie_sim.tasks.lid_grasp import OPEN, PART, PINCH, pinch_pose


def by(start: np.ndarray, x_m: float, y_m: float, z_m: float) -> np.ndarray:
    """The point moved."""
    return start + np.array([x_m, y_m, z_m])


BOX = np.array([0.52, 0.08, BOX_HEIGHT_M])
ASIDE = np.array([0.50, 0.25, KNOB_ON_TABLE_M])
ON_BOX = by(BOX, 0.0, 0.0, KNOB_ON_BOX_M)
INSIDE = by(BOX, 0.01, -0.02, -0.03)
ON_TABLE = np.array([0.5, -0.2, CANDY_RADIUS_M])


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell(CellConfig(task="lid"))


def lay_out(
    cell: Cell, lid: np.ndarray = ASIDE, candy: np.ndarray = INSIDE, lid_tilt_rad: float = 0.0
) -> None:
    """Robot at home; box at BOX; lid and candy where they are said to be."""
    cell.reset(seed=0)
    for body, xyz, tilt_rad in (("box", BOX, 0.0), ("lid", lid, lid_tilt_rad), ("candy", candy, 0.0)):
        task_of(cell).put(cell.data, body, np.asarray(xyz), 0.0, tilt_rad)
    mujoco.mj_forward(cell.model, cell.data)


def task_of(cell: Cell) -> LidTask:
    assert isinstance(cell.task, LidTask)
    return cell.task


def verdict(cell: Cell, after_s: float = 2.0) -> tuple[bool, str]:
    """Success, and the reason of success or failure."""
    cell.advance(after_s)
    reading = cell.scene()
    return reading.success, reading.reason


def move(cell: Cell, offset_m: tuple[float, float, float], duration_s: float, hand: np.ndarray) -> None:
    """Command a straight line of the TCP and a hand target, then let the arm catch up."""
    T = cell.observe().tcp_T
    steps = round(duration_s / 0.04)
    cell.set_hand_target(hand)
    for _ in range(steps):
        T[:3, 3] += np.array(offset_m) / steps
        cell.set_arm_target(T)
        cell.advance(0.04)
    cell.advance(0.2)


def test_candy_in_the_open_box_is_success_after_the_dwell(cell: Cell) -> None:
    lay_out(cell)
    cell.advance(0.3)
    assert not cell.scene().success
    cell.advance(1.7)
    reading = cell.scene()
    assert reading.success
    assert not reading.failure
    # It fell through the opening to the floor: the box is hollow.
    floor = BOX_FLOOR_M + 0.002 + CANDY_RADIUS_M
    assert reading.group("candy.")[2] == pytest.approx(floor, abs=0.003)


@pytest.mark.parametrize(
    ("lid", "candy"),
    [
        (ON_BOX, INSIDE),  # candy in the box, lid still on it
        (ASIDE, ON_TABLE),  # candy on the table
        (ASIDE, by(BOX, 0.0, -0.08, CANDY_RADIUS_M - BOX_HEIGHT_M)),  # candy beside the box
        (ASIDE, by(ASIDE, -0.04, 0.0, -0.016)),  # candy on the lid
    ],
)
def test_half_done_is_neither_success_nor_failure(cell: Cell, lid: np.ndarray, candy: np.ndarray) -> None:
    lay_out(cell, lid, candy)
    assert verdict(cell) == (False, "")
    assert not cell.scene().failure


@pytest.mark.parametrize(
    ("offset_m", "tilt_rad"), [((0.0, 0.10, -0.02), -0.7), ((0.03, 0.03, 0.055), 0.1)], ids=["lean", "askew"]
)
def test_a_lid_that_leans_on_the_box_is_not_aside(
    cell: Cell, offset_m: tuple[float, float, float], tilt_rad: float
) -> None:
    lay_out(cell, lid=BOX + offset_m, lid_tilt_rad=tilt_rad)
    assert verdict(cell) == (False, "")
    reading = cell.scene()
    assert not reading.failure
    assert reading.group("candy.")[2] < 0.03  # the candy is in its place
    assert reading.group("lid.")[5] < 0.999 or reading.group("lid.")[2] > 0.08


@pytest.mark.parametrize(
    ("x_m", "above_rim_m", "inside"),
    [
        (0.0, -0.03, True),
        (0.0, 0.0, False),
        (0.0, 0.03, False),
        (BOX_INNER_HALF_M + 0.03, -0.03, False),
    ],
)
def test_the_candy_is_inside_below_the_rim_and_between_the_walls(
    cell: Cell, x_m: float, above_rim_m: float, inside: bool
) -> None:
    lay_out(cell, candy=by(BOX, x_m, 0.0, above_rim_m))
    cell.model.opt.gravity[2] = 0.0  # it hovers where it was put
    try:
        assert verdict(cell)[0] is inside
        assert abs(cell.scene().group("candy.")[2] - BOX[2] - above_rim_m) < 0.001
    finally:
        cell.model.opt.gravity[2] = -9.81


@pytest.mark.parametrize(
    ("lid", "tilt_rad", "candy", "reason"),
    [
        (ASIDE, 0.0, np.array([0.5, -0.7, CANDY_RADIUS_M]), "candy left the table"),
        (np.array([0.5, 0.65, KNOB_ON_TABLE_M]), 0.0, INSIDE, "lid left the table"),
        (by(ASIDE, 0.0, 0.05, 0.0), math.pi, INSIDE, "lid turned over"),
    ],
)
def test_what_is_lost_is_failure(
    cell: Cell, lid: np.ndarray, tilt_rad: float, candy: np.ndarray, reason: str
) -> None:
    lay_out(cell, lid, candy, tilt_rad)
    assert verdict(cell) == (False, reason)
    assert cell.scene().failure


def test_a_box_tilted_far_falls_and_fails_and_one_tilted_little_rights_itself(cell: Cell) -> None:
    for tilt_rad, falls in ((1.2, True), (0.3, False)):
        lay_out(cell, candy=ON_TABLE)
        # Turned about its lower edge, so that it starts on the table.
        lift = BOX_INNER_HALF_M * math.sin(tilt_rad) + BOX_HEIGHT_M * math.cos(tilt_rad)
        task_of(cell).put(cell.data, "box", np.array([0.52, 0.05, lift + 0.005]), 0.0, tilt_rad)
        success, reason = verdict(cell)
        assert not success
        assert reason == ("box was knocked over" if falls else "")
        assert (cell.scene().group("box.")[5] > 0.999) is not falls


def test_a_candy_still_held_in_the_opening_is_not_placed_until_let_go_and_left(cell: Cell) -> None:
    cell.reset("grasped", 2)
    grip = PINCH["candy"]
    reading = cell.scene()
    way = reading.group("box.")[:3] - reading.group("candy.")[:3]
    move(cell, (way[0], way[1], 0.03), 2.5, grip)
    here = cell.scene()
    move(cell, tuple(here.group("box.")[:3] - here.group("candy.")[:3] - [0, 0, 0.02]), 1.5, grip)
    assert cell.holds_object()
    cell.advance(1.0)
    reading = cell.scene()
    assert np.max(np.abs((reading.group("candy.") - reading.group("box.")[:6])[:2])) < BOX_INNER_HALF_M
    assert not reading.success
    cell.set_hand_target(PART)
    cell.advance(1.5)
    reading = cell.scene()
    assert reading.group("candy.")[2] < 0.04  # it has dropped
    assert not reading.success  # the hand is still there
    move(cell, (0.0, 0.0, 0.10), 1.0, PART)
    assert verdict(cell, 0.8) == (True, "candy lies in the box, lid beside it")


def test_pressing_on_the_shut_box_stops_the_arm(cell: Cell) -> None:
    cell.reset("initial", 0)
    box = cell.scene().group("box.")[:3]
    move(cell, (*(box - cell.observe().tcp_T[:3, 3])[:2], 0.0), 1.5, np.zeros(6))
    assert not cell.protective_stop
    move(cell, (0.0, 0.0, -0.25), 2.0, np.zeros(6))
    assert cell.protective_stop
    assert cell.scene().reason == "protective stop"
    # The table alone can not have been it: the hand is a box's height above it.
    assert cell.observe().tcp_T[2, 3] > 0.06


@pytest.mark.parametrize("hand", [np.zeros(6), np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.15])])
def test_the_firmest_grip_on_the_knob_does_not_stop_the_arm(cell: Cell, hand: np.ndarray) -> None:
    cell.reset("initial", 1)
    knob = cell.scene().group("lid.")[:3]
    over = pinch_pose(by(knob, 0.0, 0.0, 0.08), 0.0)[:3, 3]
    move(cell, tuple(over - cell.observe().tcp_T[:3, 3]), 2.0, OPEN)
    move(cell, (0.0, 0.0, -0.08), 1.0, OPEN)
    move(cell, (0.0, 0.0, 0.0), 0.8, hand)
    assert cell.contact_force_n > 20.0
    move(cell, (0.0, 0.0, 0.10), 1.0, hand)
    assert cell.scene().group("lid.")[2] > knob[2] + 0.08
    assert not cell.protective_stop


def test_the_lid_lies_still_and_its_lip_keeps_it_on_the_box(cell: Cell) -> None:
    lay_out(cell, lid=ON_BOX, candy=ON_TABLE)
    cell.advance(2.0)
    np.testing.assert_allclose(cell.scene().group("lid.")[:3], ON_BOX, atol=0.002)
    body = cell.model.body("lid").id
    cell.data.xfrc_applied[body, 0] = 2.0  # twice its weight, sideways
    cell.advance(1.0)
    cell.data.xfrc_applied[body] = 0.0
    reading = cell.scene()
    offset = reading.group("lid.")[:2] - reading.group("box.")[:2]
    assert np.max(np.abs(offset)) < 0.006
    assert reading.group("lid.")[5] > 0.99


def test_things_at_rest_stay_where_they_are(cell: Cell) -> None:
    lay_out(cell, candy=ON_TABLE)
    cell.advance(0.2)
    before = cell.scene().values
    cell.advance(3.0)
    np.testing.assert_allclose(cell.scene().values, before, atol=0.002)


@pytest.mark.parametrize("seed", range(6))
def test_stages_start_as_they_are_named(cell: Cell, seed: int) -> None:
    cell.reset("initial", seed)
    reading = cell.scene()
    np.testing.assert_allclose(
        reading.group("lid.")[:3], by(reading.group("box.")[:3], 0.0, 0.0, KNOB_ON_BOX_M)
    )
    for stage in ("opened", "grasped"):
        cell.reset(stage, seed)
        reading = cell.scene()
        assert reading.stage == stage
        assert not (reading.success or reading.failure or cell.protective_stop)
        assert reading.group("lid.")[2] == pytest.approx(KNOB_ON_TABLE_M, abs=0.001)
        assert reading.group("lid.")[5] > 0.999
        assert np.linalg.norm(reading.group("lid.")[:2] - reading.group("box.")[:2]) > 0.13
        candy_m = reading.group("candy.")[2]
        assert cell.holds_object() is (stage == "grasped")
        if stage == "grasped":
            assert 0.10 < candy_m < 0.16
        else:
            assert candy_m == pytest.approx(CANDY_RADIUS_M, abs=0.001)


def test_reset_is_a_function_of_stage_and_seed(cell: Cell) -> None:
    for stage in LidTask.stages:
        cell.reset(stage, 5)
        first = cell.save()
        cell.set_hand_target(np.zeros(6))
        cell.advance(0.2)
        cell.reset(stage, 6)
        assert not np.array_equal(cell.save().physics, first.physics)
        cell.reset(stage, 5)
        np.testing.assert_array_equal(cell.save().physics, first.physics)
        fresh = Cell(CellConfig(task="lid"))
        fresh.reset(stage, 5)
        np.testing.assert_array_equal(fresh.save().physics, first.physics)


@pytest.mark.parametrize("stage", LidTask.stages)
def test_restored_state_evolves_identically(cell: Cell, stage: str) -> None:
    cell.reset(stage, 3)
    saved = cell.save()

    def play() -> np.ndarray:
        move(cell, (0.05, 0.04, -0.08), 0.8, OPEN)
        move(cell, (0.0, 0.0, 0.05), 0.4, PINCH["lid"])
        return np.concatenate([cell.qpos, cell.data.qvel, cell.scene().values])

    first = play()
    cell.restore(saved)
    np.testing.assert_array_equal(play(), first)


def test_positions_stay_in_their_ranges() -> None:
    ranges = LidTask().ranges
    for positions, inside in (("train", True), ("held_out", False)):
        cell = Cell(CellConfig(task="lid", positions=positions))  # type: ignore[arg-type]
        drawn = []
        for seed in range(25):
            cell.reset(seed=seed)
            reading = cell.scene()
            for body, low, high in (
                ("box.", ranges.box_min_m, ranges.box_max_m),
                ("candy.", ranges.candy_min_m, ranges.candy_max_m),
            ):
                xy = reading.group(body)[:2]
                assert bool(np.all(xy >= low) and np.all(xy <= high)) is inside
                assert np.all(xy >= np.array(low) - ranges.held_out_border_m)
                assert np.all(xy <= np.array(high) + ranges.held_out_border_m)
            yaw = math.atan2(*reading.group("box.")[[7, 6]])
            assert abs(yaw) <= ranges.box_yaw_rad + 1e-9
            drawn.append((*reading.group("box.")[[0, 1, 7]], *reading.group("candy.")[[0, 1, 3]]))
        assert np.all(np.std(drawn, axis=0) > 0.01)


def test_scene_in_the_tcp_frame_matches_the_scene_in_base() -> None:
    ideal = Cell(preset("ideal", task="lid"))
    ideal.reset("opened", 4)
    reading, T = ideal.scene(), ideal.observe().tcp_T
    assert len(reading.names) == len(reading.values) == len(set(reading.names)) == 30
    for name in ("box", "lid", "candy"):
        seen = np.append(reading.group(f"tcp_{name}."), 1.0)
        np.testing.assert_allclose((T @ seen)[:3], reading.group(f"{name}.")[:3], atol=1e-9)
    for name, axis in (("box.", slice(3, 6)), ("box.", slice(6, 9)), ("lid.", slice(3, 6))):
        assert np.linalg.norm(reading.group(name)[axis]) == pytest.approx(1.0)


def test_verdict_stays(cell: Cell) -> None:
    lay_out(cell)
    assert verdict(cell)[0]
    task_of(cell).put(cell.data, "candy", np.array([0.5, -0.9, 0.1]))
    assert verdict(cell)[0]
    assert not cell.scene().failure
