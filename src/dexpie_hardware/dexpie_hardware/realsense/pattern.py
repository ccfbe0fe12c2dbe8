"""A test picture that carries its number in its pixels, so that a consumer can tell which one it got.

The top rows hold 32 black or white blocks, most significant bit first: 24 bits of the number, 8 bits of a
check sum. Blocks are wide enough to survive JPEG. Below, colours drift to the left, one pixel a picture.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 32
NUMBERS: Final = 1 << 24
MIN_WIDTH_PX: Final = 8 * BITS
BLOCK_HEIGHT_PX: Final = 16
COLOURS: Final = 256


class PatternError(ValueError):
    """A picture that is not one of the pattern, or is damaged."""


class Pattern:
    """Draws pictures (height, width, 3) rgb8."""

    def __init__(self, width: int, height: int) -> None:
        if width < MIN_WIDTH_PX or height <= BLOCK_HEIGHT_PX:
            raise ValueError(
                f"a pattern needs {MIN_WIDTH_PX} x {BLOCK_HEIGHT_PX + 1} px, got {width} x {height}"
            )
        x, y = np.meshgrid(np.arange(width + COLOURS), np.arange(height))
        self._wide = np.stack([x % 256, (x + y) % 256, y % 256], axis=-1).astype(np.uint8)
        self._width = width
        self._block = width // BITS

    def draw(self, number: int) -> NDArray[np.uint8]:
        """The picture of a number (modulo 2 ** 24)."""
        left = number % COLOURS
        image = self._wide[:, left : left + self._width].copy()
        bits = np.unpackbits(np.frombuffer(_code(number % NUMBERS).to_bytes(4, "big"), np.uint8))
        image[:BLOCK_HEIGHT_PX, : BITS * self._block] = np.repeat(bits * 255, self._block)[None, :, None]
        return image


def read_number(image: NDArray[np.uint8]) -> int:
    """Number of a picture (height, width, 3); PatternError where it has none that checks out."""
    block = image.shape[1] // BITS
    if block < 1 or image.shape[0] <= BLOCK_HEIGHT_PX:
        raise PatternError(f"a picture of shape {image.shape} is too small for the pattern")
    middle = image[BLOCK_HEIGHT_PX // 4 : 3 * BLOCK_HEIGHT_PX // 4, : BITS * block].mean(axis=(0, 2))
    levels = middle.reshape(BITS, block)[:, block // 4 : block - block // 4].mean(axis=1)
    code = int.from_bytes(np.packbits(levels > 127.5).tobytes(), "big")
    number = code >> 8
    if _code(number) != code:
        raise PatternError(f"the blocks read {code:#010x}, whose check sum is wrong")
    return number


def _code(number: int) -> int:
    check = ~sum(number.to_bytes(3, "big")) & 0xFF
    return number << 8 | check
