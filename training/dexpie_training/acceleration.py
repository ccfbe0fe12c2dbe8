"""Making an actor's inference faster; every evaluation of its network is changed by rounding alone."""

from typing import Final

import torch
from torch import Tensor, nn

from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.models.actor import Actor
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.models.unet1d import ConditionalUnet1d

HALF: Final = torch.bfloat16


class Bfloat16Unet(nn.Module):
    """The network in bfloat16, float32 outside; weights are converted once, autocast would at every call."""

    def __init__(self, network: ConditionalUnet1d) -> None:
        super().__init__()
        self.network = network.to(HALF)
        # Its sinusoids of small numbers of steps stay in float32; only its output joins the rest.
        network.step_embedding.float().register_forward_hook(lambda module, given, out: out.to(HALF))

    def forward(self, x: Tensor, step: Tensor, condition: Tensor, clean_mask: Tensor | None = None) -> Tensor:
        """As ConditionalUnet1d, (B, T, A) float32."""
        out: Tensor = self.network(x.to(HALF), step, condition.to(HALF), clean_mask)
        return out.to(x.dtype)


def accelerate(actor: Actor) -> bool:
    """Bring U-Net and picture network to bfloat16 where the device computes in it; whether it did.

    An actor that is accelerated is for inference only.
    """
    device = next(actor.unet.parameters()).device
    if not computes_in_bfloat16(device):
        return False
    actor.unet = Bfloat16Unet(actor.unet)  # type: ignore[assignment]
    if isinstance(actor.encoder, PictureEncoder):
        pixels: nn.Module = actor.encoder.pixels.to(HALF)
        pixels.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return True
