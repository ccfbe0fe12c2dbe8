"""Bags to datasets: what was commanded comes back, gaps are counted, nothing is left half-written."""

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_bags import (
    NAMES,
    PERIOD_NS,
    START_NS,
    BagMaker,
    Recipe,
    action_of,
    scene_of,
    write_bag,
    write_bags,
)

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.alignment import AlignmentConfig, nearest, thin_to_rate
from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.dataset import Dataset, Windows, split_episodes
from dexpie_training.interpolation import bracket
from dexpie_training.methods import ROWS_OF


def convert(tmp_path: Path, *bags: Path, **alignment: object) -> Dataset:
    out = tmp_path / "dataset"
    run_convert(ConvertOptions(bags=bags, out=out, alignment=AlignmentConfig(**alignment)))  # type: ignore[arg-type]
    return Dataset.open(out)


def test_round_trip_of_commands_and_measurements(tmp_path: Path) -> None:
    recipe = Recipe(ticks=30, seed=3)
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", recipe))
    assert len(dataset) == 30 and dataset.stamp_ns[0] == START_NS
    for tick in (0, 7, 29):
        np.testing.assert_allclose(dataset.action[tick], action_of(recipe, tick), atol=1e-12)
        np.testing.assert_allclose(dataset.tcp_pose[tick], action_of(recipe, tick - 1)[:9], atol=1e-12)
        np.testing.assert_allclose(dataset.arm_q[tick], np.full(6, 0.01 * tick), atol=1e-12)
    assert dataset.meta["state_names"] == list(NAMES)
    assert dataset.state is not None
    np.testing.assert_allclose(dataset.state[5, :3], scene_of(recipe)[1], atol=1e-6)
    assert dataset.intervention.all() and set(dataset.mode) == {3}
    assert dataset.episodes[0]["kind"] == "demonstration" and dataset.episodes[0]["seed"] == 3


def test_an_offset_of_one_row_gives_other_actions(tmp_path: Path) -> None:
    """Negative: the off-by-one mistake is visible, and only where it is asked for."""
    recipe = Recipe()
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", recipe), action_offset_rows=1)
    np.testing.assert_allclose(dataset.action[4], action_of(recipe, 5), atol=1e-12)
    assert np.abs(dataset.action[4] - action_of(recipe, 4)).max() > 1e-3
    assert len(dataset) == 29 and dataset.meta["alignment"]["action_offset_rows"] == 1


def test_images_anchor_the_rows(tmp_path: Path) -> None:
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", Recipe(ticks=12, images=True)))
    assert dataset.meta["cameras"] == ["front", "wrist"]
    assert dataset.stamp_ns[0] == START_NS + 3_000_000
    assert dataset.frames["front"].shape == (12, 224, 224, 3) and dataset.frames["front"].dtype == np.uint8
    assert isinstance(dataset.frames["front"], np.memmap)
    np.testing.assert_allclose(dataset.frames["wrist"][:, 100, 100, 1], 8 * np.arange(12), atol=2)
    report = dataset.meta["report"][0]
    assert report["worst_error_ms"]["/executor/action"] == pytest.approx(3.0)


def test_picture_and_numbers_of_a_row_are_of_the_same_tick(tmp_path: Path) -> None:
    """Negative: frames shifted by one row would show the tick before or after the joints and the command."""
    recipe = Recipe(ticks=20, images=True, missing_state=(7,))
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", recipe))
    ticks = np.r_[0:7, 8:20]
    for camera in ("front", "wrist"):
        shown = dataset.frames[camera][:, 100, 100, 0] / 8
        assert np.abs(shown - ticks).max() < 0.5 < np.abs(shown[1:] - ticks[:-1]).min()
    np.testing.assert_allclose(dataset.arm_q[:, 0], 0.01 * ticks, atol=1e-12)
    np.testing.assert_allclose(dataset.action, [action_of(recipe, tick) for tick in ticks], atol=1e-12)


def test_interpolated_measurements_lie_between_two_messages(tmp_path: Path) -> None:
    """Pictures 3 ms after a tick: a share of 3/40 of the next message, by hand."""
    recipe = Recipe(ticks=12, images=True)
    bag = write_bag(tmp_path / "bag", recipe)
    rules = {"joints": "interpolated", "tcp": "interpolated", "hand": "interpolated", "tolerance_s": 0.05}
    dataset = convert(tmp_path, bag, **rules)
    np.testing.assert_allclose(dataset.arm_q[4], np.full(6, 0.04 + 0.01 * 3 / 40), atol=1e-12)
    before, after = action_of(recipe, 3), action_of(recipe, 4)
    share = 3 / 40
    np.testing.assert_allclose(dataset.hand_q[4], before[9:] + share * (after[9:] - before[9:]), atol=1e-12)
    np.testing.assert_allclose(
        dataset.tcp_pose[4, :3], before[:3] + share * (after[:3] - before[:3]), atol=1e-12
    )
    angle = 0.3 * (3 + share) / 20  # a turn about z that is linear in the tick
    np.testing.assert_allclose(dataset.tcp_pose[4, 3:5], [np.cos(angle), np.sin(angle)], atol=1e-12)
    assert dataset.meta["alignment"]["tcp"] == "interpolated"


def test_the_message_on_both_sides_of_an_anchor() -> None:
    before, after, share = bracket(np.array([-5, 0, 4, 10, 15, 99]), np.array([0, 10, 20]))
    assert before.tolist() == [0, 0, 0, 1, 1, 2] and after.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(share, [0, 0, 0.4, 0, 0.5, 0])


def test_images_can_be_left_out(tmp_path: Path) -> None:
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", Recipe(images=True)), use_images=False)
    assert dataset.meta["cameras"] == [] and dataset.stamp_ns[0] == START_NS


def test_gaps_are_counted_and_windows_do_not_cross_them(tmp_path: Path) -> None:
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", Recipe(ticks=40, missing_state=(20, 21))))
    assert len(dataset) == 38 and dataset.meta["counts"]["rows_left_out"] == 2
    assert dataset.meta["report"][0]["left_out"]["/arm/joint_states"] == 2
    windows = Windows(dataset, 8)
    # Rows 0..19 precede the gap: a window of 8 fits from 0..12; after it every row starts one.
    assert windows.starts.tolist() == [*range(13), *range(20, 38)]


def test_several_episodes_in_one_bag_and_discarded_ones(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "session")
    maker.episode(Recipe(seed=1), "a")
    maker.episode(Recipe(seed=2, outcome="discard"), "b")
    maker.episode(Recipe(seed=3, outcome="failure", ticks=15), "c")
    maker.episode(Recipe(seed=4, without_end=True), "d")
    dataset = convert(tmp_path, maker.write())
    assert [e["episode_id"] for e in dataset.episodes] == ["a", "c"]
    assert dataset.lengths.tolist() == [30, 15] and dataset.first_rows.tolist() == [0, 30]
    assert dataset.meta["counts"]["skipped"] == {"discarded": 1, "without an end": 1}
    assert dataset.meta["counts"]["outcomes"] == {"success": 1, "failure": 1}
    np.testing.assert_allclose(dataset.action[30], action_of(Recipe(seed=3), 0), atol=1e-12)


def test_provenance_is_stored(tmp_path: Path) -> None:
    folder = write_bags(tmp_path / "bags", 3)
    dataset = convert(tmp_path, folder)
    assert [b["name"] for b in dataset.meta["bags"]] == ["episode_000", "episode_001", "episode_002"]
    assert all(len(b["sha256"]) == 64 and b["bytes"] > 1000 for b in dataset.meta["bags"])
    assert len(dataset.content_hash) == 64 and "nearest" in dataset.meta["alignment"]["rule"]


def test_existing_output_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", Recipe())
    (tmp_path / "dataset").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        convert(tmp_path, bag)
    assert list((tmp_path / "dataset").iterdir()) == []


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    """A bag without the hand: one clear line, no dataset, no temporary folder."""
    bag = write_bag(tmp_path / "bag", Recipe(missing_state=tuple(range(30))))
    with pytest.raises(DexpieError, match=r"episode bag: left out, .* /arm/joint_states at \d+ ns: has no"):
        convert(tmp_path, bag)
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_no_bags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DexpieError, match=r"no rosbag2 folder"):
        convert(tmp_path, tmp_path)


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DexpieError, match=r"dataset\.json is missing"):
        Dataset.open(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"format": "dexpie-dataset", "version": 99}))
    with pytest.raises(DexpieError, match="version 99"):
        Dataset.open(tmp_path)


def test_nearest_takes_the_earlier_of_two() -> None:
    stamps = np.array([0, 10, 20])
    assert nearest(np.array([-5, 4, 5, 6, 15, 99]), stamps).tolist() == [0, 0, 0, 1, 1, 2]
    assert nearest(np.array([3]), np.array([7])).tolist() == [0]


def test_fast_cameras_are_thinned() -> None:
    stamps = np.arange(0, 1_000_000_000, 16_666_667)  # 60 Hz for a second
    thinned = thin_to_rate(stamps, 25.0)
    assert len(thinned) == 25 and np.all(np.abs(thinned - np.arange(25) * PERIOD_NS) < 8_400_000)
    slow = np.arange(0, 1_000_000_000, PERIOD_NS)
    assert thin_to_rate(slow, 25.0) is slow


def test_windows_hold_the_last_action_and_are_relative(tmp_path: Path) -> None:
    recipe = Recipe(ticks=30)
    dataset = convert(tmp_path, write_bag(tmp_path / "bag", recipe))
    windows = Windows(dataset, 24)
    rows = windows.rows(np.array([0, 20]))
    assert rows[0].tolist() == list(range(24)) and rows[1].tolist() == [*range(20, 30), *[29] * 14]
    absolute, relative = windows.absolute_chunks(np.array([20])), windows.relative_chunks(np.array([20]))
    np.testing.assert_allclose(absolute[0, 10:], np.tile(action_of(recipe, 29), (14, 1)), atol=1e-12)
    np.testing.assert_allclose(relative[0, :, 9:], absolute[0, :, 9:], atol=1e-12)
    # Independent of the package: position and rotation columns turned into the observed frame by hand.
    measured = dataset.tcp_pose[20]
    R = np.stack([measured[3:6], measured[6:9], np.cross(measured[3:6], measured[6:9])], axis=1)
    np.testing.assert_allclose(relative[0, :, :3], (absolute[0, :, :3] - measured[:3]) @ R, atol=1e-12)
    np.testing.assert_allclose(relative[0, :, 3:6], absolute[0, :, 3:6] @ R, atol=1e-12)


def test_each_method_takes_its_episodes_from_the_first_action_on(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "session")
    maker.episode(Recipe(idle_ticks=4), "a")
    maker.episode(Recipe(outcome="failure"), "b")
    maker.episode(Recipe(kind="rollout", ticks=10), "c")
    maker.episode(Recipe(kind="rollout", outcome="failure", ticks=10), "d")
    maker.episode(Recipe(idle_ticks=2, ticks=10), "e")
    dataset = convert(tmp_path, maker.write())
    begun = [range(4, 30), range(30, 60), range(60, 70), range(70, 80), range(82, 90)]
    taken = {"bc": [0, 4], "hg-dagger": [0, 2, 4], "recap": [0, 2, 3, 4], "dexpie": [0, 2, 3, 4]}
    for method, episodes in taken.items():
        assert ROWS_OF[method].rows(dataset).tolist() == [row for e in episodes for row in begun[e]]


def test_split_is_by_episode(tmp_path: Path) -> None:
    dataset = convert(tmp_path, write_bags(tmp_path / "bags", 5, ticks=6))
    train, held_out = split_episodes(dataset, 0.2, seed=0)
    assert np.array_equal(train, ~held_out) and held_out.sum() == 6
    assert len(set(dataset.episode[held_out])) == 1
    assert split_episodes(dataset, 0.0, seed=0)[0].all()
