"""Whether a dataset that was just written is whole; a row group at a time, so that memory stays small."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError
from dexpie_training import schema


def check_whole(folder: Path, rows: int) -> None:
    """DexpieError names the file whose rows cannot be read, are not finite, or are not `rows` many."""
    found = 0
    for name, values in _columns(folder / schema.STEPS_FILE):
        found += len(values) if name == "stamp_ns" else 0
        if not np.isfinite(values).all():
            raise DexpieError(f"{folder / schema.STEPS_FILE}: column {name} has values that are not finite")
    lengths = pq.read_table(folder / schema.EPISODES_FILE, columns=["length"])["length"].to_pylist()
    counts = {schema.STEPS_FILE: found, schema.EPISODES_FILE: sum(lengths)}
    for file in [folder / schema.STATE_FEATURES, *folder.glob(schema.frames_file("*"))]:
        if file.is_file():
            counts[str(file.relative_to(folder))] = len(np.load(file, mmap_mode="r", allow_pickle=False))
    wrong = [f"{folder / name} has {count}" for name, count in counts.items() if count != rows]
    if wrong:
        raise DexpieError(f"{rows} rows were written, {', '.join(wrong)}")


def _columns(file: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and values of the columns, those of one row group after those of another."""
    with pq.ParquetFile(file) as table:
        for group, name in itertools.product(range(table.num_row_groups), schema.STEPS_SCHEMA.names):
            (column,) = table.read_row_group(group, columns=[name], use_threads=False).columns
            values = column.combine_chunks()
            nested = pa.types.is_fixed_size_list(values.type)
            yield name, np.asarray(values.flatten() if nested else values)
