"""Random crop, turn and colours of pictures, on their device: one resampling, one matrix of colours."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from dexpie_training.config import AugmentationConfig

LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601
DRAWS: Final = 7  # of a picture: turn, two shifts, brightness, contrast, saturation, hue
# Rows: luma and the two differences of colour in which hue is an angle (YIQ, FCC 1953).
YIQ: Final = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class Augmentation:
    """Pictures (B, 3, H, W) in 0..1 to pictures alike; every picture is changed on its own.

    draws (B, DRAWS), in -1..1: the changes of every picture, as shares of the largest ones; not given, they
    come from torch's generator of the pictures' device.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        if not 0.0 < config.crop <= 1.0:
            raise ValueError(f"augmentation.crop {config.crop} must be in (0, 1]")
        self.config = config

    def __call__(self, pictures: Tensor, draws: Tensor | None = None) -> Tensor:
        if draws is None:
            draws = 2.0 * torch.rand(len(pictures), DRAWS, device=pictures.device, dtype=pictures.dtype) - 1.0
        turn, shift_x, shift_y, *colours = draws.to(pictures.dtype).unbind(dim=1)
        return self._recolour(self._resample(pictures, turn, shift_x, shift_y), *colours)

    def _resample(self, pictures: Tensor, turn: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
        """Crop and turn at once; what lies outside repeats the edge."""
        c = self.config
        angle = math.radians(c.rotation_deg) * turn
        shift_x, shift_y = (1.0 - c.crop) * shift_x, (1.0 - c.crop) * shift_y
        cos, sin = c.crop * angle.cos(), c.crop * angle.sin()
        rows = [torch.stack(row, dim=1) for row in ((cos, -sin, shift_x), (sin, cos, shift_y))]
        grid = functional.affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
        return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)

    def _recolour(
        self, pictures: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
    ) -> Tensor:
        """Saturation and hue, then contrast about the mean luma, then brightness."""
        c = self.config
        brightness, contrast, saturation = (
            1.0 + largest * share
            for largest, share in (
                (c.brightness, brightness), (c.contrast, contrast), (c.saturation, saturation),
            )
        )  # fmt: skip
        matrix = _turn_of_hue(2.0 * math.pi * c.hue * hue, saturation)
        coloured = torch.einsum("bij,bjhw->bihw", matrix, pictures)
        luma = torch.tensor(LUMA, device=pictures.device, dtype=pictures.dtype)
        mean = torch.einsum("bihw,i->bhw", coloured, luma).mean(dim=(1, 2))
        gain, offset = brightness * contrast, brightness * (1.0 - contrast) * mean
        return (gain[:, None, None, None] * coloured + offset[:, None, None, None]).clamp(0.0, 1.0)


def _turn_of_hue(angle: Tensor, saturation: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that turn and scale the colours and leave grey as it is."""
    to_yiq = torch.tensor(YIQ, device=angle.device, dtype=angle.dtype)
    cos, sin, zero = saturation * angle.cos(), saturation * angle.sin(), torch.zeros_like(angle)
    rows = [(torch.ones_like(angle), zero, zero), (zero, cos, -sin), (zero, sin, cos)]
    turn = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    matrices: Tensor = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return matrices
