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


def quality_shares(quality: Tensor, steps: int) -> Tensor:
    """Shares (b, steps, h, w) of evenly spaced anchors over [0, 1] in qualities (b, 1, h, w).

    They are those of linear interpolation: at most two are above 0, and they add up to 1.
    """
    position = quality.clamp(0, 1) * (steps - 1)
    anchors = torch.arange(steps, device=quality.device, dtype=quality.dtype)[None, :, None, None]
    return (1 - (position - anchors).abs()).clamp_min(0)


class QualityBias(nn.Module):
    """A vector per quality, piecewise linear between anchors; starts at 0."""

    def __init__(self, steps: int, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(steps, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """Vectors (b, channels, h, w) for qualities (b, 1, h, w) in [0, 1]."""
        shares = quality_shares(quality, self.table.shape[0])
        return nn.functional.conv2d(shares, self.table.T[:, :, None, None])


class GainTable(nn.Module):
    """A positive vector per quality, piecewise log-linear between anchors."""

    def __init__(self, steps: int, channels: int, *, low: float, high: float) -> None:
        super().__init__()
        # A plain list: on the meta device, where weights files are checked, torch's linspace and repeat import sympy.
        ramp = torch.tensor([low + (high - low) * step / (steps - 1) for step in range(steps)])
        self.log_gain = nn.Parameter(ramp[:, None].expand(steps, channels).contiguous())

    def forward(self, quality: Tensor) -> Tensor:
        """Gains (b, channels, h, w) for qualities (b, 1, h, w) in [0, 1]."""
        # In float32 whatever autocast says: in bfloat16 the logarithm of a gain would be off by a percent.
        with torch.autocast(quality.device.type, enabled=False):
            shares = quality_shares(quality.float(), self.log_gain.shape[0])
            return nn.functional.conv2d(shares, self.log_gain.float().T[:, :, None, None]).exp()
