"""ResNet-18 (He et al. 2016, arXiv 1512.03385) without its classifier, BatchNorm or GroupNorm.

Parameters have the names that ImageNet and R3M checkpoints use: conv1, bn1, layer1.0.conv1, ...
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

FEATURE_DIM: Final = 512
CHANNELS_A_GROUP: Final = 16
Norm = Callable[[int], nn.Module]


def batch_norm(channels: int) -> nn.Module:
    """The norm of pretrained weights."""
    return nn.BatchNorm2d(channels)


def group_norm(channels: int) -> nn.Module:
    """The norm of a network that is trained here: no batch statistics, so nothing for an average to break."""
    return nn.GroupNorm(channels // CHANNELS_A_GROUP, channels)


class BasicBlock(nn.Module):
    """(B, inputs, h, w) -> (B, outputs, h / stride, w / stride): two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(y + shortcut)


class ResNet18(nn.Module):
    """Images (B, 3, H, W), already normalised, to features (B, 512); 11,176,512 parameters."""

    def __init__(self, norm: Norm = batch_norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, 1, norm)
        self.layer2 = _stage(64, 128, 2, norm)
        self.layer3 = _stage(128, 256, 2, norm)
        self.layer4 = _stage(256, FEATURE_DIM, 2, norm)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _stage(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride, norm), BasicBlock(outputs, outputs, 1, norm))
