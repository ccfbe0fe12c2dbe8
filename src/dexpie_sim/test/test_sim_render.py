"""Pictures: size, content, both cameras."""

import numpy as np
import pytest

from dexpie_sim.camera_info import intrinsics
from dexpie_sim.cell import Cell
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
