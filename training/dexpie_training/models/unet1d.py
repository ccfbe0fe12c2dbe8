"""Conditional 1D U-Net over the steps of an action chunk (Diffusion Policy, Chi et al. 2023).

Channels are the action's numbers, length is the chunk's steps. Every residual block is modulated by
FiLM (scale and bias) from the denoising step and the condition vector.
"""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from dexpie_training.config import UnetConfig
from dexpie_training.models.embeddings import StepEmbedding

CLEAN_STEP: Final = -1  # the denoising step of a token that carries no noise


class ConvBlock(nn.Sequential):
    """Conv1d, GroupNorm, Mish: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, groups: int) -> None:
        super().__init__(
            nn.Conv1d(channels_in, channels_out, kernel_size, padding=kernel_size // 2),
            nn.GroupNorm(groups, channels_out),
            nn.Mish(),
        )


class FilmCondition:
    """What modulates the blocks: one vector a sample, or two and a mask of clean steps.

    With a mask, a step's modulation is that of its own noise level: `clean` where it carries no
    noise, `noisy` elsewhere. On coarser levels, where one position covers several steps, the
    modulations are mixed in proportion. So a per-step embedding costs two rows, not T.
    """

    def __init__(self, noisy: Tensor, clean: Tensor | None = None, clean_mask: Tensor | None = None) -> None:
        self.noisy = nn.functional.mish(noisy)  # (B, E)
        self.clean = None if clean is None else nn.functional.mish(clean)  # (B, E)
        self._mask = clean_mask  # (B, T) float
        self._shares: dict[int, Tensor] = {}

    def clean_share(self, length: int) -> Tensor:
        """Share of clean steps under each of `length` positions, (B, 1, length)."""
        assert self._mask is not None
        if length not in self._shares:
            blocks = self._mask.reshape(self._mask.shape[0], 1, length, -1)
            self._shares[length] = blocks.mean(dim=-1)
        return self._shares[length]


class FilmBlock(nn.Module):
    """Two ConvBlocks with FiLM between them and a shortcut: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, condition_dim: int, config: UnetConfig) -> None:
        super().__init__()
        self.first = ConvBlock(channels_in, channels_out, config.kernel_size, config.groups)
        self.second = ConvBlock(channels_out, channels_out, config.kernel_size, config.groups)
        self.film = nn.Linear(condition_dim, 2 * channels_out)
        self.shortcut = (
            nn.Conv1d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        )

    def forward(self, x: Tensor, condition: FilmCondition) -> Tensor:
        film = self.film(condition.noisy)[:, :, None]
        if condition.clean is not None:
            clean = self.film(condition.clean)[:, :, None]
            film = film + condition.clean_share(x.shape[-1]) * (clean - film)
        scale, bias = film.chunk(2, dim=1)
        # 1 + scale, so that an untrained modulation passes the signal through.
        out: Tensor = self.second((1.0 + scale) * self.first(x) + bias) + self.shortcut(x)
        return out


class FilmPair(nn.Module):
    """Two FilmBlocks: (B, in, T) -> (B, out, T)."""

    def __init__(self, channels_in: int, channels_out: int, condition_dim: int, config: UnetConfig) -> None:
        super().__init__()
        self.first = FilmBlock(channels_in, channels_out, condition_dim, config)
        self.second = FilmBlock(channels_out, channels_out, condition_dim, config)

    def forward(self, x: Tensor, condition: FilmCondition) -> Tensor:
        out: Tensor = self.second(self.first(x, condition), condition)
        return out


class PrefixEncoder(nn.Module):
    """The clean steps at the head of a chunk as one vector: (B, T, A), mask (B, T) -> (B, prefix_features).

    What was commanded last tells where in its motion the arm is, which one observation without history
    does not. The convolutions see it too, but learn to use it much later.
    """

    def __init__(self, action_dim: int, config: UnetConfig) -> None:
        super().__init__()
        self.steps = config.prefix_steps
        width = 2 * config.prefix_features
        self.mlp = nn.Sequential(
            nn.Linear(self.steps * (action_dim + 1), width),
            nn.Mish(),
            nn.Linear(width, config.prefix_features),
        )

    def forward(self, x: Tensor, clean_mask: Tensor | None) -> Tensor:
        head = x[:, : self.steps]
        mask = x.new_zeros(head.shape[:2]) if clean_mask is None else clean_mask[:, : self.steps].to(x.dtype)
        features: Tensor = self.mlp(torch.cat([(head * mask[..., None]).flatten(1), mask], dim=1))
        return features


class ConditionalUnet1d(nn.Module):
    """Predicts the noise in a chunk (B, T, A) from the denoising step (B,) and a condition (B, C)."""

    def __init__(self, action_dim: int, condition_dim: int, config: UnetConfig) -> None:
        super().__init__()
        self.config = config
        self.length_multiple = 2 ** (len(config.down_dims) - 1)
        self.step_embedding = StepEmbedding(config.step_dim)
        film_dim = config.step_dim + condition_dim + config.prefix_features
        self.prefix_encoder = PrefixEncoder(action_dim, config) if config.prefix_features else None

        def pair(channels_in: int, channels_out: int) -> FilmPair:
            return FilmPair(channels_in, channels_out, film_dim, config)

        channels_in = action_dim + int(config.prefix_marking == "mask_channel")
        widths = (channels_in, *config.down_dims)
        self.down = nn.ModuleList(pair(a, b) for a, b in pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv1d(w, w, 3, stride=2, padding=1) for w in config.down_dims[:-1])
        deepest = config.down_dims[-1]
        self.middle = pair(deepest, deepest)
        # A level of the way up takes its input and the skip of the same size, and hands on the width above.
        ups = list(zip(config.down_dims[:0:-1], config.down_dims[-2::-1], strict=True))
        self.up = nn.ModuleList(pair(2 * a, b) for a, b in ups)
        self.grow = nn.ModuleList(nn.ConvTranspose1d(b, b, 4, stride=2, padding=1) for _, b in ups)
        first = config.down_dims[0]
        self.head = nn.Sequential(
            ConvBlock(first, first, config.kernel_size, config.groups), nn.Conv1d(first, action_dim, 1)
        )

    def forward(self, x: Tensor, step: Tensor, condition: Tensor, clean_mask: Tensor | None = None) -> Tensor:
        """Noise (B, T, A) in x (B, T, A).

        step (B,) denoising step of the noisy part; condition (B, C); clean_mask (B, T) true where x
        is a given, noiseless prefix (None: nowhere). T must be divisible by 2^(levels - 1).
        """
        if x.shape[1] % self.length_multiple:
            raise ValueError(f"chunk length {x.shape[1]} is not divisible by {self.length_multiple}")
        if self.prefix_encoder is not None:
            condition = torch.cat([condition, self.prefix_encoder(x, clean_mask)], dim=-1)
        film = self._film(step, condition, clean_mask)
        h = x.transpose(1, 2)  # (B, A, T)
        if self.config.prefix_marking == "mask_channel":
            marks = torch.zeros_like(h[:, :1]) if clean_mask is None else clean_mask[:, None].to(h.dtype)
            h = torch.cat([h, marks], dim=1)
        skips: list[Tensor] = []
        for level, pair in enumerate(self.down):
            h = pair(h, film)
            skips.append(h)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        h = self.middle(h, film)
        for pair, grow in zip(self.up, self.grow, strict=True):
            h = grow(pair(torch.cat([h, skips.pop()], dim=1), film))
        out: Tensor = self.head(h).transpose(1, 2)
        return out

    def _film(self, step: Tensor, condition: Tensor, clean_mask: Tensor | None) -> FilmCondition:
        noisy = torch.cat([self.step_embedding(step), condition], dim=-1)
        if clean_mask is None or self.config.prefix_marking != "per_step_time":
            return FilmCondition(noisy)
        clean_step = self.step_embedding(torch.full_like(step, CLEAN_STEP))
        clean = torch.cat([clean_step, condition], dim=-1)
        return FilmCondition(noisy, clean, clean_mask.to(noisy.dtype))
