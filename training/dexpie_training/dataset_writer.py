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

from dexpie_core.errors import UsageError
from dexpie_training import schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_check import check_whole
from dexpie_training.hashing import content_hash
from dexpie_training.npy_appender import NpyAppender

ROW_GROUP: Final = 1024
"""Rows of a group of steps.parquet; what waits for being written is never more than that and an episode."""


class DatasetWriter:
    """Context manager: `append` episodes, then `finish`; without `finish` nothing is left behind.

    replaces: the dataset that lies at `out` gives way to the new one once that is whole.
    store: folder with frames/ as of a dataset; of rows that lie in there in the order of their episodes
    nothing is copied.
    """

    def __init__(self, out: Path, *, replaces: bool = False, store: Path | None = None) -> None:
        restore_replaced(out)
        if out.exists() and not replaces:
            raise UsageError(f"--out {out} exists already; choose another folder or remove it")
        self._out, self._store = out, store
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
            store = None if self._store is None or not checked else self._store / name
            self._files[name] = NpyAppender(self._folder / name, row_shape, dtype, checked, store)
        return self._files[name]

    def finish(self, meta: dict[str, Any], *, checksum: bool = True) -> Path:
        """Write the tables and dataset.json, check the whole by reading it, and move it into place.

        checksum: False for a dataset that is only an intermediate result, which is not checked either.
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
        if checksum:
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
