"""Classifier-free guidance in one batch: the unconditional half first, then the conditional one."""

import torch
from torch import Tensor

from dexpie_training.diffusion import Denoiser


def combine(unconditional: Tensor, conditional: Tensor, beta: float) -> Tensor:
    """(1 - beta) unconditional + beta conditional: at 0 and 1 exactly the one and the other.

    Holds for predicted noise and predicted chunks alike: at a given step the one is an affine function of
    the other, and the weights add up to 1 (Ho & Salimans 2022, with beta = 1 + w).
    """
    return (1.0 - beta) * unconditional + beta * conditional


def guided(both: Denoiser, beta: float) -> Denoiser:
    """Denoiser of B rows out of `both`, which takes 2B rows, those without a condition first."""

    def predict(x: Tensor, step: Tensor, clean_mask: Tensor | None) -> Tensor:
        mask = None if clean_mask is None else torch.cat([clean_mask, clean_mask])
        unconditional, conditional = both(torch.cat([x, x]), torch.cat([step, step]), mask).chunk(2)
        return combine(unconditional, conditional, beta)

    return predict
