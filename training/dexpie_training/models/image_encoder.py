"""Frozen image encoders: uint8 images in, one feature vector a camera out, whatever train() is called."""

import hashlib
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


class FrozenImageEncoder(nn.Module):
    """Images (B, H, W, 3), uint8 rgb, to features (B, 512).

    Nothing in it is trained, and its BatchNorm keeps the statistics that it came with: train() of
    this module or of one that holds it leaves it in evaluation mode.
    """

    feature_dim: Final = FEATURE_DIM

    def __init__(self, network: ResNet18) -> None:
        super().__init__()
        self.network = network
        mean, deviation = (torch.tensor(c).view(1, 3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.mean: Tensor
        self.deviation: Tensor
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            raise ValueError(f"images are {images.dtype}, not uint8: values are 0..255, divided by 255 here")
        x = images.permute(0, 3, 1, 2).to(self.mean.dtype) / 255.0
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


def load_r3m(file: Path) -> FrozenImageEncoder:
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
    return FrozenImageEncoder(network)


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


def random_resnet18(seed: int = 0) -> FrozenImageEncoder:
    """An untrained ResNet-18 with GroupNorm: fixed random features, for lack of pretrained weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FrozenImageEncoder(ResNet18(group_norm))
