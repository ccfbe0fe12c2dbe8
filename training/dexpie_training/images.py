"""Images from bytes to what the networks see; conversion and deployment share this."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dexpie_training.schema import IMAGE_SIZE_PX

Image = NDArray[np.uint8]


def decode_jpeg(data: NDArray[np.uint8]) -> Image:
    """JPEG bytes (n,) -> rgb (H, W, 3); ValueError where they are not an image."""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise ValueError(f"{len(data)} bytes are not a JPEG image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def resize(image: Image, size_px: int = IMAGE_SIZE_PX) -> Image:
    """Bilinear resize of (H, W, 3) to (size, size, 3); the aspect ratio is not kept."""
    if image.shape[:2] == (size_px, size_px):
        return image
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
