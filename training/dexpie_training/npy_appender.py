"""Files of rows that grow: .npy files that can be memory-mapped once they are closed."""

import os
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_bags.crc import crc32
from dexpie_training.hashing import read_whole, rows_digest

HEADER_BYTES: Final = 128
RowShape = tuple[int, ...]


class NpyAppender:
    """A .npy file that grows: rows of one shape and type.

    checked: the CRC-32 of each row that is appended is noted on its way to the file, for `digest`.
    store: another such file. As long as what is appended lies in there, at the very place that it is to have,
    nothing is copied, and in the end both are one file with two names. It is not changed.
    """

    def __init__(
        self,
        file: Path,
        row_shape: RowShape,
        dtype: type[np.generic],
        checked: bool = False,
        store: Path | None = None,
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._row_shape, self._dtype, self.rows = row_shape, np.dtype(dtype), 0
        self._row_bytes = int(np.prod(row_shape)) * self._dtype.itemsize
        self._file, self._store = file, store
        self._crcs = bytearray() if checked else None
        self._opened: BinaryIO | None = None if store is not None and store.is_file() else _begun(file)

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, *row_shape)."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows have shape {rows.shape[1:]}, the file {self._row_shape}")
        whole = np.ascontiguousarray(rows, dtype=self._dtype)
        for row in whole:
            self._note(row.data)
        self._handle.write(whole.data)
        self.rows += len(rows)

    def append_from(self, source: np.memmap[Any, np.dtype[Any]], rows: slice) -> None:
        """Add rows of another .npy file; ValueError where their shape or type differ."""
        if source.shape[1:] != self._row_shape or source.dtype != self._dtype:
            raise ValueError(f"rows are {source.dtype} {source.shape[1:]}, the file's {self._row_shape}")
        file, offset = Path(str(source.filename)), source.offset + rows.start * self._row_bytes
        if self._opened is None and file == self._store and offset == self._end:
            for row in np.asarray(source)[rows]:
                self._note(row.data)
        else:
            self._copy(file, offset, rows.stop - rows.start)
        self.rows += rows.stop - rows.start

    def _copy(self, file: Path, offset: int, count: int, noted: bool = False) -> None:
        destination, row = self._handle, memoryview(bytearray(self._row_bytes))
        with file.open("rb", buffering=0) as source:
            source.seek(offset)
            for _ in range(count):
                read_whole(source, row)
                if not noted:
                    self._note(row)
                destination.write(row)

    @property
    def _handle(self) -> BinaryIO:
        """The file; what it has of the store so far is copied first."""
        if self._opened is None:
            assert self._store is not None
            self._opened = _begun(self._file)
            self._copy(self._store, HEADER_BYTES, self.rows, noted=True)
        return self._opened

    @property
    def _end(self) -> int:
        return HEADER_BYTES + self.rows * self._row_bytes

    def _note(self, row: memoryview) -> None:
        if self._crcs is not None:
            self._crcs += crc32(row).to_bytes(4, "little")

    @property
    def digest(self) -> bytes:
        """As `rows_digest` of the file, without reading it; of a checked one."""
        assert self._crcs is not None and len(self._crcs) == 4 * self.rows
        return rows_digest((self.rows, *self._row_shape), self._dtype, self._crcs)

    def close(self) -> None:
        """Write the header, whose length was reserved, and close."""
        if self._opened is None and self._store is not None and self._store.stat().st_size == self._end:
            try:
                os.link(self._store, self._file)
            except OSError:  # a file system without hard links
                self._file.unlink(missing_ok=True)
            else:
                return
        self._handle.seek(0)
        self._handle.write(_header(self._dtype, (self.rows, *self._row_shape)))
        self._handle.close()


class NpyRows:
    """A .npy file whose number of rows is known; they are put in in any order, by any thread.

    behind: so many rows of an existing file stay before them; what lies after those is lost.
    """

    def __init__(
        self, file: Path, rows: int, row_shape: RowShape, dtype: type[np.generic], behind: int = 0
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._row_shape, self._dtype, self._rows, self._behind = row_shape, np.dtype(dtype), rows, behind
        self._row_bytes = int(np.prod(row_shape)) * self._dtype.itemsize
        self._handle = file.open("r+b" if file.exists() else "w+b", buffering=0)
        self._handle.truncate(self._offset(0))
        self._handle.truncate(self._offset(rows))

    def put(self, row: int, values: NDArray[Any]) -> None:
        """Fill one row in, counted from the first new one; any thread. Those without are zero."""
        if values.shape != self._row_shape or values.dtype != self._dtype or not 0 <= row < self._rows:
            raise ValueError(f"no row {row} of {values.dtype} {values.shape} in {self._row_shape}")
        data, offset = np.ascontiguousarray(values).data.cast("B"), self._offset(row)
        while data:
            written = os.pwrite(self._handle.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def close(self) -> None:
        """Write the header and close."""
        self._handle.seek(0)
        self._handle.write(_header(self._dtype, (self._behind + self._rows, *self._row_shape)))
        self._handle.close()

    def _offset(self, row: int) -> int:
        return HEADER_BYTES + (self._behind + row) * self._row_bytes


def keep_rows(file: Path, keep: NDArray[np.bool_], behind: int = 0) -> None:
    """Take rows out of a .npy file of these classes in place; `keep` is about those from row `behind` on."""
    whole = np.load(file, mmap_mode="r+", allow_pickle=False)
    kept = np.flatnonzero(keep)
    for to, at in enumerate(kept.tolist()):
        if to != at:
            whole[behind + to] = whole[behind + at]
    whole.flush()
    rows, row_bytes = behind + len(kept), whole[:1].nbytes
    with file.open("r+b") as handle:
        handle.write(_header(whole.dtype, (rows, *whole.shape[1:])))
        handle.truncate(HEADER_BYTES + rows * row_bytes)


def count_rows(file: Path) -> int:
    """Rows of a .npy file; OSError or ValueError where it is none."""
    return len(np.load(file, mmap_mode="r", allow_pickle=False))


def stored_rows(file: Path, first: int, rows: int) -> np.memmap[Any, np.dtype[Any]]:
    """Some rows of a .npy file of these classes, memory-mapped."""
    whole = np.load(file, mmap_mode="r", allow_pickle=False)
    offset = HEADER_BYTES + first * whole[:1].nbytes
    return np.memmap(file, whole.dtype, "r", offset, (rows, *whole.shape[1:]))


def _begun(file: Path) -> BinaryIO:
    handle = file.open("wb")
    handle.write(bytes(HEADER_BYTES))
    return handle


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    text = repr(description).encode("latin1")
    magic = np.lib.format.magic(1, 0)
    length = HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"
