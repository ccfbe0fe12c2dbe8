"""Importing the authors' files: rows, offsets, rotations, gaps, rates, refusals, training."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from synthetic_recordings import (
    LEAD_S,
    RATE_HZ,
    START_NS,
    Recording,
    hand_commands,
    positions_m,
    rotations,
    write_hdf5,
    write_zarr,
)

from dexpie_core import se3
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.modes import Mode
from dexpie_training.dataset import Dataset, Windows
from dexpie_training.import_data import ImportOptions, run_import
from dexpie_training.import_rows import RowRules, SourceEpisode, make_rows
from dexpie_training.inspection import describe_dataset
from dexpie_training.make_features import FeaturesOptions, run_features
from dexpie_training.methods import ROWS_OF
from dexpie_training.policy import LoadedPolicy
from dexpie_training.train_actor import TrainActorOptions, run_train_actor
from dexpie_training.train_critic import TrainCriticOptions, run_train_critic

RULES = RowRules(shift_rows=1, offset_rows=1.0, rotation="rows")


def imported(out: Path, *files: Path, **options: Any) -> Dataset:
    run_import(ImportOptions(files, out, "bottle", **options))
    return Dataset.open(out)


def refused(out: Path, *files: Path, **options: Any) -> str:
    """The one line of the refusal; nothing may be left."""
    before = set(out.parent.iterdir())
    with pytest.raises(DexpieError) as caught:
        imported(out, *files, **options)
    assert set(out.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def source_of(recording: Recording) -> SourceEpisode:
    return SourceEpisode(
        where="episode",
        episode_id="e",
        success=True,
        rate_hz=RATE_HZ,
        state=recording.state,
        action=recording.action,
        intervention=recording.intervention,
        stamps_ns=recording.stamps_ns,
        cameras={},
    )


def turned(pose9: np.ndarray) -> np.ndarray:
    return se3.rotation_from_6d(pose9[:, 3:9])


def test_hdf5_comes_back_to_the_row(tmp_path: Path) -> None:
    recording = Recording(rows=40)
    file = write_hdf5(tmp_path / "demo_20260507_114630.h5", recording)
    dataset = imported(tmp_path / "out", file)
    rows = np.arange(39)  # the last observation has no action one frame later
    assert len(dataset) == 39
    np.testing.assert_array_equal(dataset.stamp_ns, recording.stamps_ns[:39])
    np.testing.assert_allclose(dataset.arm_q, recording.state[:39, :6])
    t_s = rows / RATE_HZ
    np.testing.assert_allclose(dataset.tcp_pose[:, :3], positions_m(t_s))
    np.testing.assert_allclose(turned(dataset.tcp_pose), rotations(t_s).as_matrix(), atol=1e-12)
    action_s = (rows + 1) / RATE_HZ  # the command recorded with the next image
    np.testing.assert_allclose(dataset.action[:, :3], positions_m(action_s + LEAD_S))
    np.testing.assert_allclose(turned(dataset.action), rotations(action_s + LEAD_S).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(dataset.action[:, 9:], hand_commands(action_s))
    assert dataset.frames["front"].shape == (39, 224, 224, 3)
    np.testing.assert_array_equal(dataset.frames["front"][:, 100, 100, 0], rows)
    np.testing.assert_array_equal(dataset.frames["wrist"][:, 0, 0, 2], 255 - rows)


def test_hdf5_is_described(tmp_path: Path) -> None:
    dataset = imported(tmp_path / "out", write_hdf5(tmp_path / "demo.h5", Recording()))
    episode = dataset.episodes[0]
    assert (episode["episode_id"], episode["kind"], episode["outcome"]) == (
        "demo",
        "demonstration",
        "success",
    )
    assert len(ROWS_OF["bc"].rows(dataset)) == 39
    meta = dataset.meta
    assert (meta["rate_hz"], meta["cameras"], meta["alignment"]["action_offset_rows"]) == (
        30.0,
        ["front", "wrist"],
        1,
    )
    assert meta["report"][0]["worst_error_ms"] == {"arm_action": 4.5}
    assert meta["report"][0]["left_out"] == {"the last, without an action": 1}
    assert [gap.split(":")[0] for gap in episode["gaps"]] == ["hand position"]
    assert len(meta["bags"][0]["sha256"]) == 64
    assert "39 at 30 Hz" in describe_dataset(dataset.path)


def test_the_actions_of_the_same_frame_are_another_dataset(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "demo.h5", Recording())
    shifted, plain = imported(tmp_path / "a", file), imported(tmp_path / "b", file, shift_rows=0)
    assert (len(shifted), len(plain)) == (39, 40)
    np.testing.assert_allclose(shifted.action, plain.action[1:])
    np.testing.assert_array_equal(shifted.arm_q, plain.arm_q[:39])
    assert plain.meta["alignment"]["action_offset_rows"] == 0


def test_the_hand_that_stands_for_the_measured_one_is_never_the_rows_own_command(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "demo.h5", Recording())
    shifted, plain = imported(tmp_path / "a", file), imported(tmp_path / "b", file, shift_rows=0)
    np.testing.assert_allclose(shifted.hand_q[1:], shifted.action[:-1, 9:])
    np.testing.assert_allclose(plain.hand_q[1:], plain.action[:-1, 9:])


def test_rotation_numbers_are_rows_and_a_wrong_reading_is_refused(tmp_path: Path) -> None:
    recording = Recording()
    file = write_hdf5(tmp_path / "demo.h5", recording)
    told = refused(tmp_path / "out", file, rotation="columns")
    assert "give --rotation rows" in told
    action = recording.action.copy()
    action[:, 3:9] = np.swapaxes(rotations(np.arange(40) / RATE_HZ + LEAD_S).as_matrix(), 1, 2)[
        :, :2
    ].reshape(-1, 6)
    by_columns = write_hdf5(tmp_path / "columns.h5", recording, action=action)
    assert "give --rotation columns" in refused(tmp_path / "out", by_columns)
    dataset = imported(tmp_path / "out", by_columns, rotation="columns")
    np.testing.assert_allclose(dataset.action, imported(tmp_path / "rows", file).action, atol=1e-12)


def test_who_decided_and_how_it_ended(tmp_path: Path) -> None:
    human = np.arange(40) >= 20
    files = [
        write_hdf5(tmp_path / "demo.h5", Recording()),
        write_hdf5(tmp_path / "corrected.h5", Recording(intervention=human), at_success=True),
        write_hdf5(tmp_path / "failed.h5", Recording(intervention=np.zeros(40, bool)), at_success=False),
    ]
    dataset = imported(tmp_path / "out", *files)
    told = [(e["kind"], e["outcome"]) for e in dataset.episodes]
    assert told == [("demonstration", "success"), ("rollout", "success"), ("rollout", "failure")]
    corrected = dataset.episode_rows(1)
    np.testing.assert_array_equal(dataset.intervention[corrected], human[1:])  # as the actions, one row later
    np.testing.assert_array_equal(
        dataset.mode[corrected], np.where(human[1:], Mode.HUMAN, Mode.AUTONOMOUS).astype(np.uint8)
    )
    assert dataset.meta["counts"]["outcomes"] == {"success": 2, "failure": 1}
    one_kind = imported(tmp_path / "all", *files, kind="rollout")
    assert {e["kind"] for e in one_kind.episodes} == {"rollout"}


def test_a_row_whose_action_lies_across_a_gap_is_left_out(tmp_path: Path) -> None:
    recording = Recording(rows=60).without([30, 31, 32])
    dataset = imported(tmp_path / "out", write_hdf5(tmp_path / "demo.h5", recording))
    assert len(dataset) == 60 - 3 - 1 - 1
    times = np.round((dataset.stamp_ns - START_NS) * 1e-9 * RATE_HZ)
    np.testing.assert_array_equal(times, np.setdiff1d(np.arange(59), [29, 30, 31, 32]))
    np.testing.assert_allclose(dataset.action[:, 0], positions_m((times + 1) / RATE_HZ + LEAD_S)[:, 0])
    assert dataset.meta["report"][0]["left_out"]["action across a gap"] == 1
    starts = Windows(dataset, 10).starts
    assert 19 in starts and 20 not in starts  # ten steps from row 20 on reach row 29, which is not there


def test_resampled_poses_are_those_of_the_motion(tmp_path: Path) -> None:
    dataset = imported(tmp_path / "out", write_hdf5(tmp_path / "demo.h5", Recording(rows=61)), rate_hz=25.0)
    t_s = np.arange(len(dataset)) / 25.0
    assert (dataset.meta["rate_hz"], len(dataset)) == (25.0, 50)  # 59 periods of 1/30 s hold 49 of 1/25 s
    np.testing.assert_allclose(dataset.stamp_ns - START_NS, t_s * 1e9, atol=2)
    np.testing.assert_allclose(dataset.tcp_pose[:, :3], positions_m(t_s), atol=1e-8)
    np.testing.assert_allclose(turned(dataset.tcp_pose), rotations(t_s).as_matrix(), atol=1e-7)
    action_s = t_s + 1.0 / RATE_HZ + LEAD_S
    np.testing.assert_allclose(dataset.action[:, :3], positions_m(action_s), atol=1e-8)
    np.testing.assert_allclose(turned(dataset.action), rotations(action_s).as_matrix(), atol=1e-7)
    nearest_frame = np.abs(dataset.frames["front"][:, 0, 0, 0] - t_s * RATE_HZ)
    assert nearest_frame.max() <= 0.5 + 1e-6
    assert dataset.meta["report"][0]["worst_error_ms"]["image"] == pytest.approx(40.0 / 3.0, abs=0.01)
    assert dataset.meta["alignment"]["action_offset_rows"] == pytest.approx(25.0 / 30.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 58), max_size=20, unique=True), st.sampled_from([None, 25.0, 10.0]))
def test_no_row_comes_out_of_a_gap(lost: list[int], rate_hz: float | None) -> None:
    recording = Recording(rows=60).without(lost)
    rows = make_rows(source_of(recording), replace(RULES, rate_hz=rate_hz))
    at = (rows.stamp_ns - START_NS) * 1e-9 * RATE_HZ
    recorded = np.setdiff1d(np.arange(60), lost)
    for point in at:  # both frames that a row is made of were recorded, and the one that its action is of
        needed = {int(np.floor(point + 1e-6)), int(np.ceil(point - 1e-6))}
        assert needed <= set(recorded) and {n + 1 for n in needed} <= set(recorded)
    np.testing.assert_allclose(rows.action[:, 0], 0.2 + 0.3 * ((at + 1) / RATE_HZ + LEAD_S), atol=1e-7)
    assert rows.anchors - len(rows.stamp_ns) == sum(rows.left_out.values())


@pytest.mark.parametrize("beside", [False, True], ids=["group", "images beside"])
def test_zarr_is_what_its_hdf5_episodes_are(tmp_path: Path, beside: bool) -> None:
    human = np.arange(30) >= 10
    recordings = [Recording(rows=40), Recording(rows=30, intervention=human)]
    files = [write_hdf5(tmp_path / f"e{i}.h5", r, at_success=i == 0) for i, r in enumerate(recordings)]
    stored = write_zarr(tmp_path / "set", recordings, [True, False], beside)
    ours, theirs = imported(tmp_path / "a", *files), imported(tmp_path / "b", stored)
    for name in ("arm_q", "tcp_pose", "hand_q", "action"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), atol=1e-6)
    for name in ("intervention", "mode", "episode"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    for camera in ("front", "wrist"):
        np.testing.assert_array_equal(theirs.frames[camera], ours.frames[camera])
    told = [(e["episode_id"], e["kind"], e["outcome"]) for e in theirs.episodes]
    assert told == [("set-0000", "demonstration", "success"), ("set-0001", "rollout", "failure")]
    assert theirs.meta["alignment"]["action_offset_rows"] == 1
    assert any(gap.startswith("times: not recorded") for gap in theirs.episodes[0]["gaps"])


def test_a_zipped_zarr_is_read(tmp_path: Path) -> None:
    stored = write_zarr(tmp_path / "set", [Recording()], [True], False)
    zipped = Path(shutil.make_archive(str(tmp_path / "set.zarr"), "zip", stored))
    ours, theirs = imported(tmp_path / "a", stored), imported(tmp_path / "b", zipped)
    np.testing.assert_array_equal(theirs.action, ours.action)
    assert theirs.episodes[0]["episode_id"] == "set-0000"


def first_row(values: np.ndarray, number: float) -> np.ndarray:
    changed = values.astype(np.float64).copy()
    changed[7, 0] = number
    return changed


GOOD = Recording()
WRONG = [
    ({"action": None}, "dataset action is missing"),
    ({"color": None}, "dataset color is missing"),
    ({"env_qpos_proprioception": GOOD.state[:, :6]}, "env_qpos_proprioception is of shape (40, 6), (40, 12)"),
    ({"action": GOOD.action[:0]}, "dataset action has no rows; leave the file out"),
    ({"action": GOOD.action[:-1]}, "env_qpos_proprioception is of shape (40, 12), (39, 12)"),
    ({"color": GOOD.images[..., 0]}, "dataset color is of shape (40, 16, 16), (40, H, W, 3)"),
    ({"wrist_color": GOOD.images[:-3]}, "dataset wrist_color is of shape (37, 16, 16, 3)"),
    ({"intervention": np.zeros((40, 2), bool)}, "dataset intervention is of shape (40, 2), (40) is wanted"),
    ({"action": first_row(GOOD.action, np.nan)}, "row 7: action is not finite"),
    ({"action": first_row(GOOD.action, 412.0)}, "metres are wanted"),
    ({"action": np.concatenate([GOOD.action[:, :9], 1000 * GOOD.action[:, 9:]], 1)}, "divided by 1000"),
    ({"action": np.concatenate([GOOD.action[:, :3], 0 * GOOD.action[:, 3:9], GOOD.action[:, 9:]], 1)},
     "6D rotation is degenerate"),
    ({"timestamps/t_anchor_ns": GOOD.stamps_ns[::-1].copy()}, "row 1: its time goes back"),
    ({"color": GOOD.images / 255.0}, "dataset color is of float64, uint8 is wanted"),
    ({"at_front_camera_fps": 0}, "a positive rate and a number are wanted"),
    ({"at_success": "yes"}, "attribute success is no number"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_wrong_file_is_refused_and_nothing_is_left(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    good = write_hdf5(tmp_path / "a.h5", Recording())
    bad = write_hdf5(tmp_path / "b.h5", Recording(), **changed)
    line = refused(tmp_path / "out", good, bad)
    assert str(bad) in line and told in line


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    a = write_hdf5(tmp_path / "a.h5", Recording())
    later = write_hdf5(tmp_path / "b.h5", Recording(), at_action_alignment_offset_frames=1.0)
    assert "actions are later than images by [rows] 2.0" in refused(tmp_path / "out", a, later)
    alone = write_hdf5(tmp_path / "c.h5", Recording(wrist=False))
    assert "cameras are front, of" in refused(tmp_path / "out", a, alone)
    faster = write_hdf5(tmp_path / "d.h5", Recording(), at_front_camera_fps=60)
    assert "rate is [Hz] 60.0" in refused(tmp_path / "out", a, faster)
    (tmp_path / "again").mkdir()
    twin = write_hdf5(tmp_path / "again" / "a.h5", Recording())
    assert "rename one" in refused(tmp_path / "out", a, twin)


def test_hdf5_and_zarr_in_one_dataset(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "a.h5", Recording())
    stored = write_zarr(tmp_path / "z", [Recording()], [True], False)
    dataset = imported(tmp_path / "out", file, stored)  # the shift of one row is done in the second only
    assert dataset.lengths.tolist() == [39, 39]
    np.testing.assert_allclose(dataset.action[:39], dataset.action[39:], atol=1e-6)


def test_wrong_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.h5").write_text("no HDF5")
    assert "no such file" in refused(tmp_path / "out", tmp_path / "nothing.h5")
    faster = write_hdf5(tmp_path / "faster.h5", Recording(), at_front_camera_fps=60)
    assert "its rate is 60 Hz, its times tell 30.0 Hz" in refused(tmp_path / "out", faster)
    assert "no HDF5 file, no folder of them" in refused(tmp_path / "out", tmp_path / "empty")
    assert "is no readable HDF5 file" in refused(tmp_path / "out", tmp_path / "text.h5")
    file = write_hdf5(tmp_path / "a.h5", Recording())
    assert "--rate-hz 50" in refused(tmp_path / "out", file, rate_hz=50.0)
    assert "no episode to import" in refused(tmp_path / "out", file, shift_rows=40)
    with pytest.raises(UsageError, match="exists already"):
        imported(tmp_path / "empty", file)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_a_damaged_hdf5_file_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, at: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = write_hdf5(folder / "a.h5", Recording(rows=3)).read_bytes()
    at %= len(content)
    (folder / "a.h5").write_bytes(content[:at] + garbage + content[at + len(garbage) :])
    try:
        imported(folder / "out", folder / "a.h5")
    except DexpieError as error:
        assert "\n" not in str(error) and str(folder / "a.h5") in str(error)


def test_a_damaged_zarr_is_refused(tmp_path: Path) -> None:
    stored = write_zarr(tmp_path / "set", [Recording()], [True], True)
    images = (stored / "img.npy").read_bytes()
    (stored / "img.npy").write_bytes(images[: len(images) // 2])
    assert "img.npy: cannot be read" in refused(tmp_path / "out", stored)
    for damaged, told in (("state", "is damaged"), ("img", "images of front: is damaged")):
        stored = write_zarr(tmp_path / damaged, [Recording()], [True], False)
        (chunk,) = (stored / "data" / damaged).glob("0*0")
        chunk.write_bytes(chunk.read_bytes()[:20])
        assert told in refused(tmp_path / "out", stored)
    ends = write_zarr(tmp_path / "ends", [Recording()], [True], False)
    zarr.open_group(ends, mode="r+")["meta/episode_ends"][:] = 12
    assert "meta/episode_ends does not part its 39 rows" in refused(tmp_path / "out", ends)


def test_imported_recordings_train(tmp_path: Path) -> None:
    for name, success in (("won", True), ("lost", False)):
        recording = Recording(rows=4, intervention=np.zeros(4, bool))
        write_hdf5(tmp_path / f"{name}.h5", recording, at_success=success)
    dataset = imported(tmp_path / "data", tmp_path)
    run_features(FeaturesOptions(dataset.path, "resnet18", threads=1))
    critic = TrainCriticOptions(
        dataset.path, tmp_path / "critic", encoder="resnet18", steps=2, crossfit=2, threads=1
    )
    assert run_train_critic(critic).metrics.rows == 6
    actor = TrainActorOptions(
        dataset.path, tmp_path / "actor", method="hg-dagger", encoder="resnet18", pictures="frozen", steps=2,
        held_out=0.0, threads=1,
    )  # fmt: skip
    run_train_actor(actor)
    assert LoadedPolicy.load(tmp_path / "actor").info.cameras == tuple(dataset.meta["cameras"])


def test_rotation_of_the_samples_is_not_its_own_inverse() -> None:
    sample = rotations(np.array([0.5]))
    assert (sample.inv() * Rotation.from_matrix(sample.as_matrix().swapaxes(1, 2))).magnitude()[0] > 1.0
