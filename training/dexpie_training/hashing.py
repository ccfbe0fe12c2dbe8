"""Hashes that tell one dataset and one source file from another, and show damage."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from dexpie_training import schema


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of all that a converter writes, in order of the names.

    Of the frames, which are nearly all of a dataset, a CRC-32 of each goes in: half the work of a SHA-256,
    and a tenth on processors without instructions for that. Nothing that is added later counts.
    """
    tables = (schema.STEPS_FILE, schema.EPISODES_FILE, schema.STATE_FEATURES)
    digests: dict[Path, Callable[[], bytes]] = {
        folder / name: partial(file_sha256, folder / name) for name in tables
    }
    # Headers are read here: Python 3.11 must not parse literals in several threads at once.
    digests |= {file: frames_sha256(file) for file in folder.glob(schema.frames_file("*"))}
    files = sorted(file for file in digests if file.is_file())
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as pool:
        for file, content in zip(files, pool.map(lambda f: digests[f](), files), strict=True):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(content)
    return digest.hexdigest()


def frames_sha256(file: Path) -> Callable[[], bytes]:
    """What gives the SHA-256 over shape, type and the CRC-32 of each row of a .npy file, in any thread."""
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    first = hashlib.sha256(f"{array.shape} {array.dtype.str}".encode())
    return partial(_rows_sha256, file, first, array.offset, len(array), array[:1].nbytes)


def _rows_sha256(file: Path, digest: "hashlib._Hash", offset: int, rows: int, row_bytes: int) -> bytes:
    row = memoryview(bytearray(row_bytes))
    with file.open("rb", buffering=0) as handle:
        handle.seek(offset)
        for _ in range(rows):
            read = 0
            while read < len(row):
                count = handle.readinto(row[read:])
                if not count:
                    raise OSError(f"{file} ends early")
                read += count
            digest.update(zlib.crc32(row).to_bytes(4, "little"))
    return digest.digest()


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
