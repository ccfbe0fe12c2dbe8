"""Frames of episodes as H.264 video, many episodes in a file."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

FILE_LIMIT_BYTES: Final = 200_000_000  # then the next episode begins a new file
KEY_FRAME_EVERY: Final = (
    2  # frames; training reads single frames, and each costs the decoding from a key frame on
)
QUALITY: Final = "18"  # constant rate factor; lower is better and larger


@dataclass(frozen=True)
class VideoPlace:
    """Where an episode lies: number of the file, and its first frame there."""

    file: int
    first_frame: int


class VideoFiles:
    """The videos of one camera below FOLDER/videos/KEY: `add` episodes, then `close`."""

    def __init__(self, folder: Path, key: str, fps: int, limit_bytes: int = FILE_LIMIT_BYTES) -> None:
        self._folder, self._fps, self._limit_bytes = folder / "videos" / key, fps, limit_bytes
        self._number, self._frames, self._bytes = -1, 0, 0
        self._container: Any = None
        self._stream: Any = None

    def add(self, frames: NDArray[np.uint8]) -> VideoPlace:
        """Append the frames (n, H, W, 3) of an episode."""
        if self._container is None or self._bytes >= self._limit_bytes:
            self._begin(frames.shape[1], frames.shape[2])
        place = VideoPlace(self._number, self._frames)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts = self._frames
            picture.time_base = Fraction(1, self._fps)
            self._mux(self._stream.encode(picture))
            self._frames += 1
        return place

    def close(self) -> None:
        """Write what is under way and close the file."""
        if self._container is not None:
            self._mux(self._stream.encode())
            self._container.close()
            self._container = None

    def _begin(self, height: int, width: int) -> None:
        self.close()
        self._number, self._frames, self._bytes = self._number + 1, 0, 0
        chunk, number = divmod(self._number, 1000)
        file = self._folder / f"chunk-{chunk:03d}" / f"file-{number:03d}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(file), mode="w")
        options = {"crf": QUALITY, "g": str(KEY_FRAME_EVERY), "bf": "0", "preset": "veryfast"}
        self._stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.time_base = Fraction(1, self._fps)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._bytes += packet.size
            self._container.mux(packet)
