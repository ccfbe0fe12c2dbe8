"""Exporting datasets: LeRobot's schema and pictures, diffusion_policy's replay buffer, gaps, refusals."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr
from synthetic_dataset import PERIOD_NS, Toy, path_m, rows_of, write_episodes

from dexpie_core import se3
from dexpie_core.errors import UsageError
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_writer import DatasetWriter
from dexpie_training.export_data import ExportOptions, run_export
from dexpie_training.export_runs import runs
from dexpie_training.export_stats import ColourCounts, image_stats, number_stats
from dexpie_training.export_video import VideoFiles
from dexpie_training.import_data import ImportOptions, run_import

PX = 224
AT_GAP = 10


def smooth_images(count: int, seed: int) -> np.ndarray:
    """Grey ramps (n, PX, PX, 3) whose level tells the frame: what a lossy codec keeps."""
    level = (20 + 4 * np.arange(count) + 50 * seed) % 200
    ramp = np.linspace(0.0, 40.0, PX)[None, :, None]
    return np.broadcast_to(level[:, None, None, None] + ramp[None], (count, PX, PX, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two episodes; the second, a failure, has a gap before its row AT_GAP."""
    folder = tmp_path_factory.mktemp("exported") / "dataset"
    base = write_episodes(
        folder.with_name("base"), [Toy(path_m(True, 1), human=True), Toy(path_m(False, 2), False)]
    )
    source = Dataset.open(base)
    with DatasetWriter(folder) as writer:
        for index, episode in enumerate(source.episodes):
            rows = with_rotation(rows_of(source.tcp_pose[source.episode_rows(index), :3], index == 0))
            if index == 1:
                late = PERIOD_NS * 5 * (np.arange(len(rows.stamp_ns)) >= AT_GAP)
                rows = replace(rows, stamp_ns=rows.stamp_ns + late)
            count = len(rows.stamp_ns)
            images = {c: smooth_images(count, i + index) for i, c in enumerate(("front", "wrist"))}
            writer.append(episode, rows, images)
        writer.finish({**source.meta, "cameras": ["front", "wrist"], "image_size_px": PX})
    return Dataset.open(folder)


def with_rotation(rows: AlignedEpisode) -> AlignedEpisode:
    """The same rows turned by a rotation that is not its own inverse, the commands a little further."""

    def turned(pose9: np.ndarray, angle_rad: float) -> np.ndarray:
        R = se3.rotation_from_rotvec(np.array([0.6, 0.0, 0.8]) * angle_rad)
        return se3.pose9_from_matrix(se3.make(np.broadcast_to(R, (len(pose9), 3, 3)), pose9[:, :3]))

    action = np.concatenate([turned(rows.action[:, :9], 0.6), rows.action[:, 9:]], axis=1)
    return replace(rows, tcp_pose=turned(rows.tcp_pose, 0.5), action=action)


@pytest.fixture(scope="module")
def lerobot(dataset: Dataset) -> Path:
    out = dataset.path.with_name("lerobot")
    report = run_export(ExportOptions(dataset.path, "lerobot", out))
    assert (report.episodes, report.rows) == (3, len(dataset))
    assert report.remarks == ("e1: has gaps and becomes 2 episodes, of which the last ends as it did",)
    return out


def decoded(file: Path) -> np.ndarray:
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_a_gap_parts_an_episode(dataset: Dataset) -> None:
    first, second, third = runs(dataset)
    lengths = dataset.lengths.tolist()
    assert (first.rows, first.ends_episode) == (slice(0, lengths[0]), True)
    assert (second.rows, second.ends_episode) == (slice(lengths[0], lengths[0] + AT_GAP), False)
    assert (third.rows, third.part, third.ends_episode) == (slice(second.rows.stop, len(dataset)), 1, True)


def test_lerobot_rows(dataset: Dataset, lerobot: Path) -> None:
    table = pq.read_table(lerobot / "data/chunk-000/file-000.parquet")
    info = json.loads((lerobot / "meta/info.json").read_text())
    for name, feature in info["features"].items():
        if feature["dtype"] != "video":
            values = np.stack(table[name].to_numpy()).reshape(len(dataset), -1)
            assert values.shape[1] == feature["shape"][0], name
            assert feature["names"] is None or len(feature["names"]) == values.shape[1]
    state = np.stack(table["observation.state"].to_numpy())
    wanted = np.concatenate([dataset.arm_q, dataset.tcp_pose, dataset.hand_q], axis=1)
    np.testing.assert_array_equal(state, wanted.astype(np.float32))
    np.testing.assert_array_equal(np.stack(table["action"].to_numpy()), dataset.action.astype(np.float32))
    lengths = [run.length for run in runs(dataset)]
    np.testing.assert_array_equal(table["episode_index"], np.repeat([0, 1, 2], lengths))
    np.testing.assert_array_equal(table["frame_index"], np.concatenate([np.arange(n) for n in lengths]))
    np.testing.assert_allclose(table["timestamp"], table["frame_index"].to_numpy() / 25.0, atol=1e-6)
    np.testing.assert_array_equal(table["index"], np.arange(len(dataset)))
    done = np.flatnonzero(table["next.done"])
    assert done.tolist() == [lengths[0] - 1, len(dataset) - 1]  # the episode does not end at its gap
    assert np.flatnonzero(table["next.success"]).tolist() == [lengths[0] - 1]  # the second one fails


def test_lerobot_describes_itself(dataset: Dataset, lerobot: Path) -> None:
    info = json.loads((lerobot / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 25, "ur5_inspire_hand")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, len(dataset), 1)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["observation.images.front"]["shape"] == [PX, PX, 3]
    assert info["features"]["observation.environment_state"]["names"] == ["ball.x", "ball.y", "ball.z"]
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [e["dataset_from_index"] for e in episodes] == [run.rows.start for run in runs(dataset)]
    assert [e["tasks"] for e in episodes] == [["toy"]] * 3
    assert [e["dexpie/episode_id"] for e in episodes] == ["e0", "e1", "e1"]
    assert [e["dexpie/outcome"] for e in episodes] == ["success", "failure", "failure"]
    tasks = pq.read_table(lerobot / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert tasks.to_pydict() == {"task_index": [0], "task": ["toy"]}


def test_lerobot_statistics_are_those_of_the_data(dataset: Dataset, lerobot: Path) -> None:
    stats = json.loads((lerobot / "meta/stats.json").read_text())
    actions = dataset.action.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0))
    np.testing.assert_allclose(stats["action"]["q90"], np.quantile(actions, 0.9, axis=0))
    assert stats["action"]["count"] == [len(dataset)]
    pictures = dataset.frames["wrist"][:] / 255.0  # all of them: fewer than are sampled
    found = stats["observation.images.wrist"]
    np.testing.assert_allclose(np.squeeze(found["mean"]), pictures.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.squeeze(found["std"]), pictures.std(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.squeeze(found["max"]), pictures.max(axis=(0, 1, 2)))
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    np.testing.assert_allclose(episodes[2]["stats/action/max"], actions[runs(dataset)[2].rows].max(axis=0))


def test_lerobot_video_shows_the_frame_of_every_row(dataset: Dataset, lerobot: Path) -> None:
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for camera in ("front", "wrist"):
        key = f"observation.images.{camera}"
        shown = decoded(lerobot / f"videos/{key}/chunk-000/file-000.mp4")
        assert len(shown) == len(dataset)
        error = np.abs(shown.astype(int) - dataset.frames[camera][:].astype(int)).mean(axis=(1, 2, 3))
        assert error.max() < 2.0  # neighbours differ by 4 levels
        for episode, run in zip(episodes, runs(dataset), strict=True):
            first = episode[f"videos/{key}/from_timestamp"] * 25.0
            assert first == pytest.approx(run.rows.start)
            assert episode[f"videos/{key}/to_timestamp"] * 25.0 == pytest.approx(run.rows.stop)


def test_a_large_video_goes_on_in_another_file(tmp_path: Path) -> None:
    video = VideoFiles(tmp_path, "key", fps=25, limit_bytes=1)
    frames = smooth_images(60, 0)[:, :32, :32]  # more than the encoder looks ahead
    places = [video.add(frames), video.add(frames[:3])]
    video.close()
    assert [(place.file, place.first_frame) for place in places] == [(0, 0), (1, 0)]
    assert len(decoded(tmp_path / "videos/key/chunk-000/file-001.mp4")) == 3


def test_replay_buffer(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "replay.zarr"
    run_export(ExportOptions(dataset.path, "zarr", out))
    assert json.loads((out / ".zgroup").read_text()) == {"zarr_format": 2}
    group: Any = zarr.open_group(out, mode="r")
    assert group["meta/episode_ends"][:].tolist() == [run.rows.stop for run in runs(dataset)]
    assert group["meta/success"][:].tolist() == [True, False, False]
    assert {array.shape[0] for _, array in group["data"].arrays()} == {len(dataset)}
    np.testing.assert_array_equal(group["data/img"][:], dataset.frames["front"][:])
    six = group["data/action"][:, 3:9].reshape(-1, 2, 3)
    R = se3.rotation_from_6d(dataset.action[:, 3:9])
    np.testing.assert_allclose(six, R[:, :2, :], atol=1e-6)
    assert group["data/state"].shape == (len(dataset), 12)


def test_an_exported_replay_buffer_comes_back(dataset: Dataset, tmp_path: Path) -> None:
    run_export(ExportOptions(dataset.path, "zarr", tmp_path / "z"))
    run_import(ImportOptions((tmp_path / "z",), tmp_path / "back", "toy"))
    back = Dataset.open(tmp_path / "back")
    assert [e["episode_id"] for e in back.episodes] == ["e0", "e1-0", "e1-1"]
    assert back.meta["rate_hz"] == 25.0
    for name in ("arm_q", "tcp_pose", "hand_q", "action"):
        np.testing.assert_allclose(getattr(back, name), getattr(dataset, name), atol=1e-6)
    np.testing.assert_array_equal(back.stamp_ns, dataset.stamp_ns)
    np.testing.assert_array_equal(back.intervention, dataset.intervention)
    np.testing.assert_array_equal(back.frames["wrist"], dataset.frames["wrist"])


def test_a_dataset_without_images_is_exported(tmp_path: Path) -> None:
    blind = write_episodes(tmp_path / "blind", [Toy(path_m(True, 1))])
    run_export(ExportOptions(blind, "lerobot", tmp_path / "l"))
    assert json.loads((tmp_path / "l/meta/info.json").read_text())["video_path"] is None
    assert not (tmp_path / "l/videos").exists()
    run_export(ExportOptions(blind, "zarr", tmp_path / "z"))
    assert "img" not in zarr.open_group(tmp_path / "z", mode="r")["data"]


def test_nothing_is_left_of_an_export_that_fails(dataset: Dataset, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in dataset.path.rglob("*"):
        if file.is_file():
            (broken / file.relative_to(dataset.path)).parent.mkdir(exist_ok=True)
            (broken / file.relative_to(dataset.path)).write_bytes(file.read_bytes())
    meta = json.loads((broken / "dataset.json").read_text())
    (broken / "dataset.json").write_text(json.dumps({**meta, "rate_hz": 12.5}))
    with pytest.raises(UsageError, match="LeRobot wants whole frames a second"):
        run_export(ExportOptions(broken, "lerobot", tmp_path / "out"))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for format_ in ("lerobot", "zarr"):
        with pytest.raises(KeyboardInterrupt):
            run_export(ExportOptions(dataset.path, format_, tmp_path / "out"), stop)
    assert list(tmp_path.iterdir()) == [broken]
    with pytest.raises(UsageError, match="exists already"):
        run_export(ExportOptions(dataset.path, "zarr", broken))


def test_statistics_by_hand() -> None:
    stats = number_stats(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (stats["min"], stats["max"], stats["mean"], stats["q50"]) == ([1.0], [6.0], [3.0], [2.5])
    assert stats["std"] == pytest.approx([np.sqrt(3.5)])
    frames = np.zeros((2, 1, 2, 3), dtype=np.uint8)
    frames[1] = 255
    counts = ColourCounts.of(frames) + ColourCounts.of(frames)
    found = image_stats(counts)
    assert (found["mean"], found["count"]) == ([[[0.5]]] * 3, [4])
    assert (found["q10"], found["q90"], found["std"]) == ([[[0.0]]] * 3, [[[1.0]]] * 3, [[[0.5]]] * 3)
