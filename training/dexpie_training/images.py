"""Images from bytes to what the networks see; conversion and deployment share this."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dexpie_training.schema import IMAGE_SIZE_PX

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None

Image = NDArray[np.uint8]
RAW_CHANNELS: Final = {
    "rgb8": [0, 1, 2],
    "bgr8": [2, 1, 0],
    "rgba8": [0, 1, 2, 3],
    "bgra8": [2, 1, 0, 3],
}
"""Encoding of a raw picture -> where its red, green and blue lie among its channels."""
IMAGE_RULE: Final = (
    "reduced by the largest of 1, 2, 4, 8 that leaves both sides at the final size or more (JPEG: libjpeg's "
    "scaled inverse DCT; raw: mean of each block), then bilinear"
)
"""How pictures get their size; datasets made by another rule hold other pixels."""
_JPEG_FLAGS: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_JPEG_FAULTS: Final = ("premature end of data segment", "bad Huffman code")
_NO_FRAME_HEADER: Final = (0xC4, 0xC8, 0xCC)  # the markers among C0..CF that are none


@dataclass(frozen=True)
class Picture:
    """A picture as the networks see it, rgb (size, size, 3), and the size in which it was taken, pixels."""

    pixels: Image
    height: int
    width: int


def from_jpeg(data: NDArray[np.uint8], size_px: int = IMAGE_SIZE_PX) -> Picture:
    """The picture of JPEG bytes (n,) by IMAGE_RULE; ValueError where they are no whole JPEG image."""
    wrong = f"{len(data)} bytes are not a JPEG image"
    height, width = _jpeg_size(data.data)
    if not height or not width:
        raise ValueError(wrong)
    factor = _reduction(height, width, size_px)
    image = _by_simplejpeg(data, height, width, factor)
    if image is None:
        image = _by_opencv(data, factor)
    if image is None:
        raise ValueError(wrong)
    return Picture(_bilinear(image, size_px), height, width)


def _by_simplejpeg(data: NDArray[np.uint8], height: int, width: int, factor: int) -> Image | None:
    """Pixels (h / factor, w / factor, 3), the same as OpenCV's a tenth sooner; None where it is not sure.

    ValueError where the content is damaged, which OpenCV only prints.
    """
    if decode_jpeg is None:
        return None
    least = (0, 0) if factor == 1 else _reduced(height, width, factor)
    try:
        image: Image = decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1], min_factor=factor)
    except ValueError as error:
        if any(fault in str(error) for fault in _JPEG_FAULTS):
            raise ValueError(f"{len(data)} bytes of a JPEG image are damaged: {error}") from None
        return None  # OpenCV takes other kinds of pictures too, and some with bytes too many
    return image if image.shape[:2] == _reduced(height, width, factor) else None


def _by_opencv(data: NDArray[np.uint8], factor: int) -> Image | None:
    try:
        image = cv2.imdecode(data, _JPEG_FLAGS[factor] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    if image is None:
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def from_raw(message: Any, size_px: int = IMAGE_SIZE_PX) -> Picture:
    """The picture of a sensor_msgs/Image by IMAGE_RULE; ValueError where encoding or length do not fit."""
    channels = RAW_CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f"encoding {message.encoding!r} is not one of {', '.join(RAW_CHANNELS)}")
    height, width, step = int(message.height), int(message.width), int(message.step)
    if not height or not width or step < len(channels) * width or len(message.data) != step * height:
        raise ValueError(f"{len(message.data)} bytes are not a picture of {width} x {height}")
    rows = np.asarray(message.data, dtype=np.uint8).reshape(height, step)[:, : len(channels) * width]
    image = np.ascontiguousarray(rows.reshape(height, width, len(channels))[..., channels[:3]])
    return Picture(resize(image, size_px), height, width)


def resize(image: Image, size_px: int = IMAGE_SIZE_PX) -> Image:
    """Pixels (H, W, 3) to (size, size, 3) by IMAGE_RULE; the aspect ratio is not kept."""
    height, width = image.shape[:2]
    factor = _reduction(height, width, size_px)
    if factor > 1:
        reduced = _reduced(height, width, factor)[::-1]
        image = np.asarray(cv2.resize(image, reduced, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return _bilinear(image, size_px)


def _bilinear(image: Image, size_px: int) -> Image:
    if image.shape[:2] == (size_px, size_px):
        return image
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _reduced(height: int, width: int, factor: int) -> tuple[int, int]:
    return -(-height // factor), -(-width // factor)


def _reduction(height: int, width: int, size_px: int) -> int:
    return max(factor for factor in _JPEG_FLAGS if factor == 1 or min(height, width) >= factor * size_px)


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    """Height and width in the frame header of a JPEG; (0, 0) where there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        filler = marker == 0xFF
        at += 1 if filler else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0
