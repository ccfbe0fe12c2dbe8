"""The actor: encoder, condition, conditional U-Net, normalisation and diffusion as one module."""

import torch
from torch import Tensor, nn

from dexpie_core.action_space import ACTION_DIM
from dexpie_training.config import ActorConfig
from dexpie_training.diffusion import Denoiser, Diffusion
from dexpie_training.guidance import guided
from dexpie_training.models.embeddings import make_condition
from dexpie_training.models.encoders import make_encoder
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.models.unet1d import ConditionalUnet1d
from dexpie_training.normalisation import ActionNormaliser

_Chunk = tuple[Tensor, Tensor | None]  # (B, T, A) and its mask (B, T) of clean steps


class Actor(nn.Module):
    """Chunks (B, H, 15), relative to the observed TCP pose, given observations and an optimality."""

    def __init__(self, config: ActorConfig, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config.encoder, config.state_names)
        self.condition = make_condition(config.condition)
        condition_dim = self.encoder.feature_dim + (config.condition.dim if self.condition else 0)
        self.unet = ConditionalUnet1d(ACTION_DIM, condition_dim, config.unet)
        self.normaliser = ActionNormaliser(config.horizon, config.action_scale)
        self.diffusion = Diffusion(config.diffusion, device)
        self.to(device)

    def denoiser(
        self,
        features: Tensor,
        optimality: Tensor,
        masked: Tensor,
        given: _Chunk | None = None,
    ) -> Denoiser:
        """What the network predicts given features (B, F) and optimality (B,), withheld where masked (B,).

        given: a chunk (B, H, 15) and its mask (B, H) of clean steps, where these are the same at every call:
        what follows from them is computed once.
        """
        if self.condition is not None:
            features = torch.cat([features, self.condition(optimality, masked)], dim=-1)
        known = None if given is None else self.unet.prepare(features, *given)

        def predict(x: Tensor, step: Tensor, clean_mask: Tensor | None) -> Tensor:
            prepared = self.unet.prepare(features, x, clean_mask) if known is None else known
            output: Tensor = self.unet.denoise(x, step, prepared, clean_mask)
            return output.to(x.dtype)

        return predict

    def forward(
        self, observations: ObservationBatch, relative: Tensor, optimality: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Training loss (scalar) of relative chunks (B, H, 15), not normalised, of optimality (B,)."""
        clean = self.normaliser.normalise(relative)
        drawn = torch.rand(len(optimality), generator=generator).to(optimality.device)
        masked = drawn < self.config.condition.mask_probability
        denoiser = self.denoiser(self.encoder(observations), optimality, masked)
        return self.diffusion.loss(denoiser, clean, generator)

    def sample(
        self,
        observations: ObservationBatch,
        noise: Tensor,
        prefix: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        """Relative chunks (B, H, 15) of optimality 1 from noise (B, H, 15), given prefixes (B, n, 15).

        guidance: beta (default: the configuration's); without a condition there is nothing to guide.
        """
        prefix = noise[:, :0] if prefix is None else self.normaliser.normalise(prefix)
        beta = self.config.condition.guidance if guidance is None else guidance
        denoiser = self._optimal(self.encoder(observations), beta, *self.diffusion.imposed(noise, prefix))
        return self.normaliser.denormalise(self.diffusion.sample(denoiser, noise, prefix))

    def _optimal(self, features: Tensor, beta: float, chunk: Tensor, clean_mask: Tensor | None) -> Denoiser:
        """Denoiser of chunks of optimality 1 whose clean steps are those of a chunk (B, H, 15)."""
        count = len(features)
        if self.condition is None or beta in (0.0, 1.0):
            masked = torch.full((count,), beta == 0.0, device=features.device)
            return self.denoiser(features, features.new_ones(count), masked, (chunk, clean_mask))
        masked = torch.arange(2 * count, device=features.device) < count  # first the unconditional half
        twice = (
            torch.cat([chunk, chunk]),
            None if clean_mask is None else torch.cat([clean_mask, clean_mask]),
        )
        both = self.denoiser(torch.cat([features, features]), features.new_ones(2 * count), masked, twice)
        return guided(both, beta)


def parameter_count(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
