"""Start states of the drawer task: ranges, restoring, and what the scene tells of them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dexpie_core import se3
from dexpie_sim.cell import Cell
from dexpie_sim.config import preset
from dexpie_sim.render import SceneRenderer
from dexpie_sim.tasks.drawer import DrawerTask
from dexpie_sim.tasks.plan import shifted


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell(preset("default", task="drawer"))


def task_of(cell: Cell) -> DrawerTask:
    assert isinstance(cell.task, DrawerTask)
    return cell.task


def test_positions_stay_in_their_ranges() -> None:
    for positions, inside in (("train", True), ("held_out", False)):
        cell = Cell(preset("default", task="drawer", positions=positions))  # type: ignore[arg-type]
        ranges = task_of(cell).ranges
        low, high = np.array(ranges.box_min_m), np.array(ranges.box_max_m)
        for seed in range(25):
            cell.reset("opened" if seed % 2 else "initial", seed)
            now = task_of(cell).layout(cell.data)
            xy = now.box_T[:2, 3]
            assert bool(np.all(xy >= low) and np.all(xy <= high)) is inside
            assert np.all(xy >= low - 0.03)
            assert np.all(xy <= high + 0.03)
            turned = abs(now.cabinet_yaw_rad - math.pi / 2)
            assert (turned <= math.radians(4.0)) is inside
            assert turned <= math.radians(9.0)
            assert np.all(now.cabinet_xy >= ranges.cabinet_min_m)
            assert np.all(now.cabinet_xy <= ranges.cabinet_max_m)
            assert (now.opening_m > 0.12) is bool(seed % 2)


@pytest.mark.parametrize("stage", ["initial", "opened", "grasped"])
def test_a_start_is_a_function_of_stage_and_seed(cell: Cell, stage: str) -> None:
    cell.reset("opened", 9)
    cell.advance(0.3)
    cell.reset(stage, 5)
    first = cell.save().physics
    fresh = Cell(cell.config)
    fresh.reset(stage, 5)
    np.testing.assert_array_equal(fresh.save().physics, first)
    cell.reset(stage, 6)
    assert not np.array_equal(cell.save().physics, first)


@pytest.mark.parametrize("stage", ["initial", "opened", "grasped"])
def test_a_restored_state_evolves_identically(cell: Cell, stage: str) -> None:
    cell.reset(stage, 4)
    pull = np.append(cell.scene().group("pull."), 0.0)
    start = cell.observe().tcp_T
    goal = shifted(start, 0.1 * pull - np.array([0.0, 0.0, 0.05]))
    cell.advance(0.2)
    saved, ends = cell.save(), []
    for _ in range(2):
        cell.set_hand_target(np.full(6, 0.6))
        for k in range(20):
            cell.set_arm_target(se3.interpolate(start, goal, (k + 1) / 20))
            cell.advance(0.04)
        ends.append((cell.save().physics, cell.scene().values))
        cell.reset("initial", 77)
        cell.restore(saved)
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_scene_in_the_tcp_frame_matches_the_scene_in_base(cell: Cell) -> None:
    cell.reset("opened", 4)
    reading, T = cell.scene(), cell.observe().tcp_T
    R, p = T[:3, :3], T[:3, 3]
    box, seen = reading.group("box."), reading.group("tcp_box.")
    np.testing.assert_allclose(R @ seen[:3] + p, box[:3], atol=2e-4)  # encoder noise
    np.testing.assert_allclose(R @ seen[3:6], box[3:6], atol=2e-3)
    np.testing.assert_allclose(R @ seen[6:], box[6:], atol=2e-3)
    np.testing.assert_allclose(R @ reading.group("tcp_handle.") + p, reading.group("handle."), atol=2e-4)
    pull = np.append(reading.group("pull."), 0.0)
    np.testing.assert_allclose(R @ reading.group("tcp_pull."), pull, atol=2e-3)
    bar = cell.data.geom_xpos[[i for i in range(cell.model.ngeom) if cell.model.geom_priority[i] == 1]]
    assert np.min(np.linalg.norm(bar - reading.group("handle."), axis=1)) < 1e-6


def test_the_scene_state_alone_shows_where_cabinet_and_drawer_are(cell: Cell) -> None:
    cell.reset("initial", 3)
    renderer = SceneRenderer(Cell(cell.config).model, 160, 120)
    try:
        closed = renderer.render(cell.qpos, "front").astype(int)
        now = task_of(cell).layout(cell.data)
        for changed in (
            replace(now, opening_m=0.13),
            replace(now, cabinet_yaw_rad=now.cabinet_yaw_rad + 0.1),
        ):
            task_of(cell).put(cell.data, changed)
            seen = np.abs(renderer.render(cell.qpos, "front") - closed).sum(axis=2) > 60
            assert seen.sum() > 50
            assert np.argwhere(seen)[:, 1].mean() < 80  # -y, the cabinet's side, is on the left
    finally:
        renderer.close()
