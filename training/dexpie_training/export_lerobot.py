"""Datasets in LeRobot's format 3.0: meta/, data/*.parquet, videos/<camera>/*.mp4.

Rows of many episodes lie in one file; meta/episodes tells where each begins. Pictures are H.264, with loss.
Rotations stay ours: TCP poses are xyz and the first two columns of the rotation matrix.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dexpie_core import ur5
from dexpie_core.action_space import HAND_CHANNELS
from dexpie_core.errors import UsageError
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_writer import table_of
from dexpie_training.export_data import ExportOptions, ExportReport, Progress
from dexpie_training.export_runs import Run, described, folder_bytes, remarks, runs, whole_folder
from dexpie_training.export_stats import ColourCounts, image_stats, number_stats
from dexpie_training.export_video import VideoFiles, VideoPlace

CODEBASE_VERSION: Final = "v3.0"
FILES_IN_CHUNK: Final = 1000
DATA_FILE: Final = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_FILE: Final = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_FILE: Final = "meta/episodes/chunk-000/file-000.parquet"
POSE_NAMES: Final = ("x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32")
NUMBERS: Final = {
    "intervention": "bool",
    "next.done": "bool",
    "next.success": "bool",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def export(options: ExportOptions, progress: Progress) -> ExportReport:
    """Write, see ExportOptions."""
    dataset = Dataset.open(options.dataset)
    rate_hz = float(dataset.meta["rate_hz"])
    if not rate_hz.is_integer():
        raise UsageError(
            f"{options.dataset}: its rate is {rate_hz:g} Hz; LeRobot wants whole frames a second"
        )
    found = runs(dataset)
    with whole_folder(options.out) as folder:
        _Export(folder, dataset, found, int(rate_hz)).write(progress)
        size = folder_bytes(folder)
    return ExportReport(options.out, len(found), len(dataset), size, remarks(dataset, found))


def columns(dataset: Dataset) -> dict[str, np.ndarray[Any, Any]]:
    """Vectors (N, k) by their names in the format."""
    measured = np.concatenate([dataset.arm_q, dataset.tcp_pose, dataset.hand_q], axis=1)
    found: dict[str, np.ndarray[Any, Any]] = {
        "observation.state": measured.astype(np.float32),
        "action": dataset.action.astype(np.float32),
    }
    if dataset.state is not None:
        found["observation.environment_state"] = np.asarray(dataset.state, dtype=np.float32)
    return found


def features(dataset: Dataset, fps: int) -> dict[str, dict[str, Any]]:
    """What info.json says of every column and camera."""
    pose = [f"tcp.{name}" for name in POSE_NAMES]
    hand = [f"hand.{name}" for name in HAND_CHANNELS]
    found: dict[str, dict[str, Any]] = {
        "observation.state": _vector([*ur5.JOINT_NAMES, *pose, *hand]),
        "action": _vector([*pose, *hand]),
    }
    if dataset.state is not None:
        found["observation.environment_state"] = _vector(dataset.meta["state_names"])
    for camera, frames in dataset.frames.items():
        height, width = frames.shape[1:3]
        found[video_key(camera)] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.channels": 3,
                "video.fps": fps,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "has_audio": False,
            },
        }
    for name, kind in NUMBERS.items():
        found[name] = {"dtype": kind, "shape": [1], "names": None}
    return found


def video_key(camera: str) -> str:
    """Name of a camera in the format."""
    return f"observation.images.{camera}"


def _vector(names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


class _Export:
    """Writes one run after the other and remembers where each lies."""

    def __init__(self, folder: Path, dataset: Dataset, found: list[Run], fps: int) -> None:
        self._folder, self._dataset, self._runs, self._fps = folder, dataset, found, fps
        self._columns = columns(dataset)
        self._tasks = sorted({str(episode["task"]) for episode in dataset.episodes})
        self._colours = {camera: ColourCounts() for camera in dataset.frames}
        self._episodes: list[dict[str, Any]] = []

    def write(self, progress: Progress) -> None:
        videos = {camera: VideoFiles(self._folder, video_key(camera), self._fps) for camera in self._colours}
        data_file = self._folder / DATA_FILE.format(chunk_index=0, file_index=0)
        data_file.parent.mkdir(parents=True)
        schema = self._schema()
        try:
            with pq.ParquetWriter(data_file, schema) as writer:
                for index, run in enumerate(self._runs):
                    rows = self._rows(index, run)
                    writer.write_table(table_of(rows, schema))
                    self._episodes.append(self._episode(index, run, rows, videos))
                    progress(index + 1, len(self._runs))
        finally:
            for video in videos.values():
                video.close()
        self._write_meta()

    def _schema(self) -> pa.Schema:
        fields = []
        for name, feature in features(self._dataset, self._fps).items():
            if feature["dtype"] != "video":
                kind, length = pa.type_for_alias(feature["dtype"]), feature["shape"][0]
                fields.append((name, pa.list_(kind, length) if name in self._columns else kind))
        return pa.schema(fields)

    def _rows(self, index: int, run: Run) -> dict[str, np.ndarray[Any, Any]]:
        count = run.length
        task = str(self._dataset.episodes[run.episode]["task"])
        last = np.arange(count) == count - 1
        success = self._dataset.episodes[run.episode]["outcome"] == "success"
        return {
            **{name: values[run.rows] for name, values in self._columns.items()},
            "intervention": self._dataset.intervention[run.rows],
            "next.done": last & run.ends_episode,
            "next.success": last & run.ends_episode & success,
            "timestamp": (np.arange(count) / self._fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, index),
            "index": np.arange(run.rows.start, run.rows.stop),
            "task_index": np.full(count, self._tasks.index(task)),
        }

    def _episode(
        self, index: int, run: Run, rows: dict[str, np.ndarray[Any, Any]], videos: dict[str, VideoFiles]
    ) -> dict[str, Any]:
        told = described(self._dataset, run)
        row: dict[str, Any] = {
            "episode_index": index,
            "tasks": [told["task"]],
            "length": run.length,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": run.rows.start,
            "dataset_to_index": run.rows.stop,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            **{f"dexpie/{name}": value for name, value in told.items()},
        }
        for camera, video in videos.items():
            frames = self._dataset.frames[camera][run.rows]
            row |= _place(video_key(camera), video.add(frames), self._fps, run.length)
            counts = ColourCounts.of(frames)
            self._colours[camera] += counts
            row |= _flat(f"stats/{video_key(camera)}", image_stats(counts))
        for name, values in rows.items():
            row |= _flat(f"stats/{name}", number_stats(values))
        return row

    def _write_meta(self) -> None:
        file = self._folder / EPISODES_FILE
        file.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), file)
        pq.write_table(_task_table(self._tasks), self._folder / "meta/tasks.parquet")
        parts = [self._rows(index, run) for index, run in enumerate(self._runs)]
        stats = {name: number_stats(np.concatenate([p[name] for p in parts])) for name in parts[0]}
        for camera, counts in self._colours.items():
            stats[video_key(camera)] = image_stats(counts)
        info = {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": "ur5_inspire_hand",
            "total_episodes": len(self._runs),
            "total_frames": len(self._dataset),
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_IN_CHUNK,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._runs)}"},
            "data_path": DATA_FILE,
            "video_path": VIDEO_FILE if self._colours else None,
            "features": features(self._dataset, self._fps),
        }
        for name, content in (("stats", stats), ("info", info)):
            (self._folder / f"meta/{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def _place(key: str, place: VideoPlace, fps: int, length: int) -> dict[str, Any]:
    return {
        f"videos/{key}/chunk_index": place.file // FILES_IN_CHUNK,
        f"videos/{key}/file_index": place.file % FILES_IN_CHUNK,
        f"videos/{key}/from_timestamp": place.first_frame / fps,
        f"videos/{key}/to_timestamp": (place.first_frame + length) / fps,
    }


def _flat(prefix: str, stats: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in stats.items()}


def _task_table(tasks: list[str]) -> pa.Table:
    """Tasks as pandas writes a frame whose index they are: so the format's reader looks them up."""
    index = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"}
    column = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    told = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**part, "metadata": None} for part in (column, index)],
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": tasks})
    return table.replace_schema_metadata({"pandas": json.dumps(told)})
