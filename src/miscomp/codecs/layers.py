"""Building blocks of the transforms, chosen for a CPU: dense 3 x 3 convolutions at a quarter of the size and below."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv(act(conv(x))), two dense 3 x 3 convolutions; starts close to the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        out: Tensor = x + self.conv2(nn.functional.leaky_relu(self.conv1(x), 0.1))
        return out


class WideBlock(nn.Module):
    """x + pointwise(act(pointwise(depthwise 5 x 5(x)))): wide reach for few operations, used at 1/16."""

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.widen = nn.Conv2d(channels, expansion * channels, 1)
        self.narrow = nn.Conv2d(expansion * channels, channels, 1)
        with torch.no_grad():
            self.narrow.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        out: Tensor = x + self.narrow(nn.functional.leaky_relu(self.widen(self.depthwise(x)), 0.1))
        return out


def upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Pointwise convolution and pixel shuffle: twice the size, `out_channels` channels."""
    return nn.Sequential(nn.Conv2d(in_channels, 4 * out_channels, 1), nn.PixelShuffle(2))
