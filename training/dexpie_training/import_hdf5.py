"""Reads HDF5 episodes of the authors' recorder (tele_UR), one file an episode."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError
from dexpie_training.import_rows import STATE_DIM, ImageRows, SourceEpisode
from dexpie_training.import_sources import SourceFile, check_images, checked_shape, whole_images

SUFFIXES: Final = (".h5", ".hdf5")
CAMERAS: Final = {"front": "color", "wrist": "wrist_color"}
STAMPS: Final = "timestamps/t_anchor_ns"
ERROR_NAME: Final = re.compile("sync_delta_(.+)_ms")


def scan(file: Path, source_rate_hz: float) -> SourceFile:
    """Look at a file without reading its rows; DexpieError where a field is missing or has a wrong shape."""
    with _opened(file) as data:
        action = checked_shape(file, data, "action", (15,))
        checked_shape(file, data, "env_qpos_proprioception", (STATE_DIM,), action)
        cameras = [camera for camera, name in CAMERAS.items() if name in data]
        if "front" not in cameras:
            raise DexpieError(f"{file}: dataset color is missing; the front images are needed")
        for camera in cameras:
            check_images(file, CAMERAS[camera], data[CAMERAS[camera]], action)
        for name in ("intervention", STAMPS):
            if name in data:
                checked_shape(file, data, name, (), action)
        return SourceFile(
            path=file,
            episodes=1,
            rate_hz=float(_scalar(file, data, "front_camera_fps", source_rate_hz)),
            recorded_offset_rows=float(_scalar(file, data, "action_alignment_offset_frames", 0.0)),
            default_shift_rows=1,
            cameras=tuple(cameras),
            remarks=(),
        )


def read(source: SourceFile) -> Iterator[SourceEpisode]:
    """The file's episode; its images can be read until the next one is asked for."""
    file = source.path
    with _opened(file) as data:
        yield SourceEpisode(
            where=str(file),
            episode_id=file.stem,
            success=bool(_scalar(file, data, "success", True)),
            rate_hz=source.rate_hz,
            state=np.asarray(data["env_qpos_proprioception"][:], dtype=np.float64),
            action=np.asarray(data["action"][:], dtype=np.float64),
            intervention=np.asarray(data["intervention"][:], dtype=bool) if "intervention" in data else None,
            stamps_ns=_stamps(data),
            cameras={camera: _images(data[CAMERAS[camera]]) for camera in source.cameras},
            worst_error_ms=_errors(data),
        )


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import h5py

    try:
        handle = h5py.File(file, "r")
    except OSError as error:
        raise DexpieError(f"{file}: is no readable HDF5 file ({str(error).splitlines()[0]})") from None
    with handle:
        yield handle


def _scalar(file: Path, data: Any, name: str, default: Any) -> Any:
    value = np.asarray(data.attrs.get(name, default))
    if value.size != 1 or value.dtype.kind not in "biuf":
        raise DexpieError(f"{file}: attribute {name} is no number")
    return value.reshape(-1)[0]


def _stamps(data: Any) -> NDArray[np.int64] | None:
    """Times of the front images; the recorder writes -1 where it has none."""
    if STAMPS not in data:
        return None
    stamps = np.asarray(data[STAMPS][:], dtype=np.int64)
    return stamps if np.all(stamps >= 0) else None


def _errors(data: Any) -> dict[str, float]:
    """The largest distance of every stream from its anchor, as the recorder measured it."""
    group = data.get("timestamps")
    found = {}
    for name in group if isinstance(group, Mapping) else ():
        stream = ERROR_NAME.fullmatch(name)
        values = np.abs(np.asarray(group[name][:], dtype=np.float64)) if stream else np.zeros(0)
        if stream and np.isfinite(values).any():
            found[stream[1]] = float(np.nanmax(values))
    return found


def _images(dataset: Any) -> ImageRows:
    return ImageRows(lambda first, last: whole_images(dataset[first:last]))
