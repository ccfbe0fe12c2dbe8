"""Datasets as the Zarr replay buffer of diffusion_policy: data/<name> (N, ...), meta/episode_ends (E,).

Names and contents are those of the authors' tools: img, wrist_img, state (joint angles, TCP xyz and rotation
vector), action (target xyz, the first two ROWS of the rotation, hand), intervention, success. Zarr format 2,
which version 2 of the library reads too. hand_q and stamp_ns are added; `dexpie import` reads them back.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numcodecs import Blosc

from dexpie_core import se3
from dexpie_core.errors import DexpieError
from dexpie_training.dataset import Dataset, Floats
from dexpie_training.export_data import ExportOptions, ExportReport, Progress
from dexpie_training.export_runs import Run, described, folder_bytes, remarks, runs, whole_folder

ARRAY_OF_CAMERA: Final = {"front": "img", "wrist": "wrist_img"}
CHUNK_ROWS: Final = 500
CHUNK_IMAGES: Final = 32


def export(options: ExportOptions, progress: Progress) -> ExportReport:
    """Write, see ExportOptions."""
    dataset = Dataset.open(options.dataset)
    found = runs(dataset)
    with whole_folder(options.out) as folder:
        group = zarr.open_group(folder, mode="w", zarr_format=2)
        _write_numbers(group, dataset, found)
        _write_images(group, dataset, found, progress)
        _check(folder, dataset)
        size = folder_bytes(folder)
    return ExportReport(options.out, len(found), len(dataset), size, remarks(dataset, found))


def state(dataset: Dataset) -> Floats:
    """The authors' robot state (N, 12): joint angles [rad], TCP xyz [m] and rotation vector [rad]."""
    rotation = se3.rotation_from_6d(dataset.tcp_pose[:, 3:9])
    turned = se3.rotvec_from_rotation(rotation)
    return np.concatenate([dataset.arm_q, dataset.tcp_pose[:, :3], turned], axis=1)


def action(dataset: Dataset) -> Floats:
    """Actions (N, 15) whose six rotation numbers are the first two rows of the matrix."""
    rotation = se3.rotation_from_6d(dataset.action[:, 3:9])
    rows = rotation[:, :2, :].reshape(-1, 6)
    return np.concatenate([dataset.action[:, :3], rows, dataset.action[:, 9:]], axis=1)


def _write_numbers(group: Any, dataset: Dataset, found: list[Run]) -> None:
    data, meta = group.create_group("data"), group.create_group("meta")
    columns: dict[str, Any] = {
        "state": state(dataset).astype(np.float32),
        "action": action(dataset).astype(np.float32),
        "hand_q": dataset.hand_q.astype(np.float32),
        "intervention": dataset.intervention,
        "stamp_ns": dataset.stamp_ns,
    }
    if dataset.state is not None:
        columns["scene_state"] = np.asarray(dataset.state)
    for name, values in columns.items():
        rows = min(CHUNK_ROWS, len(values))
        data.create_array(name, data=values, chunks=(rows, *values.shape[1:]), compressors=_compressor())
    told = [described(dataset, run) for run in found]
    meta.create_array("episode_ends", data=np.cumsum([run.length for run in found]).astype(np.int64))
    meta.create_array("success", data=np.array([episode["outcome"] == "success" for episode in told]))
    offset = dataset.meta["alignment"]["action_offset_rows"]
    group.attrs.update(
        {
            "recorded_action_offset_frames": float(offset),
            "action_index_offset_frames": 0,
            "action_offset_frames": offset,
            "rate_hz": float(dataset.meta["rate_hz"]),
            "rotation_6d": "rows",
            "scene_state_names": dataset.meta["state_names"],
            "episode_ids": [_name(episode) for episode in told],
            "episodes": told,
            "dataset_sha256": dataset.content_hash,
        }
    )


def _name(episode: dict[str, Any]) -> str:
    return f"{episode['episode_id']}-{episode['part']}" if episode["parts"] > 1 else episode["episode_id"]


def _write_images(group: Any, dataset: Dataset, found: list[Run], progress: Progress) -> None:
    arrays = {
        camera: group["data"].create_array(
            ARRAY_OF_CAMERA.get(camera, camera),
            shape=frames.shape,
            dtype=frames.dtype,
            chunks=(min(CHUNK_IMAGES, len(frames)), *frames.shape[1:]),
            compressors=_compressor(),
        )
        for camera, frames in dataset.frames.items()
    }
    for done, run in enumerate(found):
        for camera, array in arrays.items():
            array[run.rows] = dataset.frames[camera][run.rows]
        progress(done + 1, len(found))


def _compressor() -> Blosc:
    return Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)


def _check(folder: Path, dataset: Dataset) -> None:
    group: Any = zarr.open_group(folder, mode="r")
    lengths = {name: array.shape[0] for name, array in group["data"].arrays()}
    if set(lengths.values()) != {len(dataset)} or group["meta/episode_ends"][-1] != len(dataset):
        raise DexpieError(f"{folder}: was not written whole, {len(dataset)} rows are wanted of {lengths}")
