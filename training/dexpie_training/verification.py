"""`dexpie inspect --verify`: what is wrong with a dataset or a bag, one line each."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError
from dexpie_training import schema
from dexpie_training.alignment import AlignmentConfig
from dexpie_training.convert_bag import BagTask, convert_bag
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import features_faults
from dexpie_training.hashing import content_hash
from dexpie_training.parts import read_part

BLOCK_ROWS = 64


def verify_dataset(path: Path) -> list[str]:
    """Hash, shapes, finite numbers, stamps that ascend, rotations, frames that hold a picture."""
    try:
        dataset = Dataset.open(path)
    except DexpieError as error:
        return [str(error)]
    return [*(f"{path}: {what}" for what in _faults(dataset)), *features_faults(dataset)]


def verify_bag(bag: Path) -> list[str]:
    """Everything that a conversion would find broken, with all pictures of its rows decoded."""
    with tempfile.TemporaryDirectory(prefix="dexpie-verify-") as folder:
        task = BagTask(str(bag), folder, AlignmentConfig(), {}, "verify")
        record = read_part(convert_bag(task)).record
    left_out = [e for e in record.left_out if e["reason"] in ("without a start", "without an end")]
    return [
        *record.damage,
        *(f"{bag}: episode {e['episode_id']}: {e['reason']}: {e['detail']}" for e in left_out),
    ]


def _faults(dataset: Dataset) -> Iterator[str]:
    if content_hash(dataset.path) != dataset.content_hash:
        yield f"its files are not those that were converted: content_sha256 in {schema.META_FILE} differs"
    yield from _shapes(dataset)
    for index, episode in enumerate(dataset.episodes):
        name, rows = f"episode {episode['episode_id']}", dataset.episode_rows(index)
        back = np.flatnonzero(np.diff(dataset.stamp_ns[rows]) <= 0)
        if len(back):
            row = rows.start + int(back[0]) + 1
            yield f"{name}: stamp_ns does not ascend at row {row} ({dataset.stamp_ns[row]} ns)"
    for column in ("tcp_pose", "action"):
        wrong = _no_rotation(getattr(dataset, column))
        if len(wrong):
            yield f"column {column}: the rotation of row {wrong[0]} is none ({len(wrong)} rows)"
    if dataset.state is not None:
        for first in range(0, len(dataset), BLOCK_ROWS):
            if not np.isfinite(dataset.state[first : first + BLOCK_ROWS]).all():
                yield f"{schema.STATE_FEATURES}: rows from {first} on are not finite"
                break
    for camera, frames in dataset.frames.items():
        yield from _blank(camera, frames)


def _shapes(dataset: Dataset) -> Iterator[str]:
    size = dataset.meta.get("image_size_px", schema.IMAGE_SIZE_PX)
    for camera, frames in dataset.frames.items():
        if frames.shape[1:] != (size, size, 3) or frames.dtype != np.uint8:
            yield f"{schema.frames_file(camera)}: is {frames.dtype} {frames.shape}, not uint8 of {size} px"
    if dataset.state is not None and dataset.state.shape[1] != len(dataset.meta["state_names"]):
        names = len(dataset.meta["state_names"])
        yield f"{schema.STATE_FEATURES}: {dataset.state.shape[1]} columns, {names} names"


def _no_rotation(poses: NDArray[np.float64]) -> NDArray[np.int64]:
    a, b = poses[:, 3:6], poses[:, 6:9]
    lengths = np.stack([np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)], axis=1)
    square = np.abs((a * b).sum(axis=1))
    return np.flatnonzero((np.abs(lengths - 1) > 1e-3).any(axis=1) | (square > 1e-3))


def _blank(camera: str, frames: NDArray[Any]) -> Iterator[str]:
    """Frames that were never written: all zero. Read in blocks, so that memory stays small."""
    blank = 0
    first_blank = -1
    for first in range(0, len(frames), BLOCK_ROWS):
        block = frames[first : first + BLOCK_ROWS]
        empty = np.flatnonzero(~block.reshape(len(block), -1).any(axis=1))
        if len(empty) and first_blank < 0:
            first_blank = first + int(empty[0])
        blank += len(empty)
    if blank:
        yield f"{schema.frames_file(camera)}: {blank} frames are black, the first is row {first_blank}"
