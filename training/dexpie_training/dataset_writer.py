"""Writes a dataset folder row by row into a temporary folder, and puts it in place whole."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training import schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset import Dataset


class NpyAppender:
    """A .npy file that grows: rows of one shape and type, memory-mappable once closed."""

    _HEADER_BYTES = 128

    def __init__(self, file: Path, row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._row_shape, self._dtype, self.rows = row_shape, np.dtype(dtype), 0
        self._handle = file.open("wb")
        self._handle.write(bytes(self._HEADER_BYTES))

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, *row_shape)."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows have shape {rows.shape[1:]}, the file {self._row_shape}")
        self._handle.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Write the header, whose length was reserved, and close."""
        description = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.rows, *self._row_shape),
        }
        text = repr(description).encode("latin1")
        magic = np.lib.format.magic(1, 0)
        length = self._HEADER_BYTES - len(magic) - 2
        self._handle.seek(0)
        self._handle.write(magic + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n")
        self._handle.close()


class DatasetWriter:
    """Context manager: `append` episodes, then `finish`; without `finish` nothing is left behind."""

    def __init__(self, out: Path) -> None:
        if out.exists():
            raise UsageError(f"--out {out} exists already; choose another folder or remove it")
        self._out = out
        self._folder = out.parent / f".{out.name}.partial-{os.getpid()}"
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in schema.STEPS_SCHEMA.names}
        self._episodes: list[dict[str, Any]] = []
        self._files: dict[str, NpyAppender] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def append(
        self, episode: dict[str, Any], rows: AlignedEpisode, images: dict[str, NDArray[np.uint8]]
    ) -> None:
        """Add one episode; `episode` has the columns of episodes.parquet that are not positions."""
        count = len(rows.stamp_ns)
        index = len(self._episodes)
        self._episodes.append(
            {"gaps": [], **episode, "episode": index, "length": count, "first_row": self.rows}
        )
        values: dict[str, NDArray[Any]] = {
            "episode": np.full(count, index),
            "step": np.arange(count),
            "stamp_ns": rows.stamp_ns,
            "arm_q": rows.arm_q,
            "tcp_pose": rows.tcp_pose,
            "hand_q": rows.hand_q,
            "action_tcp": rows.action[:, :9],
            "action_hand": rows.action[:, 9:],
            "intervention": rows.intervention,
            "mode": rows.mode,
        }
        for name, column in values.items():
            self._columns[name].append(column)
        if rows.state is not None:
            self._file(schema.STATE_FEATURES, rows.state.shape[1:], np.float32).append(rows.state)
        for camera, frames in images.items():
            self._file(schema.frames_file(camera), frames.shape[1:], np.uint8).append(frames)
        self.rows += count

    def _file(self, name: str, row_shape: tuple[int, ...], dtype: type[np.generic]) -> NpyAppender:
        if name not in self._files:
            self._files[name] = NpyAppender(self._folder / name, row_shape, dtype)
        return self._files[name]

    def finish(self, meta: dict[str, Any]) -> Path:
        """Write the tables and dataset.json, check the whole by opening it, and move it into place."""
        for file in self._files.values():
            file.close()
        pq.write_table(_table(self._columns, schema.STEPS_SCHEMA), self._folder / schema.STEPS_FILE)
        episodes = pa.Table.from_pylist(self._episodes, schema=schema.EPISODES_SCHEMA)
        pq.write_table(episodes, self._folder / schema.EPISODES_FILE)
        full = {
            "format": schema.FORMAT,
            "version": schema.VERSION,
            **meta,
            "content_sha256": _hash(self._folder),
        }
        (self._folder / schema.META_FILE).write_text(json.dumps(full, indent=1) + "\n")
        Dataset.open(self._folder)
        os.rename(self._folder, self._out)
        return self._out


def _table(columns: dict[str, list[NDArray[Any]]], layout: pa.Schema) -> pa.Table:
    arrays = []
    for column in layout:
        values = np.concatenate(columns[column.name])
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(values.reshape(-1), type=column.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=column.type))
        else:
            arrays.append(pa.array(values, type=column.type))
    return pa.Table.from_arrays(arrays, schema=layout)


def _hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all files, in order of their names."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(file.relative_to(folder)).encode())
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
