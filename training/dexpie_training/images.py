"""Images from bytes to what the networks see; conversion and deployment share this."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dexpie_training.schema import IMAGE_SIZE_PX

Image = NDArray[np.uint8]
RAW_CHANNELS: Final = {
    "rgb8": [0, 1, 2],
    "bgr8": [2, 1, 0],
    "rgba8": [0, 1, 2, 3],
    "bgra8": [2, 1, 0, 3],
}
"""Encoding of a raw picture -> where its red, green and blue lie among its channels."""


def decode_jpeg(data: NDArray[np.uint8]) -> Image:
    """JPEG bytes (n,) -> rgb (H, W, 3); ValueError where they are not an image."""
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(f"{len(data)} bytes are not a JPEG image")
    return np.asarray(image, dtype=np.uint8)


def from_raw(message: Any) -> Image:
    """Pixels of a sensor_msgs/Image as rgb (H, W, 3); ValueError where encoding or length do not fit."""
    channels = RAW_CHANNELS.get(message.encoding)
    if channels is None:
        raise ValueError(f"encoding {message.encoding!r} is not one of {', '.join(RAW_CHANNELS)}")
    height, width, step = int(message.height), int(message.width), int(message.step)
    if not height or not width or step < len(channels) * width or len(message.data) != step * height:
        raise ValueError(f"{len(message.data)} bytes are not a picture of {width} x {height}")
    rows = np.asarray(message.data, dtype=np.uint8).reshape(height, step)[:, : len(channels) * width]
    return np.ascontiguousarray(rows.reshape(height, width, len(channels))[..., channels[:3]])


def resize(image: Image, size_px: int = IMAGE_SIZE_PX) -> Image:
    """Bilinear resize of (H, W, 3) to (size, size, 3); the aspect ratio is not kept."""
    if image.shape[:2] == (size_px, size_px):
        return image
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
