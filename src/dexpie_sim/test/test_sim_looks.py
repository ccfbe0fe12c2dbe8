"""Varied looks: a function of the seed, within their ranges, without influence on physics."""

import colorsys

import mujoco
import numpy as np
import pytest

from dexpie_core import se3
from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig, preset
from dexpie_sim.looks import LooksRanges, varied
from dexpie_sim.render import SceneRenderer
from dexpie_sim.tasks import TASKS

LOOKS = ("geom_rgba", "mat_rgba", "light_dir", "light_diffuse", "cam_pos", "cam_quat")
SEEDS = range(20)


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    return {task: Cell(preset("default", task=task, looks="varied")) for task in TASKS}


def same(a: mujoco.MjModel, b: mujoco.MjModel, name: str) -> bool:
    return np.array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("task", TASKS)
def test_looks_are_a_function_of_the_seed_and_leave_the_model_alone(
    cells: dict[str, Cell], task: str
) -> None:
    model = cells[task].model
    before = {name: getattr(model, name).copy() for name in LOOKS}
    first, again, other = varied(model, 3), varied(model, 3), varied(model, 4)
    for name in LOOKS:
        np.testing.assert_array_equal(getattr(model, name), before[name])
        assert same(first, again, name), name
        assert not same(first, other, name), name
        assert not same(first, model, name), name


def test_varied_looks_change_no_physics(cells: dict[str, Cell]) -> None:
    fixed, varied_cell = Cell(preset("default", task="lid")), cells["lid"]
    for cell in (fixed, varied_cell):
        cell.reset("opened", 7)
        cell.set_hand_target(np.zeros(6))
        cell.advance(0.2)
    np.testing.assert_array_equal(fixed.qpos, varied_cell.qpos)
    assert (fixed.looks_seed, varied_cell.looks_seed) == (None, 7)


def hue_saturation_value(rgb: np.ndarray) -> np.ndarray:
    return np.array([colorsys.rgb_to_hsv(*row) for row in rgb[:, :3].tolist()])


@pytest.mark.parametrize("task", TASKS)
def test_objects_keep_the_colour_that_a_person_would_name(cells: dict[str, Cell], task: str) -> None:
    model, ranges = cells[task].model, LooksRanges()
    own = (model.geom_matid < 0) & (model.geom_bodyid > 0)
    before = hue_saturation_value(model.geom_rgba[own])
    for seed in SEEDS:
        after = hue_saturation_value(varied(model, seed).geom_rgba[own])
        turned = (after[:, 0] - before[:, 0] + 0.5) % 1.0 - 0.5
        coloured = before[:, 1] > 0.0
        assert np.max(np.abs(turned[coloured])) * 360.0 <= ranges.objects.hue_deg + 1e-3
        assert np.all(np.abs(after[:, 2] - before[:, 2]) <= ranges.objects.value * before[:, 2] + 1e-6)


def test_parts_of_an_object_change_together(cells: dict[str, Cell]) -> None:
    model = cells["bottle"].model
    glass = np.flatnonzero(np.all(np.isclose(model.geom_rgba[:, :3], (0.05, 0.52, 0.30)), axis=1))
    assert len(glass) > 5
    colours = varied(model, 1).geom_rgba[glass]
    np.testing.assert_array_equal(colours, np.repeat(colours[:1], len(glass), axis=0))


def test_cameras_and_lamps_stay_within_their_ranges(cells: dict[str, Cell]) -> None:
    model, ranges = cells["bottle"].model, LooksRanges()
    for seed in SEEDS:
        looks = varied(model, seed)
        for camera, half_m in ranges.camera_m.items():
            index = model.camera(camera).id
            assert np.max(np.abs(looks.cam_pos[index] - model.cam_pos[index])) <= half_m
            quats = np.roll([model.cam_quat[index], looks.cam_quat[index]], -1, axis=1)
            before, after = (se3.matrix_from_pos_quat(np.zeros(3), quat)[:3, :3] for quat in quats)
            turned_rad = float(se3.rotation_angle(before, after))
            assert 0.0 < turned_rad <= np.sqrt(3.0) * ranges.camera_rad[camera] + 1e-9
        cosines = np.sum(looks.light_dir * model.light_dir, axis=1)
        assert np.all(np.arccos(cosines) <= np.sqrt(2.0) * ranges.light_tilt_rad + 1e-6)


def test_the_renderer_shows_the_looks_and_goes_back_to_the_fixed_ones(cells: dict[str, Cell]) -> None:
    cell = cells["bottle"]
    cell.reset(seed=3)
    renderer = SceneRenderer(cell.model, 64, 48)
    fixed = renderer.render(cell.qpos, "front").astype(int)
    one, other = (renderer.render(cell.qpos, "front", seed).astype(int) for seed in (1, 2))
    again = renderer.render(cell.qpos, "front")
    renderer.close()
    for a, b in ((fixed, one), (fixed, other), (one, other)):
        assert np.abs(a - b).mean() > 5.0
    np.testing.assert_array_equal(again, fixed)


def test_unknown_looks_are_refused() -> None:
    with pytest.raises(ValueError, match="fixed, varied"):
        CellConfig(looks="dark")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="camera_latency_s"):
        CellConfig(camera_latency_s=-0.1)
