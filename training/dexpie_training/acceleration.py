"""Making an actor's inference faster; every evaluation of its network is changed by rounding alone."""

import os
from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor, nn

from dexpie_training.compiled import CapturedModule, CompiledModule, HalfModule, engine_installed
from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.models.actor import Actor
from dexpie_training.models.image_encoder import ImageEncoder
from dexpie_training.models.modulation import Modulation
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.models.unet1d import Trunk

HALF_FROM: Final = 2_000_000  # parameters; smaller ones take longer in bfloat16 (`tiny` 1.5 ms against 1.0)
CORES_FROM: Final = 20_000_000  # parameters; smaller ones gain nothing from a second thread
Way = Literal["compiled", "captured", "bfloat16", "as it is"]
Wrap = Callable[[nn.Module], nn.Module]


class _PlainTrunk(nn.Module):
    """A trunk that takes the parts of the modulation one by one."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor, noisy: Tensor, *clean: Tensor) -> Tensor:
        out: Tensor = self.trunk(x, Modulation(noisy, *clean))
        return out


class FastTrunk(nn.Module):
    """The convolutions of the U-Net, wrapped."""

    def __init__(self, trunk: Trunk, wrap: Wrap) -> None:
        super().__init__()
        self.fast = wrap(_PlainTrunk(trunk))

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:
        """As Trunk."""
        m = modulation
        clean = () if m.to_clean is None or m.clean_mask is None else (m.to_clean, m.clean_mask)
        out: Tensor = self.fast(x, m.noisy, *clean)
        return out


class FastPixels(nn.Module):
    """The network behind the pictures, wrapped; without augmentation."""

    def __init__(self, encoder: ImageEncoder, wrap: Wrap) -> None:
        super().__init__()
        self.fast = wrap(encoder)

    def forward(self, images: Tensor, change: None = None) -> Tensor:
        """As ImageEncoder, in evaluation."""
        out: Tensor = self.fast(images)
        return out


def accelerate(actor: Actor) -> Way:
    """Make U-Net and picture network as fast as this device allows; how that was done.

    An actor that is accelerated is for inference only.
    """
    device = next(actor.unet.parameters()).device
    way, wrap = _way(device, computes_in_bfloat16(device))
    if wrap is not None:
        actor.unet.modulator.tabulate(actor.diffusion.config.train_steps)
        actor.unet.trunk = FastTrunk(actor.unet.trunk, wrap)  # type: ignore[assignment]
        if isinstance(actor.encoder, PictureEncoder):
            actor.encoder.pixels = FastPixels(actor.encoder.pixels, wrap)  # type: ignore[assignment]
    return way


def _way(device: torch.device, half: bool) -> tuple[Way, Wrap | None]:
    if device.type == "cpu" and engine_installed():
        return "compiled", lambda module: CompiledModule(module, half and _size(module) >= HALF_FROM)
    if device.type == "cuda":
        return "captured", lambda module: CapturedModule(HalfModule(module) if half else module)
    return ("bfloat16", HalfModule) if half else ("as it is", None)


def suitable_threads(network: nn.Module) -> int:
    """Threads that make inference with this U-Net fastest on a CPU."""
    return len(os.sched_getaffinity(0)) if _size(network) >= CORES_FROM else 1


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
