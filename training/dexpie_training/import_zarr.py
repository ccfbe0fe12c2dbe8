"""Reads Zarr datasets in the layout of diffusion_policy's replay buffer, as the authors' tools write them.

Either all arrays lie in the group, or the images lie beside it: FOLDER/data.zarr, FOLDER/img.npy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError
from dexpie_training.import_rows import STATE_DIM, ImageRows, SourceEpisode
from dexpie_training.import_sources import Images, SourceFile, check_images, checked_shape, whole_images

GROUP_BESIDE_IMAGES: Final = "data.zarr"
CAMERAS: Final = {"front": "img", "wrist": "wrist_img"}
MARKERS: Final = (".zgroup", "zarr.json")
OPTIONAL: Final[dict[str, tuple[int, ...]]] = {"intervention": (), "hand_q": (6,), "stamp_ns": ()}


def is_zarr(path: Path) -> bool:
    """Whether a path is a Zarr group, or a folder with one and images beside it."""
    is_group = any((path / marker).is_file() for marker in MARKERS)
    return is_group or path.name.endswith(".zarr.zip") or (path / GROUP_BESIDE_IMAGES).is_dir()


def scan(path: Path, source_rate_hz: float) -> SourceFile:
    """Look at a dataset without reading its rows; DexpieError where a field is missing or misshapen."""
    group = _Group.open(path)
    data = group.data
    rows = checked_shape(path, data, "action", (15,))
    checked_shape(path, data, "state", (STATE_DIM,), rows)
    for name, row_shape in OPTIONAL.items():
        if name in data:
            checked_shape(path, data, name, row_shape, rows)
    if "front" not in group.images:
        raise DexpieError(f"{path}: dataset img is missing; the front images are needed")
    for camera, array in group.images.items():
        check_images(path, CAMERAS[camera], array, rows)
    attributes = group.attributes
    return SourceFile(
        path=path,
        episodes=len(group.ends(rows)),
        rate_hz=_number(path, attributes, "rate_hz", source_rate_hz),
        recorded_offset_rows=_number(path, attributes, "action_offset_frames", 0.0),
        default_shift_rows=0,
        cameras=tuple(group.images),
        remarks=(f"{path}: advantage is not taken over; `dexpie label` makes labels",)
        if "advantage" in data
        else (),
    )


def read(source: SourceFile) -> Iterator[SourceEpisode]:
    """The episodes of a dataset, one after the other."""
    group = _Group.open(source.path)
    ends = group.ends(int(group.data["action"].shape[0]))
    successes, names = group.successes(len(ends)), group.names(len(ends))
    for index, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rows = slice(first, last)

        def optional(name: str, dtype: Any, rows: slice = rows) -> NDArray[Any] | None:
            return np.asarray(group.data[name][rows], dtype=dtype) if name in group.data else None

        yield SourceEpisode(
            where=f"{source.path}: episode {index}",
            episode_id=names[index],
            success=successes[index],
            rate_hz=source.rate_hz,
            state=np.asarray(group.data["state"][rows], dtype=np.float64),
            action=np.asarray(group.data["action"][rows], dtype=np.float64),
            intervention=optional("intervention", bool),
            stamps_ns=optional("stamp_ns", np.int64),
            hand_q=optional("hand_q", np.float64),
            cameras={camera: _images(array, first) for camera, array in group.images.items()},
        )


@dataclass(frozen=True, eq=False)
class _Group:
    path: Path
    data: Any
    meta: Any
    attributes: dict[str, Any]
    images: dict[str, Any]  # camera -> array (N, H, W, 3) on disk

    @classmethod
    def open(cls, path: Path) -> "_Group":
        import zarr

        beside = (path / GROUP_BESIDE_IMAGES).is_dir()
        try:
            store: Any = path / GROUP_BESIDE_IMAGES if beside else path
            if path.suffix == ".zip":
                store = zarr.storage.ZipStore(path, mode="r")
            root = zarr.open_group(store, mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise DexpieError(f"{path}: is no readable Zarr group ({error})") from None
        for name in ("data", "meta"):
            if name not in root:
                raise DexpieError(f"{path}: group {name} is missing")
        data: Any = root["data"]
        meta: Any = root["meta"]
        found: dict[str, Any] = {}
        for camera, name in CAMERAS.items():
            file = path / f"{name}.npy"
            if beside and file.is_file():
                found[camera] = _memory_map(file)
            elif name in data:
                found[camera] = data[name]
        return cls(path, data, meta, dict(root.attrs), found)

    def ends(self, rows: int) -> list[int]:
        """First row after every episode."""
        checked_shape(self.path, self.meta, "episode_ends", ())
        ends = np.asarray(self.meta["episode_ends"][:], dtype=np.int64)
        if len(ends) == 0 or ends[0] < 1 or np.any(np.diff(ends) < 1) or ends[-1] != rows:
            raise DexpieError(f"{self.path}: meta/episode_ends does not part its {rows} rows into episodes")
        return [int(end) for end in ends]

    def successes(self, episodes: int) -> list[bool]:
        """How every episode ended; demonstrations of old files do not say, and are successes."""
        if "success" not in self.meta:
            return [True] * episodes
        checked_shape(self.path, self.meta, "success", (), episodes)
        return [bool(value) for value in self.meta["success"][:]]

    def names(self, episodes: int) -> list[str]:
        """Episode ids: those that `dexpie export` stored, or numbered ones."""
        stored = self.attributes.get("episode_ids")
        if isinstance(stored, list) and len(stored) == episodes:
            return [str(name) for name in stored]
        name = self.path.name.removesuffix(".zip").removesuffix(".zarr")
        return [f"{name}-{index:04d}" for index in range(episodes)]


def _memory_map(file: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DexpieError(f"{file}: cannot be read ({error})") from None
    return array


def _number(path: Path, attributes: dict[str, Any], name: str, default: float) -> float:
    value = attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DexpieError(f"{path}: attribute {name} is {value!r}, a number is wanted")
    return float(value)


def _images(array: Any, offset: int) -> ImageRows:
    def read_rows(first: int, last: int) -> Images:
        return whole_images(array[offset + first : offset + last])

    chunk_rows = int(getattr(array, "chunks", (0,))[0])
    return ImageRows(read_rows, max(chunk_rows, ImageRows.block_rows))
