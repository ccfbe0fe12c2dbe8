"""Writes a dataset folder row by row into a temporary folder, and puts it in place whole."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dexpie_bags.crc import crc32
from dexpie_core.errors import UsageError
from dexpie_training import schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_check import check_whole
from dexpie_training.hashing import content_hash, read_whole, rows_digest

ROW_GROUP: Final = 1024
"""Rows of a group of steps.parquet; what waits for being written is never more than that and an episode."""


class NpyAppender:
    """A .npy file that grows: rows of one shape and type, memory-mappable once closed.

    checked: the CRC-32 of each row that is appended is noted on its way to the file, for `digest`.
    """

    _HEADER_BYTES = 128

    def __init__(
        self, file: Path, row_shape: tuple[int, ...], dtype: type[np.generic], checked: bool = False
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._row_shape, self._dtype, self.rows = row_shape, np.dtype(dtype), 0
        self._row_bytes = int(np.prod(row_shape)) * self._dtype.itemsize
        self._handle = file.open("wb")
        self._handle.write(bytes(self._HEADER_BYTES))
        self._crcs = bytearray() if checked else None

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, *row_shape)."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows have shape {rows.shape[1:]}, the file {self._row_shape}")
        whole = np.ascontiguousarray(rows, dtype=self._dtype)
        for row in whole:
            self._note(row.data)
        self._handle.write(whole.data)
        self.rows += len(rows)

    def reserve(self, rows: int) -> None:
        """Make room for rows that `put` fills in, in any order; those that it does not are zero."""
        self._handle.flush()
        self.rows = rows
        os.ftruncate(self._handle.fileno(), self._HEADER_BYTES + rows * self._row_bytes)

    def put(self, row: int, values: NDArray[Any]) -> None:
        """Fill one reserved row in; any thread."""
        if values.shape != self._row_shape or values.dtype != self._dtype or not 0 <= row < self.rows:
            raise ValueError(f"no row {row} of {values.dtype} {values.shape} in {self._row_shape}")
        data, offset = np.ascontiguousarray(values).data.cast("B"), row * self._row_bytes
        while data:
            written = os.pwrite(self._handle.fileno(), data, self._HEADER_BYTES + offset)
            data, offset = data[written:], offset + written

    def append_from(self, source: np.memmap[Any, np.dtype[Any]], rows: slice) -> None:
        """Add rows of another .npy file; ValueError where their shape or type differ."""
        if source.shape[1:] != self._row_shape or source.dtype != self._dtype:
            raise ValueError(f"rows are {source.dtype} {source.shape[1:]}, the file's {self._row_shape}")
        row = memoryview(bytearray(self._row_bytes))
        with Path(str(source.filename)).open("rb", buffering=0) as handle:
            handle.seek(source.offset + rows.start * self._row_bytes)
            for _ in range(rows.start, rows.stop):
                read_whole(handle, row)
                self._note(row)
                self._handle.write(row)
        self.rows += rows.stop - rows.start

    def _note(self, row: memoryview) -> None:
        if self._crcs is not None:
            self._crcs += crc32(row).to_bytes(4, "little")

    @property
    def digest(self) -> bytes:
        """As `rows_digest` of the file, without reading it; of a checked one that was appended to."""
        assert self._crcs is not None and len(self._crcs) == 4 * self.rows
        return rows_digest((self.rows, *self._row_shape), self._dtype, self._crcs)

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
    """Context manager: `append` episodes, then `finish`; without `finish` nothing is left behind.

    `replaces`: the dataset that lies at `out` gives way to the new one once that is whole.
    """

    def __init__(self, out: Path, *, replaces: bool = False) -> None:
        restore_replaced(out)
        if out.exists() and not replaces:
            raise UsageError(f"--out {out} exists already; choose another folder or remove it")
        self._out = out
        self._folder = out.parent / f".{out.name}.partial-{os.getpid()}"
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in schema.STEPS_SCHEMA.names}
        self._pending_rows = 0
        self._steps: pq.ParquetWriter | None = None
        self._episodes: list[dict[str, Any]] = []
        self._files: dict[str, NpyAppender] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._steps is not None:
            self._steps.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where the dataset is being built."""
        return self._folder

    def append(
        self, episode: dict[str, Any], rows: AlignedEpisode, images: dict[str, NDArray[np.uint8]]
    ) -> None:
        """Add one episode; `episode` has the columns of episodes.parquet that are not positions."""
        self._append_steps(episode, rows)
        if rows.state is not None:
            self._file(schema.STATE_FEATURES, rows.state.shape[1:], np.float32).append(rows.state)
        for camera, frames in images.items():
            self._file(schema.frames_file(camera), frames.shape[1:], np.uint8).append(frames)

    def copy(self, dataset: Dataset, index: int, changes: dict[str, Any] | None = None) -> None:
        """Add an episode of another dataset; `changes` are columns of episodes.parquet to be set anew."""
        rows = dataset.episode_rows(index)
        episode = {**dataset.episodes[index], **(changes or {})}
        self._append_steps(episode, _numbers(dataset, rows))
        arrays: dict[str, NDArray[Any]] = {
            schema.frames_file(camera): frames for camera, frames in dataset.frames.items()
        }
        if dataset.state is not None:
            arrays[schema.STATE_FEATURES] = dataset.state
        for name, array in arrays.items():
            assert isinstance(array, np.memmap)
            self._file(name, array.shape[1:], array.dtype.type).append_from(array, rows)

    def _append_steps(self, episode: dict[str, Any], rows: AlignedEpisode) -> None:
        count = len(rows.stamp_ns)
        index = len(self._episodes)
        place = {"episode": index, "length": count, "first_row": self.rows}
        self._episodes.append({"gaps": [], **episode, **place})
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
        self.rows += count
        self._pending_rows += count
        if self._pending_rows >= ROW_GROUP:
            self._write_steps(self._pending_rows - self._pending_rows % ROW_GROUP)

    def _write_steps(self, count: int) -> None:
        """Write this many of the rows that wait, and keep the others; groups depend on the rows alone."""
        whole = {
            name: np.concatenate(columns or [np.zeros((0, *_row_shape(name)))])
            for name, columns in self._columns.items()
        }
        if self._steps is None:
            self._steps = pq.ParquetWriter(
                self._folder / schema.STEPS_FILE, schema.STEPS_SCHEMA, use_dictionary=False
            )
        table = table_of({name: column[:count] for name, column in whole.items()}, schema.STEPS_SCHEMA)
        self._steps.write_table(table, row_group_size=ROW_GROUP)
        self._columns = {name: [column[count:]] for name, column in whole.items()}
        self._pending_rows -= count

    def _file(self, name: str, row_shape: tuple[int, ...], dtype: type[np.generic]) -> NpyAppender:
        if name not in self._files:
            checked = name.startswith(schema.FRAMES_FOLDER)
            self._files[name] = NpyAppender(self._folder / name, row_shape, dtype, checked)
        return self._files[name]

    def finish(self, meta: dict[str, Any], *, checksum: bool = True) -> Path:
        """Write the tables and dataset.json, check the whole by reading it, and move it into place.

        checksum: False for a dataset that is only an intermediate result.
        """
        for file in self._files.values():
            file.close()
        self._write_steps(self._pending_rows)
        assert self._steps is not None
        self._steps.close()
        episodes = pa.Table.from_pylist(self._episodes, schema=schema.EPISODES_SCHEMA)
        pq.write_table(episodes, self._folder / schema.EPISODES_FILE)
        full = {
            "format": schema.FORMAT,
            "version": schema.VERSION,
            **meta,
            "content_sha256": content_hash(self._folder, self._digests()) if checksum else "",
        }
        (self._folder / schema.META_FILE).write_text(json.dumps(full, indent=1) + "\n")
        check_whole(self._folder, self.rows)
        put_in_place(self._folder, self._out)
        return self._out

    def _digests(self) -> dict[str, bytes]:
        return {
            name: file.digest for name, file in self._files.items() if name.startswith(schema.FRAMES_FOLDER)
        }


def put_in_place(folder: Path, out: Path) -> None:
    """Rename a whole dataset to `out`; one that lies there already gives way, and is removed last."""
    replaced = _replaced(out)
    if out.exists():
        os.rename(out, replaced)
    os.rename(folder, out)
    shutil.rmtree(replaced, ignore_errors=True)


def restore_replaced(out: Path) -> None:
    """Put back what a kill between the two renames of `put_in_place` has left without a successor."""
    replaced = _replaced(out)
    if replaced.exists() and not out.exists():
        os.rename(replaced, out)


def _replaced(out: Path) -> Path:
    return out.parent / f".{out.name}.replaced"


def _numbers(dataset: Dataset, rows: slice) -> AlignedEpisode:
    return AlignedEpisode(
        stamp_ns=dataset.stamp_ns[rows],
        arm_q=dataset.arm_q[rows],
        tcp_pose=dataset.tcp_pose[rows],
        hand_q=dataset.hand_q[rows],
        action=dataset.action[rows],
        intervention=dataset.intervention[rows],
        mode=dataset.mode[rows],
        state=None,
        images={},
        anchors=rows.stop - rows.start,
    )


def _row_shape(name: str) -> tuple[int, ...]:
    kind = schema.STEPS_SCHEMA.field(name).type
    return (kind.list_size,) if pa.types.is_fixed_size_list(kind) else ()


def table_of(columns: Mapping[str, NDArray[Any]], layout: pa.Schema) -> pa.Table:
    """A table of columns (n,) or, for fixed-size lists, (n, k)."""
    arrays = []
    for column in layout:
        values = columns[column.name]
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(values.reshape(-1), type=column.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=column.type))
        else:
            arrays.append(pa.array(values, type=column.type))
    return pa.Table.from_arrays(arrays, schema=layout)
