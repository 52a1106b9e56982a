"""HiFiC between pixels and latents: its encoder, its generator, and how they work in strips to bound memory.

Mentzer, Toderici, Tschannen and Agustsson, "High-Fidelity Generative Image Compression", NeurIPS 2020, appendix A.
Layers and tensors' names are those of the paper's PyTorch port by Tan and Han.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

_EPSILON = 1e-3

_ENCODER_ROWS = 16
_GENERATOR_ROWS = 8
"""Latents in a strip: the layers at full resolution have 60 channels, a kilobyte for each pixel."""

ENCODER_REACH = 3
"""Latents beyond its own that the encoder looks at: 34 pixels above and on the right, 19 below and on the left."""

_UPSAMPLING_REACH = (1, 2)
"""The same of the generator's last five layers, before and after: 3 and 18 pixels."""


class ChannelNorm(nn.Module):
    """Each position's channels brought to mean 0 and variance 1, then scaled and shifted per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input (b, c, h, w), c at least 2. The variance is the unbiased one."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        centred = x - mean
        scale = torch.rsqrt(variance + _EPSILON)
        if torch.is_grad_enabled():
            return self.gamma * (centred * scale) + self.beta
        return centred.mul_(scale).mul_(self.gamma).add_(self.beta)


class Encoder(nn.Module):
    """A 7 x 7 convolution, four of stride 2 and one to the latents, all padded by reflection."""

    def __init__(self, filters: tuple[int, ...], latents: int) -> None:
        super().__init__()
        self.conv_block1 = _padded(3, nn.Conv2d(3, filters[0], 7), filters[0])
        for index, (width, following) in enumerate(pairwise(filters), start=2):
            # A stride of 2 needs one more pixel on one side only: on the left none, on the right one, above one.
            self.add_module(f"conv_block{index}", _padded((0, 1, 1, 0), nn.Conv2d(width, following, 3, 2), following))
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(filters[-1], latents, 3))

    def forward(self, x: Tensor) -> Tensor:
        """From (b, 3, h, w) to (b, c, h / 16, w / 16)."""
        return in_strips(self._whole, x, cell=(16, 1), reach=(ENCODER_REACH, ENCODER_REACH), rows=_ENCODER_ROWS)

    def _whole(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3 x 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.norm1 = ChannelNorm(channels)
        self.norm2 = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        inner: Tensor = self.norm1(self.conv1(_reflected(x))).relu()
        inner = self.norm2(self.conv2(_reflected(inner)))
        return inner + x if torch.is_grad_enabled() else inner.add_(x)


class Generator(nn.Module):
    """Residual blocks on the latents' grid, then four transposed convolutions to pixels. It draws no noise."""

    def __init__(self, latents: int, filters: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.conv_block_init = nn.Sequential(
            ChannelNorm(latents), nn.ReflectionPad2d(1), nn.Conv2d(latents, filters[0], 3), ChannelNorm(filters[0])
        )
        for index in range(blocks):
            self.add_module(f"resblock_{index}", ResidualBlock(filters[0]))
        for index, (width, following) in enumerate(pairwise(filters), start=1):
            up = nn.ConvTranspose2d(width, following, 3, 2, 1, 1)
            self.add_module(f"upconv_block{index}", nn.Sequential(up, ChannelNorm(following), nn.ReLU()))
        self.conv_block_out = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(filters[-1], 3, 7))

    @property
    def reach(self) -> int:
        """Latents beyond its own that a pixel depends on, at most."""
        return 1 + 2 * self.blocks + max(_UPSAMPLING_REACH)

    def forward(self, y_hat: Tensor) -> Tensor:
        """From (b, c, h, w) to (b, 3, 16 h, 16 w)."""
        head = self.conv_block_init(y_hat)
        x = head
        for index in range(self.blocks):
            x = self.get_submodule(f"resblock_{index}")(x)
        return in_strips(self._to_pixels, x + head, cell=(1, 16), reach=_UPSAMPLING_REACH, rows=_GENERATOR_ROWS)

    def _to_pixels(self, x: Tensor) -> Tensor:
        for index in range(1, 5):
            x = self.get_submodule(f"upconv_block{index}")(x)
        x_hat: Tensor = self.conv_block_out(x)
        return x_hat


def in_strips(
    layers: Callable[[Tensor], Tensor], grid: Tensor, *, cell: tuple[int, int], reach: tuple[int, int], rows: int
) -> Tensor:
    """`layers(grid)`, worked out `rows` latents at a time where no gradient is wanted: memory grows with width alone.

    `cell` is how many rows of the grid and of the result belong to a latent, `reach` how many latents above and below
    its own a row of the result depends on.
    """
    height = grid.shape[2] // cell[0]
    if torch.is_grad_enabled() or height <= rows:
        return layers(grid)
    strips = []
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        first, last = max(start - reach[0], 0), min(stop + reach[1], height)
        strip = layers(grid[:, :, first * cell[0] : last * cell[0]])
        strips.append(strip[:, :, (start - first) * cell[1] : (stop - first) * cell[1]])
    return torch.cat(strips, 2)


def _padded(by: int | tuple[int, int, int, int], layer: nn.Conv2d, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(by), layer, ChannelNorm(channels), nn.ReLU())


def _reflected(x: Tensor) -> Tensor:
    return nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
