"""Reads a dataset folder: columns as arrays, images memory-mapped, windows of actions as batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dexpie_core import action_space, se3
from dexpie_core.errors import DexpieError
from dexpie_training import schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Dataset:
    """One opened dataset of N rows. Arrays are in memory, images on disk until they are touched."""

    path: Path
    meta: dict[str, Any]
    episodes: list[dict[str, Any]]
    episode: Ints  # (N,) index into episodes
    stamp_ns: Ints  # (N,)
    arm_q: Floats  # (N, 6) rad
    tcp_pose: Floats  # (N, 9)
    hand_q: Floats  # (N, 6)
    action: Floats  # (N, 15) absolute
    intervention: Bools  # (N,)
    mode: NDArray[np.uint8]  # (N,)
    state: NDArray[np.float32] | None  # (N, k), columns meta["state_names"]
    frames: dict[str, NDArray[np.uint8]]  # camera -> (N, 224, 224, 3)

    @classmethod
    def open(cls, path: Path | str) -> "Dataset":
        """Open a folder made by `dexpie convert`; DexpieError names what is missing or inconsistent."""
        path = Path(path)
        meta = schema.read_meta(path)
        steps = _read_table(path / schema.STEPS_FILE, schema.STEPS_SCHEMA)
        episodes = _read_table(path / schema.EPISODES_FILE, schema.EPISODES_SCHEMA).to_pylist()
        dataset = cls(
            path=path,
            meta=meta,
            episodes=episodes,
            episode=_scalars(steps, "episode").astype(np.int64),
            stamp_ns=_scalars(steps, "stamp_ns"),
            arm_q=_vectors(steps, "arm_q"),
            tcp_pose=_vectors(steps, "tcp_pose"),
            hand_q=_vectors(steps, "hand_q"),
            action=np.concatenate([_vectors(steps, "action_tcp"), _vectors(steps, "action_hand")], axis=1),
            intervention=_scalars(steps, "intervention"),
            mode=_scalars(steps, "mode"),
            state=_read_rows(path / schema.STATE_FEATURES, steps.num_rows) if meta["state_names"] else None,
            frames={c: _read_rows(path / schema.frames_file(c), steps.num_rows) for c in meta["cameras"]},
        )
        dataset._check()
        return dataset

    def __len__(self) -> int:
        return len(self.episode)

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """Another process opens the folder again, and shares the pages of its files."""
        return Dataset.open, (self.path,)

    @property
    def content_hash(self) -> str:
        """SHA-256 over the converted content, as stored by the converter."""
        return str(self.meta["content_sha256"])

    @property
    def first_rows(self) -> Ints:
        """First row of every episode (E,)."""
        return np.array([e["first_row"] for e in self.episodes], dtype=np.int64)

    @property
    def lengths(self) -> Ints:
        """Rows of every episode (E,)."""
        return np.array([e["length"] for e in self.episodes], dtype=np.int64)

    def episode_rows(self, index: int) -> slice:
        """Rows of one episode."""
        first = int(self.episodes[index]["first_row"])
        return slice(first, first + int(self.episodes[index]["length"]))

    def _check(self) -> None:
        expected = np.repeat(np.arange(len(self.episodes)), self.lengths)
        if not np.array_equal(expected, self.episode):
            raise DexpieError(
                f"{self.path}: {schema.EPISODES_FILE} and {schema.STEPS_FILE} disagree on the rows"
            )
        for name in ("arm_q", "tcp_pose", "hand_q", "action"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise DexpieError(
                    f"{self.path}: column {name} of {schema.STEPS_FILE} has values that are not finite"
                )


def _read_table(file: Path, expected: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DexpieError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from None
    missing = set(expected.names) - set(table.schema.names) - schema.OPTIONAL_COLUMNS
    if missing:
        raise DexpieError(f"{file}: columns {', '.join(sorted(missing))} are missing")
    return table.combine_chunks()


def _scalars(table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table[name].to_numpy()
    return values


def _vectors(table: pa.Table, name: str) -> Floats:
    column = table[name].combine_chunks()
    flat = np.asarray(column.flatten(), dtype=np.float64)
    return flat.reshape(table.num_rows, -1)


def _read_rows(file: Path, rows: int) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DexpieError(f"{file}: cannot be read ({error})") from None
    if len(array) != rows:
        raise DexpieError(f"{file}: has {len(array)} rows, {schema.STEPS_FILE} has {rows}")
    return array


def copy_rows(source: NDArray[Any], rows: Ints, out: NDArray[Any]) -> None:
    """Copy rows (B,) of a memory-mapped array straight into `out` (B, ...), whose rows are contiguous."""
    if out.flags.c_contiguous:
        # mode="clip": with "raise" numpy copies by way of a buffer. The rows are within bounds.
        np.take(source, rows, axis=0, out=out, mode="clip")
        return
    plain = np.asarray(source)  # indexing a memmap costs microseconds
    for place, row in zip(out, rows.tolist(), strict=True):
        place[...] = plain[row]


class Windows:
    """Action chunks of `horizon` steps from any row of a dataset.

    Past the end of an episode the last absolute action is held. A window must not reach across a
    recorded gap: rows whose window would are not in `starts`.
    """

    def __init__(self, dataset: Dataset, horizon: int) -> None:
        self.dataset, self.horizon = dataset, horizon
        period_ns = 1e9 / float(dataset.meta["rate_hz"])
        count = len(dataset)
        ends_run = np.ones(count, dtype=bool)
        ends_run[:-1] = np.diff(dataset.stamp_ns) > schema.LONGEST_GAP * period_ns
        last_of_episode = dataset.first_rows + dataset.lengths - 1
        ends_run[last_of_episode] = True
        run_ends = np.flatnonzero(ends_run)
        rows = np.arange(count)
        self._last: Ints = run_ends[np.searchsorted(run_ends, rows)]
        may_hold = np.isin(self._last, last_of_episode)
        self.starts: Ints = np.flatnonzero(may_hold | (rows + horizon - 1 <= self._last))

    def rows(self, starts: Ints) -> Ints:
        """Rows of the windows' steps: (B,) -> (B, horizon), the last one repeated past the end."""
        rows: Ints = np.minimum(starts[:, None] + np.arange(self.horizon), self._last[starts][:, None])
        return rows

    def relative_chunks(self, starts: Ints) -> Floats:
        """Chunks relative to the TCP pose observed at their start: (B,) -> (B, horizon, 15)."""
        reference = se3.matrix_from_pose9(self.dataset.tcp_pose[starts])
        return action_space.relative_from_absolute(reference[:, None], self.dataset.action[self.rows(starts)])

    def absolute_chunks(self, starts: Ints) -> Floats:
        """The same chunks in the base frame, (B, horizon, 15)."""
        return self.dataset.action[self.rows(starts)]


def split_episodes(dataset: Dataset, held_out: float, seed: int) -> tuple[Bools, Bools]:
    """Masks over rows (train, held out): whole episodes, at least one held out where there are two."""
    count = len(dataset.episodes)
    number = 0 if held_out <= 0 or count < 2 else max(1, round(held_out * count))
    chosen = np.random.default_rng(seed).permutation(count)[:number]
    mask = np.isin(dataset.episode, chosen)
    return ~mask, mask
