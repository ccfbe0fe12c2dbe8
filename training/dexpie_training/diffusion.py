"""Denoising diffusion over action chunks: training noise, prefix conditioning and the DDIM sampler.

Forward process of DDPM (Ho et al. 2020), 50 steps, squared-cosine schedule (Nichol & Dhariwal 2021),
noise prediction; sampling with deterministic DDIM (Song et al. 2021) in 10 steps. The arithmetic
follows diffusers' DDPMScheduler and DDIMScheduler, which the tests take as the reference.

A prefix is the part of a chunk that is already decided: it is given to the network without noise,
in training for random lengths and in sampling before every step (training-time real-time chunking).
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from dexpie_training.config import DiffusionConfig

# (x (B, T, A), step (B,), clean mask (B, T) or None) -> prediction (B, T, A), see Diffusion.target
Denoiser = Callable[[Tensor, Tensor, Tensor | None], Tensor]

MAX_BETA: Final = 0.999


def alphas_cumprod(steps: int) -> Tensor:
    """Share of signal variance left after each of `steps` steps, squaredcos_cap_v2, (steps,) float32."""

    def signal(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((i + 1) / steps) / signal(i / steps), MAX_BETA) for i in range(steps)]
    return torch.cumprod(1.0 - torch.tensor(betas, dtype=torch.float32), dim=0)


class Diffusion:
    """Noising, loss and sampling for one configuration; holds tables, no parameters."""

    def __init__(self, config: DiffusionConfig, device: torch.device | str = "cpu") -> None:
        if config.train_steps % config.sample_steps:
            raise ValueError(
                f"sample_steps {config.sample_steps} does not divide train_steps {config.train_steps}"
            )
        self.config = config
        self._signal_share = alphas_cumprod(config.train_steps).to(device)
        self._table = self._ddim_table(self._signal_share)

    def _ddim_table(self, share: Tensor) -> list[tuple[int, float, float, float, float]]:
        """Rows (step, sqrt(a), sqrt(1-a), sqrt(a_next), sqrt(1-a_next)), first step first."""
        stride = self.config.train_steps // self.config.sample_steps
        rows = []
        for step in reversed(range(0, self.config.train_steps, stride)):
            a = float(share[step])
            following = float(share[step - stride]) if step >= stride else 1.0
            rows.append((step, a**0.5, (1 - a) ** 0.5, following**0.5, max(1.0 - following, 0.0) ** 0.5))
        return rows

    def add_noise(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """q(x_step | clean): (B, T, A), steps (B,)."""
        share = self._signal_share[step][:, None, None]
        return share.sqrt() * clean + (1.0 - share).sqrt() * noise

    def target(self, clean: Tensor, noise: Tensor) -> Tensor:
        """What the network is to predict: the noise (Ho et al. 2020), or the chunk itself.

        The noise can only be told from a nearly clean chunk by one who knows the chunk to a few
        millimetres, so most of the noise's loss says nothing before that; predicting the chunk needs
        many times fewer training steps for the same accuracy (as DP3, Ze et al. 2024).
        """
        return noise if self.config.prediction == "epsilon" else clean

    def draw_prefix_lengths(self, count: int, generator: torch.Generator) -> Tensor:
        """Random prefix lengths (count,) int64: 0 without a prefix, else uniform on 0..max_delay."""
        c = self.config
        kept = c.prefix_probability if c.prefix_probability_means == "keep" else 1.0 - c.prefix_probability
        lengths = torch.randint(0, c.max_delay + 1, (count,), generator=generator)
        return lengths * (torch.rand(count, generator=generator) < kept)

    def loss(self, denoiser: Denoiser, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of the prediction over the steps that are not prefix (scalar).

        clean (B, T, A) normalised chunks. Noise is drawn on the generator's device, so that a run is
        reproducible from its seed.
        """
        count, length, _ = clean.shape
        step = torch.randint(0, self.config.train_steps, (count,), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        lengths = self.draw_prefix_lengths(count, generator).to(clean.device)
        return self.loss_given(denoiser, clean, noise, step, prefix_mask(lengths, length))

    def loss_given(
        self, denoiser: Denoiser, clean: Tensor, noise: Tensor, step: Tensor, mask: Tensor
    ) -> Tensor:
        """`loss` for given noise (B, T, A), steps (B,) and prefix mask (B, T)."""
        noisy = torch.where(mask[..., None], clean, self.add_noise(clean, noise, step))
        predicted = denoiser(noisy, step, mask).to(torch.float32)
        error = (predicted - self.target(clean, noise)).square().mean(dim=-1)
        rest = (~mask).to(error.dtype)
        return (error * rest).sum() / rest.sum().clamp(min=1.0)

    def imposed(self, x: Tensor, prefix: Tensor) -> tuple[Tensor, Tensor | None]:
        """x (B, T, A) headed by the steps of prefix (B, n, A), and their mask (B, T): None for n = 0."""
        n = prefix.shape[1]
        if not n:
            return x, None
        lengths = torch.full((len(x),), n, device=x.device)
        return _headed(x, prefix), prefix_mask(lengths, x.shape[1])

    def sample(self, denoiser: Denoiser, noise: Tensor, prefix: Tensor | None = None) -> Tensor:
        """Chunks (B, T, A) from noise (B, T, A), with the steps of prefix (B, n, A) imposed throughout."""
        prefix = noise[:, :0] if prefix is None else prefix
        x, mask = self.imposed(noise, prefix)
        bound = self.config.clip_sample
        step_tensor = torch.empty(x.shape[0], dtype=torch.int64, device=x.device)
        for step, signal, noise_level, next_signal, next_noise_level in self._table:
            predicted = denoiser(x, step_tensor.fill_(step), mask).to(x.dtype)
            if self.config.prediction == "sample":
                clean, noise_there = predicted, x.sub(predicted, alpha=signal).div_(noise_level)
            else:
                clean, noise_there = (x / signal).sub_(predicted, alpha=noise_level / signal), predicted
            x = clean.clamp(-bound, bound).mul_(next_signal).add_(noise_there, alpha=next_noise_level)
            x = _headed(x, prefix)
        return x


def _headed(x: Tensor, prefix: Tensor) -> Tensor:
    n = prefix.shape[1]
    return torch.cat([prefix, x[:, n:]], dim=1) if n else x


def prefix_mask(lengths: Tensor, horizon: int) -> Tensor:
    """True on the first lengths[b] steps: (B,) -> (B, horizon)."""
    return torch.arange(horizon, device=lengths.device)[None, :] < lengths[:, None]
