"""The actor: encoder, conditional U-Net, normalisation and diffusion as one module."""

import torch
from torch import Tensor, nn

from dexpie_core.action_space import ACTION_DIM
from dexpie_training.config import ActorConfig
from dexpie_training.diffusion import Denoiser, Diffusion
from dexpie_training.models.encoders import ObservationBatch, make_encoder
from dexpie_training.models.unet1d import ConditionalUnet1d
from dexpie_training.normalisation import ActionNormaliser


class Actor(nn.Module):
    """Chunks (B, H, 15), relative to the observed TCP pose, given observations."""

    def __init__(self, config: ActorConfig, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config.encoder, config.state_names)
        self.unet = ConditionalUnet1d(ACTION_DIM, self.encoder.feature_dim, config.unet)
        self.normaliser = ActionNormaliser(config.horizon, config.action_range == "step")
        self.diffusion = Diffusion(config.diffusion, device)
        self.to(device)

    def denoiser(self, features: Tensor) -> Denoiser:
        """What the network predicts under the condition `features` (B, F).

        This is the place of guidance: more branches are more rows of one batch.
        """

        def predict(x: Tensor, step: Tensor, clean_mask: Tensor | None) -> Tensor:
            output: Tensor = self.unet(x, step, features, clean_mask)
            return output.to(x.dtype)

        return predict

    def forward(self, observations: ObservationBatch, relative: Tensor, generator: torch.Generator) -> Tensor:
        """Training loss (scalar) of relative chunks (B, H, 15), not normalised."""
        clean = self.normaliser.normalise(relative)
        return self.diffusion.loss(self.denoiser(self.encoder(observations)), clean, generator)

    def sample(self, observations: ObservationBatch, noise: Tensor, prefix: Tensor | None = None) -> Tensor:
        """Relative chunks (B, H, 15) from noise (B, H, 15), given relative prefixes (B, n, 15)."""
        given = None if prefix is None else self.normaliser.normalise(prefix)
        x = self.diffusion.sample(self.denoiser(self.encoder(observations)), noise, given)
        return self.normaliser.denormalise(x)


def parameter_count(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
