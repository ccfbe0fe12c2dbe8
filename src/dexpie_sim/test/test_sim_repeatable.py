"""Same seed, same bytes: an episode repeated gives an identical bag, pictures, noise and looks included."""

from pathlib import Path

import pytest

from dexpie_sim.config import preset
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig, run_episode
from dexpie_sim.tasks import TASKS


def payload(cell: LockstepCell, folder: Path, seed: int) -> bytes:
    bag = run_episode(cell, EpisodeRequest(seed=seed, record_dir=folder, max_steps=12)).bag
    assert bag is not None
    (file,) = bag.glob("*.mcap")
    return file.read_bytes()


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_repeated_gives_an_identical_bag(task: str, tmp_path: Path) -> None:
    config = LockstepConfig(
        cell=preset("default", task=task, looks="varied"), image_width=64, image_height=48
    )
    used, fresh = LockstepCell(config), LockstepCell(config)
    other = payload(used, tmp_path / "other", 6)
    first = payload(used, tmp_path / "first", 5)
    assert payload(fresh, tmp_path / "again", 5) == first
    assert other != first
    used.close()
    fresh.close()
