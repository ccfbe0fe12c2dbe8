"""Noise of the cameras' sensors, cheap enough for every picture and repeatable."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_OFFSETS: Final = 65_521
Pictures = dict[str, NDArray[np.uint8]]
"""Of each camera (height, width, 3) rgb."""


class PixelNoise:
    """Normal noise of a standard deviation in counts of 255, for pictures (height, width, 3) of one size."""

    def __init__(self, counts: float, width_px: int, height_px: int) -> None:
        self.counts = counts
        size = height_px * width_px * 3 + _OFFSETS
        noise = counts * np.random.default_rng(2718).standard_normal(size, dtype=np.float32)
        self._noise = np.clip(np.rint(noise), -127, 127).astype(np.int8)

    def add(self, pictures: Pictures, stamp_ns: int) -> Pictures:
        """The pictures of all cameras with noise that is a function of camera and stamp."""
        if not self.counts:
            return pictures
        offsets = np.random.default_rng([stamp_ns, 1]).integers(_OFFSETS, size=len(pictures)).tolist()
        return {
            camera: self._one(image, first)
            for (camera, image), first in zip(pictures.items(), offsets, strict=True)
        }

    def _one(self, image: NDArray[np.uint8], first: int) -> NDArray[np.uint8]:
        noise = self._noise[first : first + image.size].reshape(image.shape)
        # The one addition of bytes and signed bytes that saturates.
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)
