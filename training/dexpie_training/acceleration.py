"""Making an actor's inference faster; every evaluation of its network is changed by rounding alone."""

import os
from typing import Final, Literal

import torch
from torch import Tensor, nn

from dexpie_training.compiled import CompiledModule, engine_installed
from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.models.actor import Actor
from dexpie_training.models.image_encoder import ImageEncoder
from dexpie_training.models.modulation import Modulation
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.models.unet1d import ConditionalUnet1d, Trunk

HALF: Final = torch.bfloat16
HALF_FROM: Final = 2_000_000  # parameters; smaller ones take longer in bfloat16 (`tiny` 1.5 ms against 1.0)
CORES_FROM: Final = 20_000_000  # parameters; smaller ones gain nothing from a second thread
Way = Literal["compiled", "bfloat16", "as it is"]


class Bfloat16Unet(nn.Module):
    """The network in bfloat16, float32 outside; weights are converted once, autocast would at every call."""

    def __init__(self, network: ConditionalUnet1d) -> None:
        super().__init__()
        self.network = network.to(HALF)
        # Its sinusoids of small numbers of steps stay in float32; only its output joins the rest.
        embedding = network.modulator.step_embedding.float()
        embedding.register_forward_hook(lambda module, given, out: out.to(HALF))

    def prepare(self, condition: Tensor, x: Tensor, clean_mask: Tensor | None) -> Tensor:
        """As ConditionalUnet1d, (B, M) bfloat16."""
        return self.network.prepare(condition.to(HALF), x.to(HALF), clean_mask)

    def denoise(self, x: Tensor, step: Tensor, prepared: Tensor, clean_mask: Tensor | None) -> Tensor:
        """As ConditionalUnet1d, (B, T, A) float32."""
        return self.network.denoise(x.to(HALF), step, prepared, clean_mask).to(x.dtype)


class _PlainTrunk(nn.Module):
    """A trunk that takes the parts of the modulation one by one."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor, noisy: Tensor, *clean: Tensor) -> Tensor:
        out: Tensor = self.trunk(x, Modulation(noisy, *clean))
        return out


class CompiledTrunk(nn.Module):
    """The convolutions of the U-Net, compiled."""

    def __init__(self, trunk: Trunk, half: bool) -> None:
        super().__init__()
        self.compiled = CompiledModule(_PlainTrunk(trunk), half)

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        """As Trunk."""
        m = modulation
        clean = () if m.to_clean is None or m.clean_mask is None else (m.to_clean, m.clean_mask)
        out: Tensor = self.compiled(x, m.noisy, *clean)
        return out


class _Pixels(nn.Module):
    """Pictures to features, compiled; the rest of an ImageEncoder's manners kept."""

    def __init__(self, encoder: ImageEncoder, half: bool) -> None:
        super().__init__()
        self.compiled = CompiledModule(encoder, half)

    def forward(self, images: Tensor, change: None = None) -> Tensor:
        """As ImageEncoder, in evaluation."""
        out: Tensor = self.compiled(images)
        return out


def accelerate(actor: Actor) -> Way:
    """Make U-Net and picture network as fast as this device allows; how that was done.

    An actor that is accelerated is for inference only.
    """
    device = next(actor.unet.parameters()).device
    half = computes_in_bfloat16(device)
    if device.type == "cpu" and engine_installed():
        _compile(actor, half and _size(actor.unet.trunk) >= HALF_FROM, half)
        return "compiled"
    if not half:
        return "as it is"
    actor.unet = Bfloat16Unet(actor.unet)  # type: ignore[assignment]
    if isinstance(actor.encoder, PictureEncoder):
        pixels: nn.Module = actor.encoder.pixels.to(HALF)
        pixels.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return "bfloat16"


def _compile(actor: Actor, half: bool, half_pixels: bool) -> None:
    actor.unet.modulator.tabulate(actor.diffusion.config.train_steps)
    actor.unet.trunk = CompiledTrunk(actor.unet.trunk, half)  # type: ignore[assignment]
    if isinstance(actor.encoder, PictureEncoder):
        actor.encoder.pixels = _Pixels(actor.encoder.pixels, half_pixels)  # type: ignore[assignment]


def suitable_threads(network: nn.Module) -> int:
    """Threads that make inference with this U-Net fastest on a CPU."""
    return len(os.sched_getaffinity(0)) if _size(network) >= CORES_FROM else 1


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
