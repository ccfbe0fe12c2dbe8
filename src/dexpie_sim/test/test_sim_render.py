"""Pictures: size, content, both cameras."""

import numpy as np
import pytest

from dexpie_sim.camera_info import intrinsics
from dexpie_sim.camera_noise import PixelNoise
from dexpie_sim.camera_view import CameraView
from dexpie_sim.cell import Cell
from dexpie_sim.config import PresetName, preset
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig
from dexpie_sim.render import SceneRenderer


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell()


@pytest.fixture(scope="module")
def renderer(cell: Cell):
    renderer = SceneRenderer(cell.model, 160, 120)
    yield renderer
    renderer.close()


def test_pictures_have_the_size_and_show_something(cell: Cell, renderer: SceneRenderer) -> None:
    cell.reset(seed=3)
    pictures = renderer.render_all(cell.qpos)
    assert set(pictures) == {"front", "wrist"}
    for picture in pictures.values():
        assert picture.shape == (120, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 20
    assert not np.array_equal(pictures["front"], pictures["wrist"])


def test_front_camera_sees_bottle_and_platform_where_they_are(cell: Cell, renderer: SceneRenderer) -> None:
    cell.reset(seed=3)
    before = renderer.render(cell.qpos, "front").astype(int)
    moved = cell.qpos
    moved[18:21] += (0.0, 0.08, 0.0)  # bottle
    bottle = np.argwhere(np.abs(renderer.render(moved, "front") - before).sum(axis=2) > 60)
    moved = cell.qpos
    moved[-3] += 0.08  # platform
    platform = np.argwhere(np.abs(renderer.render(moved, "front") - before).sum(axis=2) > 60)
    assert len(bottle) > 50
    assert len(platform) > 50
    # Seen from the front, -y (the bottle's side) is on the left.
    assert bottle[:, 1].mean() < platform[:, 1].mean()


def test_same_state_gives_the_same_picture(cell: Cell, renderer: SceneRenderer) -> None:
    cell.reset(seed=5)
    np.testing.assert_array_equal(renderer.render(cell.qpos, "wrist"), renderer.render(cell.qpos, "wrist"))


def test_square_picture_is_the_squeezed_four_to_three_one(cell: Cell) -> None:
    fx, fy, cx, cy = intrinsics(cell.model, "front", 640, 480)
    assert fx == pytest.approx(fy)
    assert (cx, cy) == (320.0, 240.0)
    fx, fy, _, _ = intrinsics(cell.model, "front", 224, 224)
    assert fx / fy == pytest.approx(0.75)


def test_wrong_camera_and_wrong_state_are_refused(cell: Cell, renderer: SceneRenderer) -> None:
    with pytest.raises(ValueError, match="front, wrist"):
        renderer.render(cell.qpos, "left")
    with pytest.raises(ValueError, match="numbers"):
        renderer.render(cell.qpos[:-1], "front")


def test_a_renderer_that_is_closed_leaves_another_alone(cell: Cell, renderer: SceneRenderer) -> None:
    cell.reset(seed=3)
    before = renderer.render_all(cell.qpos)
    other = SceneRenderer(cell.model, 64, 48)
    other.render_all(cell.qpos)
    other.close()
    other.close()
    after = renderer.render_all(cell.qpos)
    for camera, picture in before.items():
        np.testing.assert_array_equal(after[camera], picture)
    with pytest.raises(RuntimeError, match="closed"):
        other.render(cell.qpos, "front")


@pytest.mark.parametrize(("name", "late_steps"), [("default", 4), ("ideal", 0)])
def test_what_the_cameras_see_is_one_frame_old(name: PresetName, late_steps: int) -> None:
    """One frame of 16.7 ms is four physics steps of 4 ms; the ideal cameras see now."""
    step_s = 0.004
    cell = Cell(preset(name, servo_period_s=step_s))
    cell.reset(seed=1)
    cell.set_hand_target(np.zeros(6))
    states = [cell.qpos]
    for _ in range(25):
        np.testing.assert_array_equal(cell.camera_qpos, states[max(0, len(states) - 1 - late_steps)])
        cell.advance(step_s)
        states.append(cell.qpos)
    assert len({state.tobytes() for state in states}) > 20  # it moves


def test_a_restored_state_is_seen_as_the_original_was(cell: Cell) -> None:
    cell.reset(seed=1)
    cell.set_hand_target(np.zeros(6))
    cell.advance(0.2)
    saved, seen = cell.save(), cell.camera_qpos
    cell.advance(0.2)
    cell.restore(saved)
    np.testing.assert_array_equal(cell.camera_qpos, seen)


@pytest.mark.parametrize("name", ["default", "ideal"])
def test_pictures_of_an_episode_are_those_of_the_earlier_state(
    name: PresetName, renderer: SceneRenderer
) -> None:
    config = LockstepConfig(cell=preset(name, camera_noise=0.0), image_width=160, image_height=120)
    lockstep = LockstepCell(config)
    lockstep.reset(EpisodeRequest(seed=2))
    lockstep.cell.set_hand_target(np.zeros(6))
    lockstep.cell.advance(0.12)
    shown = lockstep.images()["wrist"]
    now, earlier = lockstep.cell.qpos, lockstep.cell.camera_qpos
    lockstep.close()
    np.testing.assert_array_equal(shown, renderer.render(earlier, "wrist"))
    assert np.array_equal(shown, renderer.render(now, "wrist")) == (name == "ideal")


def test_noise_has_its_deviation_and_is_a_function_of_the_stamp() -> None:
    grey = {"front": np.full((120, 160, 3), 100, np.uint8), "wrist": np.full((120, 160, 3), 100, np.uint8)}
    noise = PixelNoise(2.0, 160, 120)
    noisy = noise.add(grey, 123)
    error = noisy["front"].astype(float) - 100.0
    assert abs(error.mean()) < 0.05
    assert error.std() == pytest.approx((2.0**2 + 1 / 12) ** 0.5, rel=0.02)  # rounding adds a twelfth
    assert abs(np.corrcoef(error.ravel(), noisy["wrist"].astype(float).ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(PixelNoise(2.0, 160, 120).add(grey, 123)["front"], noisy["front"])
    assert not np.array_equal(noise.add(grey, 124)["front"], noisy["front"])
    white = {"front": np.full((120, 160, 3), 255, np.uint8)}
    assert noise.add(white, 1)["front"].min() > 240  # saturates, never wraps around
    np.testing.assert_array_equal(PixelNoise(0.0, 160, 120).add(grey, 1)["front"], grey["front"])


@pytest.mark.parametrize("seed", [None, 0, 2**31 - 1])
def test_what_the_cameras_are_told_comes_back(seed: int | None) -> None:
    view = CameraView(1_700_000_000_123_456_000, np.arange(5.0), seed, 1.5)
    back = CameraView.decode(view.encode())
    assert abs(back.stamp_ns - view.stamp_ns) < 1_000
    assert (back.looks_seed, back.noise) == (seed, 1.5)
    np.testing.assert_array_equal(back.qpos, view.qpos)
    with pytest.raises(ValueError, match="begins with stamp"):
        CameraView.decode([1.0, -1.0])
