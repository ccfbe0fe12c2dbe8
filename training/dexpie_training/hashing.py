"""Hashes that tell one dataset and one source file from another, and show damage."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from dexpie_bags.crc import crc32
from dexpie_training import schema


def content_hash(folder: Path, frames: Mapping[str, bytes] | None = None) -> str:
    """SHA-256 over the names and contents of all that a converter writes, in order of the names.

    Of the frames, which are nearly all of a dataset, a CRC-32 of each goes in: half the work of a SHA-256,
    and a tenth on processors without instructions for that. Nothing that is added later counts.
    frames: file -> its `rows_digest`, where it is known; without it the files are read.
    """
    tables = (schema.STEPS_FILE, schema.EPISODES_FILE, schema.STATE_FEATURES)
    digests: dict[Path, Callable[[], bytes]] = {
        folder / name: partial(file_sha256, folder / name) for name in tables
    }
    if frames is None:
        # Headers are read here: Python 3.11 must not parse literals in several threads at once.
        digests |= {file: frames_sha256(file) for file in folder.glob(schema.frames_file("*"))}
    else:
        digests |= {folder / name: partial(bytes, known) for name, known in frames.items()}
    files = sorted(file for file in digests if file.is_file())
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as pool:
        for file, content in zip(files, pool.map(lambda f: digests[f](), files), strict=True):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(content)
    return digest.hexdigest()


def rows_digest(shape: tuple[int, ...], dtype: np.dtype[Any], crcs: bytes | bytearray) -> bytes:
    """SHA-256 over shape, type and the CRC-32s of the rows of an array, four bytes each."""
    return hashlib.sha256(f"{shape} {dtype.str}".encode() + crcs).digest()


def frames_sha256(file: Path) -> Callable[[], bytes]:
    """What gives the `rows_digest` of a .npy file, in any thread."""
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    return partial(_rows_sha256, file, array.offset, array.shape, array.dtype, array[:1].nbytes)


def _rows_sha256(
    file: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], row_bytes: int
) -> bytes:
    row, crcs = memoryview(bytearray(row_bytes)), bytearray()
    with file.open("rb", buffering=0) as handle:
        handle.seek(offset)
        for _ in range(shape[0]):
            read_whole(handle, row)
            crcs += crc32(row).to_bytes(4, "little")
    return rows_digest(shape, dtype, crcs)


def read_whole(handle: FileIO, row: memoryview) -> None:
    """Fill `row` from an unbuffered file; OSError where that ends early."""
    read = 0
    while read < len(row):
        count = handle.readinto(row[read:])
        if not count:
            raise OSError(f"{handle.name} ends early")
        read += count


def files_hash(files: Sequence[Path]) -> tuple[int, str]:
    """Bytes of these files together, and a SHA-256 over theirs in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file_sha256(file))
    return sum(file.stat().st_size for file in files), digest.hexdigest()


def file_sha256(file: Path) -> bytes:
    """SHA-256 of a file's content."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()
