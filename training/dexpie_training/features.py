"""Cached features of a frozen image encoder: DATASET/features/<encoder>.npy and its provenance beside it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.checkpoint import code_version
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_writer import NpyAppender
from dexpie_training.make_features import FeaturesOptions, FeaturesReport
from dexpie_training.models.image_encoder import (
    ImageEncoder,
    ImageEncoderName,
    load_r3m,
    random_resnet18,
)
from dexpie_training.serial import read_provenance, write_json

FORMAT: Final = "dexpie-features"
VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Features of all rows, memory-mapped: (N, cameras x 512) float32, cameras in the dataset's order."""

    file: Path
    rows: NDArray[np.float32]
    meta: dict[str, Any]

    @property
    def encoder_sha256(self) -> str:
        """Hash of the network's weights."""
        return str(self.meta["encoder_sha256"])

    @property
    def weights(self) -> Path | None:
        """File that the network's weights were read from, where they were."""
        return Path(self.meta["weights"]) if self.meta["weights"] else None

    @classmethod
    def open(cls, dataset: Dataset, encoder: str) -> Self:
        """Open them; UsageError where they are missing or belong to another dataset."""
        file = features_file(dataset.path, encoder)
        command = f"dexpie features {dataset.path} --encoder {encoder}"
        meta = read_provenance(file, FORMAT, VERSION, f"no such features; compute them with `{command}`")
        if meta.get("dataset_sha256") != dataset.content_hash:
            raise UsageError(f"{file}: features of another dataset; remove them and compute them again")
        try:
            rows = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DexpieError(f"{file}: cannot be read ({error})") from None
        if len(rows) != len(dataset):
            raise DexpieError(f"{file}: has {len(rows)} rows, the dataset {len(dataset)}")
        return cls(file, rows, meta)


def features_file(dataset: Path, encoder: str) -> Path:
    """Where the features of an encoder lie."""
    return dataset / "features" / f"{encoder}.npy"


def compute_features(options: FeaturesOptions, progress: Callable[[int, int], None]) -> FeaturesReport:
    """Compute and store, see FeaturesOptions; the JSON comes last, and features without it do not count."""
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    dataset = Dataset.open(options.dataset)
    file = features_file(dataset.path, options.encoder)
    if not dataset.frames:
        raise UsageError(f"{options.dataset}: has no images; record and convert with the cameras on")
    if file.with_suffix(".json").exists():
        raise UsageError(f"{file} exists already; remove it and {file.stem}.json to compute it again")
    encoder = pretrained(options.encoder, options.weights).to(_device(options.device))
    dim = encoder.feature_dim * len(dataset.frames)
    began = time.monotonic()
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        writer = NpyAppender(partial, (dim,), np.float32)
        for first in range(0, len(dataset), options.batch_size):
            writer.append(encode_rows(encoder, dataset, slice(first, first + options.batch_size)))
            progress(writer.rows, len(dataset))
        writer.close()
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    write_json(file.with_suffix(".json"), _describe(options, dataset, encoder, dim))
    images = len(dataset) * len(dataset.frames)
    return FeaturesReport(file, len(dataset), dim, images / max(time.monotonic() - began, 1e-9))


def _describe(options: FeaturesOptions, dataset: Dataset, encoder: ImageEncoder, dim: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "encoder": options.encoder,
        "encoder_sha256": encoder.sha256,
        "weights": str(options.weights.resolve()) if options.weights else "",
        "dataset_sha256": dataset.content_hash,
        "cameras": list(dataset.frames),
        "rows": len(dataset),
        "dim": dim,
        "code_version": code_version(),
    }


def pretrained(kind: ImageEncoderName, weights: Path | None) -> ImageEncoder:
    """The frozen network of a kind: r3m from a file, resnet18 of fixed seed."""
    if kind == "resnet18":
        return random_resnet18()
    if weights is None:
        raise UsageError("--weights is missing: the encoder r3m needs model.pt of r3m_18")
    return load_r3m(weights)


def encode_rows(encoder: ImageEncoder, dataset: Dataset, rows: slice) -> NDArray[np.float32]:
    """Features (n, cameras x 512) of rows."""
    device = encoder.mean.device
    parts = []
    for frames in dataset.frames.values():
        images = torch.from_numpy(np.array(frames[rows]))
        parts.append(encoder(images.to(device)).float().cpu().numpy())
    return np.concatenate(parts, axis=1)


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: there is none here; use --device cpu")
    has_cuda = torch.cuda.is_available() and wanted != "cpu"
    return torch.device("cuda" if has_cuda else "cpu")
