"""Computes features of a frozen image encoder, of pictures as they are and of augmented views."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import code_version
from dexpie_training.config import AugmentationConfig
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import FORMAT, VERSION, FrozenFeatures, features_file, is_stored
from dexpie_training.hashing import file_sha256
from dexpie_training.make_features import FeaturesOptions, FeaturesReport
from dexpie_training.models.augmentation import DRAWS, Augmentation
from dexpie_training.models.image_encoder import (
    ImageEncoder,
    ImageEncoderName,
    load_r3m,
    random_resnet18,
)
from dexpie_training.npy_appender import NpyAppender
from dexpie_training.serial import write_json


def compute_features(options: FeaturesOptions, progress: Callable[[int, int], None]) -> FeaturesReport:
    """Compute and store what is missing, see FeaturesOptions.

    A view at a time; its JSON comes last, and features without it do not count.
    """
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    dataset = Dataset.open(options.dataset)
    if not dataset.frames:
        raise UsageError(f"{options.dataset}: has no images; record and convert with the cameras on")
    views = range(options.views + 1)
    missing = [view for view in views if not is_stored(dataset.path, options.encoder, view)]
    file = features_file(dataset.path, options.encoder)
    if not missing:
        raise UsageError(f"{file} exists already; remove it and {file.stem}.json to compute it again")
    encoder = pretrained(options.encoder, options.weights).to(_device(options.device))
    _check_same_network(dataset, options, encoder, set(views) - set(missing))
    began = time.monotonic()
    for done, view in enumerate(missing):
        for rows in _store(options, dataset, encoder, view):
            progress(done * len(dataset) + rows, len(missing) * len(dataset))
    images = len(missing) * len(dataset) * len(dataset.frames)
    per_s = images / max(time.monotonic() - began, 1e-9)
    dim = encoder.feature_dim * len(dataset.frames)
    return FeaturesReport(file, len(dataset), dim, options.views, len(missing), per_s)


def _check_same_network(
    dataset: Dataset, options: FeaturesOptions, encoder: ImageEncoder, stored: set[int]
) -> None:
    if 0 in stored and FrozenFeatures.open(dataset, options.encoder).encoder_sha256 != encoder.sha256:
        file = features_file(dataset.path, options.encoder)
        raise UsageError(
            f"--weights {options.weights}: not the network behind {file}, whose views are asked for"
        )


def _store(options: FeaturesOptions, dataset: Dataset, encoder: ImageEncoder, view: int) -> Iterator[int]:
    """One view, whole or not at all; 0: the pictures as they are. Yields the rows that are done."""
    file = features_file(dataset.path, options.encoder, view)
    partial_file = file.with_name(f".{file.name}.partial-{os.getpid()}")
    augmentation = AugmentationConfig() if view else None
    change = Augmentation(augmentation) if augmentation else None
    try:
        writer = NpyAppender(partial_file, (encoder.feature_dim * len(dataset.frames),), np.float32)
        for first in range(0, len(dataset), options.batch_size):
            rows = slice(first, min(first + options.batch_size, len(dataset)))
            writer.append(encode_rows(encoder, dataset, rows, change, view))
            yield writer.rows
        writer.close()
        os.replace(partial_file, file)
    finally:
        partial_file.unlink(missing_ok=True)
    changed = {"view": view, "augmentation": asdict(augmentation)} if augmentation else {}
    write_json(file.with_suffix(".json"), _describe(options, dataset, encoder, file) | changed)


def _describe(
    options: FeaturesOptions, dataset: Dataset, encoder: ImageEncoder, file: Path
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "encoder": options.encoder,
        "encoder_sha256": encoder.sha256,
        "weights": str(options.weights.resolve()) if options.weights else "",
        "dataset_sha256": dataset.content_hash,
        "cameras": list(dataset.frames),
        "rows": len(dataset),
        "dim": encoder.feature_dim * len(dataset.frames),
        "sha256": file_sha256(file).hex(),
        "code_version": code_version(),
    }


def pretrained(kind: ImageEncoderName, weights: Path | None) -> ImageEncoder:
    """The frozen network of a kind: r3m from a file, resnet18 of fixed seed."""
    if kind == "resnet18":
        return random_resnet18()
    if weights is None:
        raise UsageError("--weights is missing: the encoder r3m needs model.pt of r3m_18")
    return load_r3m(weights)


def encode_rows(
    encoder: ImageEncoder,
    dataset: Dataset,
    rows: slice,
    augmentation: Augmentation | None = None,
    view: int = 0,
) -> NDArray[np.float32]:
    """Features (n, cameras x 512) of rows; with an augmentation, of a view of their pictures."""
    device = encoder.mean.device
    parts = []
    for camera, frames in enumerate(dataset.frames.values()):
        images = torch.from_numpy(np.array(frames[rows]))
        change = None
        if augmentation is not None:
            change = partial(augmentation, draws=view_draws(view, camera, rows).to(device))
        parts.append(encoder(images.to(device), change).float().cpu().numpy())
    return np.concatenate(parts, axis=1)


def view_draws(view: int, camera: int, rows: slice) -> Tensor:
    """What changes a view's pictures, (n, DRAWS), in -1..1: of each row the same in any batch."""
    stream = np.random.PCG64((view, camera)).advance(DRAWS * rows.start)
    drawn = np.random.Generator(stream).random((rows.stop - rows.start, DRAWS))  # a step of the stream each
    return torch.from_numpy((2.0 * drawn - 1.0).astype(np.float32))


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: there is none here; use --device cpu")
    has_cuda = torch.cuda.is_available() and wanted != "cpu"
    return torch.device("cuda" if has_cuda else "cpu")
