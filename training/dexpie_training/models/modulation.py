"""What modulates the blocks of the U-Net, as scales and biases (FiLM): denoising step, condition, prefix."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from dexpie_training.config import UnetConfig
from dexpie_training.models.embeddings import StepEmbedding

CLEAN_STEP: Final = -1  # the denoising step of a token that carries no noise


@dataclass(frozen=True)
class Modulation:
    """Scales and biases of all blocks side by side, (B, M).

    With a mask, a step's modulation is that of its own noise level: `noisy + to_clean` where it carries no
    noise, `noisy` elsewhere. On coarser levels, where one position covers several steps, the two are mixed in
    proportion. So a step embedding for every step of the chunk costs one row more, not T.
    """

    noisy: Tensor  # (B, M)
    to_clean: Tensor | None = None  # (B, M)
    clean_mask: Tensor | None = None  # (B, T), 1.0 where clean

    def of(self, columns: slice, length: int) -> tuple[Tensor, Tensor]:
        """Scale and bias of the block of these columns at `length` positions, (B, C, length or 1) each."""
        film = self.noisy[:, columns, None]
        if self.to_clean is not None and self.clean_mask is not None:
            share = self.clean_mask.reshape(len(self.clean_mask), length, -1).mean(dim=-1)[:, None]
            film = film + share * self.to_clean[:, columns, None]
        scale, bias = film.chunk(2, dim=1)
        return scale, bias


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


class Modulator(nn.Module):
    """One linear layer of all blocks over [step, condition, prefix], kept as two.

    The one over the step has a row a denoising step, the one over the rest a row a chunk: the larger one is
    not repeated while a chunk is denoised.
    """

    def __init__(self, action_dim: int, condition_dim: int, width: int, config: UnetConfig) -> None:
        super().__init__()
        self.per_step_time = config.prefix_marking == "per_step_time"
        self.step_embedding = StepEmbedding(config.step_dim)
        self.prefix_encoder = PrefixEncoder(action_dim, config) if config.prefix_features else None
        inputs = condition_dim + config.prefix_features
        self.step_film = nn.Linear(config.step_dim, width)
        self.condition_film = nn.Linear(inputs, width, bias=False)
        bound = 1.0 / math.sqrt(config.step_dim + inputs)  # as nn.Linear of all inputs together
        for values in (self.step_film.weight, self.step_film.bias, self.condition_film.weight):
            nn.init.uniform_(values, -bound, bound)
        self._table: Tensor | None = None

    def tabulate(self, steps: int) -> None:
        """Compute the part of denoising steps -1..steps-1 once, for inference with weights that stay."""
        with torch.no_grad():
            self._table = self.of_step(torch.arange(CLEAN_STEP, steps, device=self.step_film.weight.device))

    def of_condition(self, condition: Tensor, x: Tensor, clean_mask: Tensor | None) -> Tensor:
        """The part (B, M) of a condition (B, C) and of the clean steps of x (B, T, A)."""
        if self.prefix_encoder is not None:
            condition = torch.cat([condition, self.prefix_encoder(x, clean_mask)], dim=-1)
        part: Tensor = self.condition_film(nn.functional.mish(condition))
        return part

    def of_step(self, step: Tensor) -> Tensor:
        """The part (B, M) of denoising steps (B,)."""
        if self._table is not None:
            return self._table[step - CLEAN_STEP]
        part: Tensor = self.step_film(nn.functional.mish(self.step_embedding(step)))
        return part

    def forward(self, step: Tensor, of_condition: Tensor, clean_mask: Tensor | None) -> Modulation:
        """The modulation at denoising steps (B,), given the other part (B, M) and which steps are clean."""
        of_step = self.of_step(step)
        if clean_mask is None or not self.per_step_time:
            return Modulation(of_step + of_condition)
        to_clean = self.of_step(step.new_full((1,), CLEAN_STEP)) - of_step
        return Modulation(of_step + of_condition, to_clean, clean_mask.to(of_step.dtype))
