"""`cheng2020-anchor` and `cheng2020-attn`: residual blocks, and attention, around mbt2018's entropy model.

Cheng, Sun, Takeuchi and Katto, "Learned image compression with discretized Gaussian mixture likelihoods and attention
modules", CVPR 2020; as CompressAI trained it, with one Gaussian for each latent in place of a mixture.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from miscomp.codecs.networks.context import JointAutoregressive
from miscomp.codecs.networks.fast import Conv3x3, SubpixelConv3x3
from miscomp.codecs.networks.gdn import GDN
from miscomp.codecs.networks.state_dicts import clean_state, filled, width

_SLOPE = 0.01


def conv3x3(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size but for its stride."""
    return Conv3x3(inputs, outputs) if stride == 1 else nn.Conv2d(inputs, outputs, 3, stride, 1)


def subpixel(inputs: int, outputs: int) -> nn.Sequential:
    """A 3 x 3 convolution to four times the channels, shuffled to twice the size."""
    # The state dict has the convolution under 0; it does the shuffle's work too.
    return nn.Sequential(SubpixelConv3x3(inputs, outputs * 4))


def _leaky(x: Tensor) -> Tensor:
    """Of a tensor that nothing else holds."""
    return nn.functional.leaky_relu(x, _SLOPE, inplace=not torch.is_grad_enabled())


def _sum(one: Tensor, other: Tensor) -> Tensor:
    """Of two tensors, the first of which nothing else holds."""
    return one + other if torch.is_grad_enabled() else one.add_(other)


class ResidualBlock(nn.Module):
    """x + act(conv(act(conv(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv3x3(channels, channels), Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        out: Tensor = self.conv2(self.conv1(x, slope=_SLOPE), slope=_SLOPE, add=x)
        return out


class ResidualDown(nn.Module):
    """To half the size: two convolutions with GDN, beside a 1 x 1 with stride 2."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3x3(inputs, channels, stride=2), conv3x3(channels, channels)
        self.gdn = GDN(channels)
        self.skip = nn.Conv2d(inputs, channels, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h / 2, w / 2)."""
        return _sum(self.gdn(self.conv2(_leaky(self.conv1(x)))), self._skipped(x))

    def _skipped(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            skipped: Tensor = self.skip(x)
            return skipped
        # The same without a stride: for pictures in channels-last order, torch's gradient of a 1 x 1 kernel with a
        # stride writes beyond its memory on a CPU (2.13).
        return nn.functional.conv2d(x[:, :, ::2, ::2], self.skip.weight, self.skip.bias)


class ResidualUp(nn.Module):
    """To twice the size: sub-pixel and plain convolution with inverse GDN, beside a sub-pixel convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.subpel_conv = subpixel(channels, channels)
        self.conv = conv3x3(channels, channels)
        self.igdn = GDN(channels, inverse=True)
        self.upsample = subpixel(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, 2 h, 2 w)."""
        out: Tensor = self.upsample[0](x, add=self.igdn(self.conv(self.subpel_conv[0](x, slope=_SLOPE))))
        return out


class _ResidualUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv = nn.Sequential(
            nn.Conv2d(channels, half, 1), nn.ReLU(), conv3x3(half, half), nn.ReLU(), nn.Conv2d(half, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return nn.functional.relu(_sum(self.conv(x), x))


class AttentionBlock(nn.Module):
    """x + a(x) * sigmoid(b(x)), both branches of residual units."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(_ResidualUnit(channels) for _ in range(3)))
        self.conv_b = nn.Sequential(*(_ResidualUnit(channels) for _ in range(3)), nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return _sum(self.conv_a(x) * self.conv_b(x).sigmoid(), x)


class Cheng2020Anchor(JointAutoregressive):
    """`cheng2020-anchor`."""

    analysis_reach = 4
    synthesis_reach = 7

    def __init__(self, n: int) -> None:
        super().__init__(n, n)
        self.g_a = nn.Sequential(*self._down(n))
        self.g_s = nn.Sequential(*self._up(n))

    def _down(self, n: int) -> list[nn.Module]:
        blocks: list[nn.Module] = []
        for inputs in (3, n, n):
            blocks += [ResidualDown(inputs, n), ResidualBlock(n)]
        return [*blocks, conv3x3(n, n, stride=2)]

    def _up(self, n: int) -> list[nn.Module]:
        blocks: list[nn.Module] = []
        for _ in range(3):
            blocks += [ResidualBlock(n), ResidualUp(n)]
        return [*blocks, ResidualBlock(n), subpixel(n, 3)]

    def _hyper_analysis(self, n: int, m: int) -> nn.Sequential:
        layers: list[nn.Module] = [conv3x3(n, n)]
        for stride in (1, 2, 1, 2):
            layers += [nn.LeakyReLU(), conv3x3(n, n, stride=stride)]
        return nn.Sequential(*layers)

    def _hyper_synthesis(self, n: int, m: int) -> nn.Sequential:
        wide = n * 3 // 2
        layers: list[nn.Module] = [conv3x3(n, n)]
        for layer in (subpixel(n, n), conv3x3(n, wide), subpixel(wide, wide), conv3x3(wide, 2 * n)):
            layers += [nn.LeakyReLU(), layer]
        return nn.Sequential(*layers)


class Cheng2020Attention(Cheng2020Anchor):
    """`cheng2020-attn`."""

    analysis_reach = 8
    synthesis_reach = 11

    def _down(self, n: int) -> list[nn.Module]:
        blocks = super()._down(n)
        return [*blocks[:3], AttentionBlock(n), *blocks[3:], AttentionBlock(n)]

    def _up(self, n: int) -> list[nn.Module]:
        blocks = super()._up(n)
        return [AttentionBlock(n), *blocks[:4], AttentionBlock(n), *blocks[4:]]


def anchor_from_state(state: Mapping[str, Tensor]) -> Cheng2020Anchor:
    """`cheng2020-anchor` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: Cheng2020Anchor(width(state, "g_a.0.conv1.weight")), state)


def attention_from_state(state: Mapping[str, Tensor]) -> Cheng2020Attention:
    """`cheng2020-attn` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: Cheng2020Attention(width(state, "g_a.0.conv1.weight")), state)
