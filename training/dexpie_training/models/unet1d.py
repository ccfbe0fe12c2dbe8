"""Conditional 1D U-Net over the steps of an action chunk (Diffusion Policy, Chi et al. 2023).

Channels are the action's numbers, length is the chunk's steps. Every residual block is modulated by
FiLM (scale and bias) from the denoising step and the condition vector.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from dexpie_training.config import UnetConfig
from dexpie_training.models.modulation import Modulation, Modulator
from dexpie_training.models.step_conv import StepNorm, StepUp, joined, step_conv


class ConvBlock(nn.Sequential):
    """Conv1d, GroupNorm, Mish: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, groups: int) -> None:
        super().__init__(
            step_conv(channels_in, channels_out, kernel_size),
            StepNorm(groups, channels_out),
            nn.Mish(),
        )


class FilmBlock(nn.Module):
    """Two ConvBlocks with FiLM between them and a shortcut: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, first_column: int, config: UnetConfig) -> None:
        super().__init__()
        self.first = ConvBlock(channels_in, channels_out, config.kernel_size, config.groups)
        self.second = ConvBlock(channels_out, channels_out, config.kernel_size, config.groups)
        self.film = slice(first_column, first_column + 2 * channels_out)
        self.shortcut = (
            step_conv(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        )

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        scale, bias = modulation.of(self.film, x.shape[-1])
        # 1 + scale, so that an untrained modulation passes the signal through.
        out: Tensor = self.second((1.0 + scale) * self.first(x) + bias) + self.shortcut(x)
        return out


class FilmPair(nn.Module):
    """Two FilmBlocks: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, first_column: int, config: UnetConfig) -> None:
        super().__init__()
        self.first = FilmBlock(channels_in, channels_out, first_column, config)
        self.second = FilmBlock(channels_out, channels_out, self.first.film.stop, config)

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        out: Tensor = self.second(self.first(x, modulation), modulation)
        return out


class Trunk(nn.Module):
    """The convolutions: (B, T, in) and a modulation (B, modulation_dim) -> (B, T, out)."""

    def __init__(self, channels_in: int, channels_out: int, config: UnetConfig) -> None:
        super().__init__()
        self.modulation_dim = 0
        dims = config.down_dims
        self.down = nn.ModuleList(self._pair(a, b, config) for a, b in pairwise((channels_in, *dims)))
        self.shrink = nn.ModuleList(step_conv(w, w, 3, stride=2) for w in dims[:-1])
        self.middle = self._pair(dims[-1], dims[-1], config)
        # A level of the way up takes its input and the skip of the same size, and hands on the width above.
        ups = list(zip(dims[:0:-1], dims[-2::-1], strict=True))
        self.up = nn.ModuleList(self._pair(2 * a, b, config) for a, b in ups)
        self.grow = nn.ModuleList(StepUp(b, b) for _, b in ups)
        first = ConvBlock(dims[0], dims[0], config.kernel_size, config.groups)
        self.head = nn.Sequential(first, step_conv(dims[0], channels_out, 1))

    def _pair(self, channels_in: int, channels_out: int, config: UnetConfig) -> FilmPair:
        pair = FilmPair(channels_in, channels_out, self.modulation_dim, config)
        self.modulation_dim = pair.second.film.stop
        return pair

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        h = x.transpose(1, 2)
        skips: list[Tensor] = []
        for level, pair in enumerate(self.down):
            h = pair(h, modulation)
            skips.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        h = self.middle(h, modulation)
        for pair, grow in zip(self.up, self.grow, strict=True):
            h = grow(pair(joined(h, skips.pop()), modulation))
        out: Tensor = self.head(h).transpose(1, 2)
        return out


class ConditionalUnet1d(nn.Module):
    """Predicts the noise in a chunk (B, T, A) from the denoising step (B,) and a condition (B, C)."""

    def __init__(self, action_dim: int, condition_dim: int, config: UnetConfig) -> None:
        super().__init__()
        self.config = config
        self.length_multiple = 2 ** (len(config.down_dims) - 1)
        self.trunk = Trunk(action_dim + int(config.prefix_marking == "mask_channel"), action_dim, config)
        self.modulator = Modulator(action_dim, condition_dim, self.trunk.modulation_dim, config)

    def forward(self, x: Tensor, step: Tensor, condition: Tensor, clean_mask: Tensor | None = None) -> Tensor:
        """Noise (B, T, A) in x (B, T, A).

        step (B,) denoising step of the noisy part; condition (B, C); clean_mask (B, T) true where x
        is a given, noiseless prefix (None: nowhere). T must be divisible by 2^(levels - 1).
        """
        return self.denoise(x, step, self.prepare(condition, x, clean_mask), clean_mask)

    def prepare(self, condition: Tensor, x: Tensor, clean_mask: Tensor | None) -> Tensor:
        """What stays the same at every denoising step, (B, M): of a condition (B, C) and the prefix in x."""
        part: Tensor = self.modulator.of_condition(condition, x, clean_mask)
        return part

    def denoise(self, x: Tensor, step: Tensor, prepared: Tensor, clean_mask: Tensor | None) -> Tensor:
        """As forward, with the condition prepared."""
        if x.shape[1] % self.length_multiple:
            raise ValueError(f"chunk length {x.shape[1]} is not divisible by {self.length_multiple}")
        modulation = self.modulator(step, prepared, clean_mask)
        if self.config.prefix_marking == "mask_channel":
            marks = torch.zeros_like(x[..., :1]) if clean_mask is None else clean_mask[..., None].to(x.dtype)
            x = torch.cat([x, marks], dim=-1)
        out: Tensor = self.trunk(x, modulation)
        return out
