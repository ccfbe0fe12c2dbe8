"""Recordings as the authors' tools write them (facts: HDF5 of tele_UR, Zarr and NPY of its conversion)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from scipy.spatial.transform import Rotation

RATE_HZ = 30.0
START_NS = 5_000_000_000
AXIS = np.array([0.6, 0.0, 0.8])
IMAGE_PX = 16
LEAD_S = 0.1  # of the commands before the measured pose


@dataclass
class Recording:
    """T rows of an arm that moves at 0.3 m/s and turns at 1.2 rad/s, starting at 0.4 rad.

    The command of row t is the pose of a tenth of a second later; the image of row t is grey of level t.
    """

    rows: int = 40
    wrist: bool = True
    intervention: np.ndarray | None = None
    attributes: dict[str, Any] = field(
        default_factory=lambda: {"front_camera_fps": 30, "action_alignment_offset_frames": 0.0}
    )

    def __post_init__(self) -> None:
        t_s = np.arange(self.rows) / RATE_HZ
        self.positions_m = positions_m(t_s)
        hand = hand_commands(t_s)
        target = rotations(t_s + LEAD_S).as_matrix()
        joints = np.outer(t_s, np.arange(1.0, 7.0))
        self.state = np.concatenate([joints, self.positions_m, rotations(t_s).as_rotvec()], axis=1)
        six = target[:, :2, :].reshape(-1, 6)  # the first two rows of the matrix, one after the other
        self.action = np.concatenate([positions_m(t_s + LEAD_S), six, hand], axis=1)
        self.stamps_ns = START_NS + np.round(np.arange(self.rows) * 1e9 / RATE_HZ).astype(np.int64)
        self.images = np.broadcast_to(
            np.arange(self.rows, dtype=np.uint8)[:, None, None, None], (self.rows, IMAGE_PX, IMAGE_PX, 3)
        ).copy()

    def without(self, rows: list[int]) -> "Recording":
        """These frames were never recorded."""
        kept = np.setdiff1d(np.arange(self.rows), rows)
        for name in ("state", "action", "stamps_ns", "images", "positions_m"):
            setattr(self, name, getattr(self, name)[kept])
        self.rows = len(kept)
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """HDF5 datasets by name."""
        found = {"color": self.images, "env_qpos_proprioception": self.state, "action": self.action}
        if self.wrist:
            found["wrist_color"] = 255 - self.images
        if self.intervention is not None:
            found["intervention"] = self.intervention
        found["timestamps/t_anchor_ns"] = self.stamps_ns
        found["timestamps/sync_delta_arm_action_ms"] = np.full(self.rows, -4.5)
        return found


def positions_m(t_s: np.ndarray) -> np.ndarray:
    """TCP positions (T, 3): along x."""
    return np.stack([0.2 + 0.3 * t_s, np.full_like(t_s, -0.1), np.full_like(t_s, 0.25)], axis=1)


def rotations(t_s: np.ndarray) -> Rotation:
    """TCP rotations about a fixed axis; none is its own inverse."""
    return Rotation.from_rotvec((0.4 + 1.2 * t_s)[:, None] * AXIS)


def hand_commands(t_s: np.ndarray) -> np.ndarray:
    """Six hand commands (T, 6), a closing ramp."""
    return np.clip(1.0 - 0.25 * t_s, 0.0, 1.0)[:, None] * np.ones(6)


def write_hdf5(file: Path, recording: Recording, **changed: Any) -> Path:
    """One episode; `changed` replaces datasets (None leaves one out) and, after `at_`, attributes."""
    arrays = {**recording.arrays(), **{k: v for k, v in changed.items() if not k.startswith("at_")}}
    attributes = {
        **recording.attributes,
        **{k.removeprefix("at_"): v for k, v in changed.items() if k.startswith("at_")},
    }
    with h5py.File(file, "w") as data:
        for name, values in arrays.items():
            if values is not None:
                data[name] = values
        data.attrs.update({name: value for name, value in attributes.items() if value is not None})
    return file


def write_zarr(path: Path, recordings: list[Recording], success: list[bool], images_beside: bool) -> Path:
    """What the authors' conversion makes of HDF5 episodes: actions one row later, format 2."""
    group_path = path / "data.zarr" if images_beside else path
    group_path.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.open_group(group_path, mode="w", zarr_format=2)
    data, meta = group.create_group("data"), group.create_group("meta")
    columns = {
        "state": np.concatenate([r.state[:-1] for r in recordings]).astype(np.float32),
        "action": np.concatenate([r.action[1:] for r in recordings]).astype(np.float32),
        "img": np.concatenate([r.images[:-1] for r in recordings]),
        "wrist_img": np.concatenate([255 - r.images[:-1] for r in recordings]),
        "intervention": np.concatenate([_shifted_intervention(r) for r in recordings]),
    }
    for name, values in columns.items():
        if images_beside and name.endswith("img"):
            np.save(path / f"{name}.npy", values)
        else:
            data.create_array(name, data=values, chunks=(25, *values.shape[1:]))
    meta.create_array("episode_ends", data=np.cumsum([r.rows - 1 for r in recordings]))
    meta.create_array("success", data=np.array(success))
    group.attrs["recorded_action_offset_frames"] = 0.0
    group.attrs["action_index_offset_frames"] = 1
    group.attrs["action_offset_frames"] = 1
    return path


def _shifted_intervention(recording: Recording) -> np.ndarray:
    if recording.intervention is None:
        return np.ones(recording.rows - 1, dtype=bool)
    return recording.intervention[1:].astype(bool)
