"""Cached features of a frozen image encoder: DATASET/features/<encoder>.npy, and augmented views of them.

View k >= 1 is <encoder>.view<k>.npy: the same of pictures that were changed as training changes them. A JSON
with the provenance lies beside each file; what has none does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.dataset import Dataset
from dexpie_training.hashing import file_sha256
from dexpie_training.serial import read_provenance

FORMAT: Final = "dexpie-features"
VERSION: Final = 1
BLOCK_ROWS: Final = 4096
Ints = NDArray[np.int64]
Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Features of all rows, memory-mapped: (N, cameras x 512) float32, cameras in the dataset's order.

    views: of augmented views, each of the same shape.
    """

    file: Path
    rows: Features
    meta: dict[str, Any]
    views: tuple[Features, ...] = ()

    @property
    def encoder_sha256(self) -> str:
        """Hash of the network's weights."""
        return str(self.meta["encoder_sha256"])

    @property
    def weights(self) -> Path | None:
        """File that the network's weights were read from, where they were."""
        return Path(self.meta["weights"]) if self.meta["weights"] else None

    @classmethod
    def open(cls, dataset: Dataset, encoder: str, views: int = 0) -> Self:
        """Open them with so many views; UsageError where they are missing or belong to another dataset."""
        files = [features_file(dataset.path, encoder, view) for view in range(views + 1)]
        (rows, meta), *others = (_open(dataset, file, encoder, view) for view, file in enumerate(files))
        for file, (_, other) in zip(files[1:], others, strict=True):
            if other["encoder_sha256"] != meta["encoder_sha256"]:
                raise UsageError(
                    f"{file}: of another network than {files[0].name}; remove it and compute it again"
                )
        return cls(files[0], rows, meta, tuple(rows for rows, _ in others))

    def seen(self, rows: Ints, draw: np.random.Generator | None = None) -> Features:
        """Features (B, cameras x 512) of rows (B,).

        Those of the pictures as they are; with `draw`, of each row and camera those of one version at random,
        as they are or one of the views.
        """
        if draw is None or not self.views:
            return self.rows[rows]
        cameras = len(self.meta["cameras"])
        versions = [whole.reshape(len(whole), cameras, -1) for whole in (self.rows, *self.views)]
        chosen = draw.integers(len(versions), size=(len(rows), cameras))
        found = np.empty((*chosen.shape, versions[0].shape[2]), dtype=np.float32)
        for index, version in enumerate(versions):
            place, camera = np.nonzero(chosen == index)
            found[place, camera] = version[rows[place], camera]
        return found.reshape(len(rows), -1)


def features_file(dataset: Path, encoder: str, view: int = 0) -> Path:
    """Where the features of an encoder lie; 0: of the pictures as they are."""
    return dataset / "features" / (f"{encoder}.view{view}.npy" if view else f"{encoder}.npy")


def stored_views(dataset: Path, encoder: str) -> int:
    """How many augmented views there are."""
    return next(view for view in count() if not is_stored(dataset, encoder, view + 1))


def is_stored(dataset: Path, encoder: str, view: int) -> bool:
    """Whether the features of this view are whole."""
    return features_file(dataset, encoder, view).with_suffix(".json").is_file()


def describe_features(dataset: Dataset) -> str:
    """Which features there are, for a table of a dataset."""
    known = []
    for encoder in _encoders(dataset.path):
        try:
            features = FrozenFeatures.open(dataset, encoder, stored_views(dataset.path, encoder))
        except DexpieError as error:
            known.append(str(error))
            continue
        width, network = features.rows.shape[1], features.encoder_sha256[:12]
        known.append(f"{encoder}, {width} wide, {len(features.views)} augmented views, network {network}")
    return "; ".join(known) or "none"


def features_faults(dataset: Dataset) -> Iterator[str]:
    """What is wrong with the features in a dataset, one line each."""
    for encoder in _encoders(dataset.path):
        for view in range(stored_views(dataset.path, encoder) + 1):
            file = features_file(dataset.path, encoder, view)
            try:
                rows, meta = _open(dataset, file, encoder, view)
            except DexpieError as error:
                yield str(error)
                continue
            again = "remove it and compute it again"
            found = file_sha256(file).hex()
            if found != meta.get("sha256", found):
                yield f"{file}: is not the file that {file.stem}.json describes; {again}"
            blocks = (rows[first : first + BLOCK_ROWS] for first in range(0, len(rows), BLOCK_ROWS))
            if not all(np.isfinite(block).all() for block in blocks):
                yield f"{file}: has values that are not finite; {again}"


def _encoders(dataset: Path) -> list[str]:
    return sorted({file.name.split(".")[0] for file in (dataset / "features").glob("*.json")})


def _open(dataset: Dataset, file: Path, encoder: str, view: int) -> tuple[Features, dict[str, Any]]:
    command = f"dexpie features {dataset.path} --encoder {encoder}" + (f" --views {view}" if view else "")
    meta = read_provenance(file, FORMAT, VERSION, f"no such features; compute them with `{command}`")
    if meta.get("dataset_sha256") != dataset.content_hash:
        raise UsageError(f"{file}: features of another dataset; remove them and compute them again")
    try:
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DexpieError(f"{file}: cannot be read ({error})") from None
    if len(rows) != len(dataset):
        raise DexpieError(f"{file}: has {len(rows)} rows, the dataset {len(dataset)}")
    return rows, meta
