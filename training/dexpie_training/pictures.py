"""Pictures of a bag into the frames of a dataset: decoded once, written where they belong."""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_bags import BagReader
from dexpie_training import images, schema
from dexpie_training.dataset_writer import NpyAppender
from dexpie_training.recorded_topics import IMAGE_STREAMS, JPEG_TYPE, streams_of

Ints = NDArray[np.int64]
FRAME_SHAPE: Final = (schema.IMAGE_SIZE_PX, schema.IMAGE_SIZE_PX, 3)
FRAME_BYTES: Final = int(np.prod(FRAME_SHAPE))
AHEAD: Final = 8
"""Pictures under way for each thread that decodes."""
FROZEN_S: Final = 0.5
FROZEN_M: Final = 0.02


@dataclass(frozen=True)
class Fault:
    """A picture that cannot be used: the first row that wants it, and why."""

    camera: str
    row: int
    why: str


@dataclass(frozen=True)
class FrameReport:
    """What became of the pictures: those that cannot be used, and a checksum of each row's picture.

    checksums: camera -> (rows,), of the recorded bytes; equal ones are one and the same picture.
    """

    faults: tuple[Fault, ...]
    checksums: dict[str, Ints]


def write_frames(
    reader: BagReader,
    remap: Mapping[str, str],
    wanted: Mapping[str, Ints],
    folder: Path,
    threads: int,
    seen: Callable[[int], None],
) -> FrameReport:
    """Decode the wanted pictures of a bag into FOLDER/frames/<camera>.npy.

    wanted: camera -> number of the picture in its topic, by row (rows,). seen: told the bytes of each message
    that was read. Memory does not depend on the length of the bag. Raises DexpieError.
    """
    files = {camera: _FrameFile(folder, camera, numbers) for camera, numbers in wanted.items()}
    with ThreadPoolExecutor(threads) as pool:
        stream_of = streams_of(reader.path, reader.topics, remap)
        topics = [t for t, stream in stream_of.items() if IMAGE_STREAMS.get(stream) in files]
        counts = dict.fromkeys(topics, 0)
        under_way: deque[Future[None]] = deque()
        for connection, _, cdr in reader.raw(topics):
            number = counts[connection.topic]
            counts[connection.topic] += 1
            seen(len(cdr))
            file = files[IMAGE_STREAMS[stream_of[connection.topic]]]
            if not file.wants(number):
                continue
            message = reader.decode(connection, cdr)
            compressed = connection.msgtype == JPEG_TYPE
            if threads == 1 or not file.has_size:  # the first picture says how large the others are to be
                file.put(number, message, compressed)
                continue
            under_way.append(pool.submit(file.put, number, message, compressed))
            if len(under_way) >= AHEAD * threads:
                under_way.popleft().result()
        for future in under_way:
            future.result()
    faults = [fault for file in files.values() for fault in file.finish()]
    return FrameReport(tuple(faults), {camera: file.checksums for camera, file in files.items()})


class _FrameFile:
    """Frames of one camera, written in any order."""

    def __init__(self, folder: Path, camera: str, numbers: Ints) -> None:
        self._camera = camera
        self._order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[self._order]
        self._size: tuple[int, ...] | None = None
        self._faults: list[Fault] = []
        self.checksums = np.zeros(len(numbers), dtype=np.int64)
        self._writer = NpyAppender(folder / schema.frames_file(camera), FRAME_SHAPE, np.uint8)
        self._writer.reserve(len(numbers))

    @property
    def has_size(self) -> bool:
        """Whether a picture was decoded."""
        return self._size is not None

    def wants(self, number: int) -> bool:
        """Whether a row wants the picture of this number."""
        return len(self._rows(number)) > 0

    def _rows(self, number: int) -> Ints:
        first, last = np.searchsorted(self._numbers, [number, number + 1])
        rows: Ints = self._order[first:last]
        return rows

    def put(self, number: int, message: Any, compressed: bool) -> None:
        """Decode a message and write its picture to all rows that want it; any thread."""
        rows = self._rows(number)
        self.checksums[rows] = zlib.crc32(message.data)
        try:
            image = images.decode_jpeg(message.data) if compressed else images.from_raw(message)
            self._size = self._size or image.shape
            if image.shape != self._size:
                (height, width), (first_height, first_width) = image.shape[:2], self._size[:2]
                raise ValueError(f"{width} x {height} pixels, others {first_width} x {first_height}")
        except ValueError as error:
            self._faults += [Fault(self._camera, int(row), str(error)) for row in rows]
            return
        frame = images.resize(image)
        for row in rows.tolist():
            self._writer.put(row, frame)

    def finish(self) -> list[Fault]:
        """Close the file; the faults by row."""
        self._writer.close()
        return sorted(self._faults, key=lambda fault: fault.row)


def frozen_runs(checksums: Ints, stamp_ns: Ints, position_m: NDArray[np.float64]) -> Iterator[slice]:
    """Runs of rows of one episode whose picture stays the same although the arm moves.

    checksums (n,), stamps (n,) and TCP positions (n, 3). A picture that stays for FROZEN_S while the TCP goes
    FROZEN_M is one that a camera delivers again and again; a still scene without noise stays the same too.
    """
    edges = np.flatnonzero(np.diff(checksums) != 0) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(checksums)], strict=True):
        if last - first < 2 or stamp_ns[last - 1] - stamp_ns[first] < FROZEN_S * 1e9:
            continue
        if np.linalg.norm(position_m[first:last] - position_m[first], axis=1).max() >= FROZEN_M:
            yield slice(first + 1, last)


def fault_runs(faults: Sequence[Fault]) -> list[tuple[slice, str, str]]:
    """Faults of one episode in runs of neighbouring rows: rows, camera and why."""
    runs: list[tuple[slice, str, str]] = []
    for fault in sorted(faults, key=lambda f: (f.camera, f.row)):
        row, camera, why = fault.row, fault.camera, fault.why
        if runs and runs[-1][1:] == (camera, why) and runs[-1][0].stop == row:
            runs[-1] = (slice(runs[-1][0].start, row + 1), camera, why)
        else:
            runs.append((slice(row, row + 1), camera, why))
    return runs


def keep_rows(file: Path, keep: NDArray[np.bool_]) -> None:
    """Remove rows of a .npy file in place, frame by frame."""
    kept = np.flatnonzero(keep)
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    partial = file.with_suffix(".kept")
    writer = NpyAppender(partial, array.shape[1:], array.dtype.type)
    for run in np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1):
        if len(run):
            writer.append_from(array, slice(int(run[0]), int(run[-1]) + 1))
    writer.close()
    os.replace(partial, file)
