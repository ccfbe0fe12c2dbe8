"""Pictures of a bag into the frames of a dataset: decoded once, written where they belong."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from dexpie_bags import BagReader
from dexpie_bags.flat import NotFlatError, jpeg_bytes
from dexpie_core.errors import DexpieError
from dexpie_training import images, schema
from dexpie_training.npy_appender import NpyRows
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
    """What became of the pictures: those that cannot be used, and which of them are the same.

    pictures: camera -> (rows,), equal numbers in a row where the recorded bytes are the same.
    """

    faults: tuple[Fault, ...]
    pictures: dict[str, Ints]


def write_frames(
    reader: BagReader,
    remap: Mapping[str, str],
    wanted: Mapping[str, Ints],
    folder: Path,
    threads: int,
    seen: Callable[[int], None],
    behind: int = 0,
) -> FrameReport:
    """Decode the wanted pictures of a bag into FOLDER/frames/<camera>.npy, behind so many rows of other bags.

    wanted: camera -> number of the picture in its topic, by row (rows,). seen: told the bytes of each message
    that was read. Memory does not depend on the length of the bag. Raises DexpieError.
    """
    files = {camera: _FrameFile(folder, camera, numbers, behind) for camera, numbers in wanted.items()}
    with ThreadPoolExecutor(threads) as pool:
        under_way: deque[Future[None]] = deque()
        for file, rows, recorded in _wanted_messages(reader, remap, files, seen):
            if threads == 1 or not file.has_size:  # the first picture says how large the others are to be
                file.put(rows, recorded)
                continue
            under_way.append(pool.submit(file.put, rows, recorded))
            if len(under_way) >= AHEAD * threads:
                under_way.popleft().result()
        for future in under_way:
            future.result()
    faults = [fault for file in files.values() for fault in file.finish()]
    return FrameReport(tuple(faults), {camera: file.pictures for camera, file in files.items()})


def _wanted_messages(
    reader: BagReader,
    remap: Mapping[str, str],
    files: Mapping[str, "_FrameFile"],
    seen: Callable[[int], None],
) -> Iterator[tuple["_FrameFile", list[int], Any]]:
    """File and rows of each picture that rows want, with its JPEG (n,) or, of a raw one, its message.

    Ends with the last of them, so that what is damaged behind it is not touched.
    """
    stream_of = streams_of(reader.path, reader.topics, remap)
    topics = [t for t, stream in stream_of.items() if IMAGE_STREAMS.get(stream) in files]
    counts = dict.fromkeys(topics, 0)
    for connection, recorded_ns, cdr in reader.raw(topics):
        number = counts[connection.topic]
        counts[connection.topic] += 1
        seen(len(cdr))
        file = files[IMAGE_STREAMS[stream_of[connection.topic]]]
        rows = file.rows_of(number)
        if not rows:
            continue
        try:
            picture = _jpeg(reader, connection, recorded_ns, cdr)
            if picture is None:
                picture = reader.decode(connection, cdr, recorded_ns)
        except DexpieError as error:
            file.refuse(rows, str(error).rpartition(" ns: ")[2])
        else:
            file.compare(rows, picture if isinstance(picture, np.ndarray) else picture.data)
            yield file, rows, picture
        if all(file.is_complete for file in files.values()):
            return


def _jpeg(
    reader: BagReader, connection: Connection, recorded_ns: int, cdr: bytes | memoryview
) -> NDArray[np.uint8] | None:
    """Bytes (n,) of a JPEG picture; None of a raw one."""
    if connection.msgtype != JPEG_TYPE:
        return None
    try:
        return np.frombuffer(jpeg_bytes(cdr), np.uint8)
    except NotFlatError:  # the decoder tells what is wrong with it
        data: NDArray[np.uint8] = reader.decode(connection, cdr, recorded_ns).data
        return data


class _FrameFile:
    """Frames of one camera: asked for in the order of the recording, written in any order."""

    def __init__(self, folder: Path, camera: str, numbers: Ints, behind: int) -> None:
        self._camera = camera
        self._order: list[int] = np.argsort(numbers, kind="stable").tolist()
        self._numbers: list[int] = numbers[self._order].tolist()
        self._next = 0
        self._size: tuple[int, int] | None = None  # width and height
        self._faults: list[Fault] = []
        self._last_bytes = memoryview(b"")
        self._picture = 0
        self.pictures = np.zeros(len(numbers), dtype=np.int64)
        file = folder / schema.frames_file(camera)
        self._writer = NpyRows(file, len(numbers), FRAME_SHAPE, np.uint8, behind)

    @property
    def is_complete(self) -> bool:
        """Whether all pictures that rows want have been asked for."""
        return self._next == len(self._numbers)

    @property
    def has_size(self) -> bool:
        """Whether a picture was decoded."""
        return self._size is not None

    def rows_of(self, number: int) -> list[int]:
        """Rows that want the picture of this number, which ascends from call to call."""
        first = self._next
        while not self.is_complete and self._numbers[self._next] <= number:
            self._next += 1
        return self._order[first : self._next]

    def compare(self, rows: list[int], data: NDArray[np.uint8]) -> None:
        """Note whether the picture of these rows is the one before it, byte for byte."""
        self._picture += data.data != self._last_bytes
        self._last_bytes = data.data
        self.pictures[rows] = self._picture

    def put(self, rows: list[int], recorded: Any) -> None:
        """Decode a JPEG (n,) or raw message and write the picture to these rows; any thread."""
        try:
            is_jpeg = isinstance(recorded, np.ndarray)
            picture = images.from_jpeg(recorded) if is_jpeg else images.from_raw(recorded)
            size = (picture.width, picture.height)
            self._size = self._size or size
            if size != self._size:
                raise ValueError("{} x {} pixels, others {} x {}".format(*size, *self._size))
        except ValueError as error:
            self.refuse(rows, str(error))
            return
        for row in rows:
            self._writer.put(row, picture.pixels)

    def refuse(self, rows: list[int], why: str) -> None:
        """The picture of these rows cannot be used."""
        self._faults += [Fault(self._camera, row, why) for row in rows]

    def finish(self) -> list[Fault]:
        """Close the file; the faults by row."""
        self._writer.close()
        self.refuse(self._order[self._next :], "it cannot be read a second time")
        return sorted(self._faults, key=lambda fault: fault.row)


def frozen_runs(pictures: Ints, stamp_ns: Ints, position_m: NDArray[np.float64]) -> Iterator[slice]:
    """Runs of rows of one episode whose picture stays the same although the arm moves.

    pictures (n,) as in FrameReport, stamps (n,) and TCP positions (n, 3). A picture that stays for FROZEN_S
    while the TCP goes FROZEN_M is one that a camera delivers again and again; a still scene without noise
    stays the same too.
    """
    edges = np.flatnonzero(np.diff(pictures) != 0) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(pictures)], strict=True):
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
