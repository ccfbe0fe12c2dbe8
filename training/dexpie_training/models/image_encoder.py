"""Image encoders: uint8 images in, one feature vector a camera out, whatever train() is called."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Self

import torch
from torch import Tensor, nn

from dexpie_core.errors import UsageError
from dexpie_training.models.resnet import FEATURE_DIM, ResNet18, batch_norm, group_norm

ImageEncoderName = Literal["r3m", "resnet18"]
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
R3M_KEY: Final = "r3m"
R3M_PREFIX: Final = "module.convnet."


class ImageEncoder(nn.Module):
    """Images (B, H, W, 3), uint8 rgb, to features (B, 512).

    Frozen, nothing in it is trained. Frozen or not, its BatchNorm keeps the statistics that it came with:
    train() of this module or of one that holds it leaves it in evaluation mode.
    """

    feature_dim: Final = FEATURE_DIM

    def __init__(self, network: ResNet18, frozen: bool = True) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen
        mean, deviation = (torch.tensor(c).view(1, 3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.mean: Tensor
        self.deviation: Tensor
        self.requires_grad_(not frozen)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Features (B, 512); `change`: what to do with pictures (B, 3, H, W) in 0..1 before they are seen."""
        if images.dtype != torch.uint8:
            raise ValueError(f"images are {images.dtype}, not uint8: values are 0..255, divided by 255 here")
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = images.permute(0, 3, 1, 2).to(self.mean.dtype) / 255.0
            if change is not None:
                x = change(x)
            features: Tensor = self.network((x - self.mean) / self.deviation)
        return features

    @property
    def sha256(self) -> str:
        """Hash of all weights and statistics."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def load_r3m(file: Path) -> ImageEncoder:
    """R3M's ResNet-18 from its own checkpoint format (`model.pt` of r3m_18).

    The file holds {"r3m": parameters}, those of the network under `module.convnet.`; the language heads
    beside them are not used. Raises UsageError where it is missing or of another network.
    """
    stored = _read(file)
    own = {
        name.removeprefix(R3M_PREFIX): value for name, value in stored.items() if name.startswith(R3M_PREFIX)
    }
    network = ResNet18(batch_norm)
    try:
        network.load_state_dict(own, strict=True)
    except RuntimeError:
        expected = network.state_dict()
        odd = sorted(expected.keys() ^ own.keys()) or [
            name for name in expected if expected[name].shape != own[name].shape
        ]
        raise UsageError(
            f"--weights {file}: not the ResNet-18 of R3M, {len(odd)} parameters differ (first: {odd[0]}); "
            "give model.pt of r3m_18"
        ) from None
    return ImageEncoder(network)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)  # data alone: no code is run
    except FileNotFoundError:
        raise UsageError(f"--weights {file}: no such file; give model.pt of r3m_18") from None
    except Exception as error:  # torch raises types of its own
        reason = str(error).splitlines()[0]
        raise UsageError(f"--weights {file}: cannot be read as a checkpoint ({reason})") from None
    parameters = content.get(R3M_KEY) if isinstance(content, dict) else None
    if not isinstance(parameters, dict):
        raise UsageError(f"--weights {file}: not a checkpoint of R3M, entry {R3M_KEY!r} is missing")
    return parameters


def random_resnet18(seed: int = 0) -> ImageEncoder:
    """An untrained ResNet-18 with GroupNorm: fixed random features, for lack of pretrained weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_image_encoder("resnet18")


def make_image_encoder(kind: ImageEncoderName, frozen: bool = True) -> ImageEncoder:
    """The network of a kind, its weights drawn from torch's generator."""
    return ImageEncoder(ResNet18(batch_norm if kind == "r3m" else group_norm), frozen)
