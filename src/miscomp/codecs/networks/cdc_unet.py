"""The denoising network of `cdc`, a U-Net that sees the picture's content at its first levels, and the parts of it.

Yang and Mandt, "Lossy Image Compression with Conditional Diffusion Models", NeurIPS 2023, appendix; names of tensors
as in the checkpoints of its x-parameterisation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

SLOPE = 0.2
"""Of the leaky ReLUs below 0."""

_EPS = 1e-5


class ChannelNorm(nn.Module):
    """Each position's channels to mean 0 and variance 1, then gain `g` and bias `b`, both (1, c, 1, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.b = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape; channels last in memory, which every layer that follows keeps and is faster with."""
        rows = x.permute(0, 2, 3, 1)
        normed: Tensor = nn.functional.layer_norm(rows, rows.shape[3:], self.g.flatten(), self.b.flatten(), _EPS)
        return normed.permute(0, 3, 1, 2)


class Condition(NamedTuple):
    """What a residual block makes of the channels that stay the same in all steps."""

    inner: Tensor
    """Their share in the block's first convolution."""
    skip: Tensor
    """Their share in its skip connection."""


class ResidualBlock(nn.Module):
    """Two convolutions with norm and ReLU beside a skip connection; between them the embedded time is added."""

    def __init__(self, inputs: int, outputs: int, *, time: int = 0, kernel: int = 3) -> None:
        """`time` is the width of the embedded time, 0 for a block that knows none."""
        super().__init__()
        self.mlp = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Linear(time, outputs)) if time else None
        self.block1 = _block(inputs, outputs, kernel)
        self.block2 = _block(outputs, outputs, 3)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None, given: Condition | None = None) -> Tensor:
        """(b, outputs, h, w). With `given`, x has the channels before those that it stands for."""
        convolution, *rest = cast(nn.Sequential, self.block1[0])
        h = _first_channels(cast(nn.Conv2d, convolution), x)
        if given is not None:
            h = _sum(h, given.inner)
        for layer in rest:
            h = layer(h)
        if self.mlp is not None and time is not None:
            h = _sum(h, self.mlp(time)[:, :, None, None])
        return _sum(self.block2(h), self._skip(x, given))

    def condition(self, constant: Tensor) -> Condition:
        """What `forward` needs of the last channels of its input, so that they are convolved once for all steps."""
        constant = constant.contiguous(memory_format=torch.channels_last)
        first = cast(nn.Conv2d, cast(nn.Sequential, self.block1[0])[0])
        inner = nn.functional.conv2d(constant, first.weight[:, -constant.shape[1] :], padding=first.padding)
        if isinstance(self.res_conv, nn.Conv2d):
            constant = nn.functional.conv2d(constant, self.res_conv.weight[:, -constant.shape[1] :])
        return Condition(inner, constant)

    def _skip(self, x: Tensor, given: Condition | None) -> Tensor:
        if isinstance(self.res_conv, nn.Conv2d):
            skip = _first_channels(self.res_conv, x)
            return skip if given is None else _sum(skip, given.skip)
        return x if given is None else torch.cat((x, given.skip), 1)


def _first_channels(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return nn.functional.conv2d(x, layer.weight[:, : x.shape[1]], layer.bias, padding=cast(int, layer.padding))


def _sum(mine: Tensor, other: Tensor) -> Tensor:
    """mine + other; in the place of `mine`, which nobody else holds, unless gradients need it."""
    return mine + other if torch.is_grad_enabled() else mine.add_(other)


def _block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), ChannelNorm(outputs), nn.ReLU(inplace=True)
    )
    return nn.Sequential(OrderedDict(block=layers))


def halved(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution to half the size."""
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, 2, 1)))


def doubled(inputs: int, outputs: int) -> nn.Sequential:
    """A transposed convolution to twice the size."""
    return nn.Sequential(OrderedDict(conv=nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)))


class LinearAttention(nn.Module):
    """Attention whose keys are softmaxed over all positions, so that its cost grows with the picture's area only.

    Queries and values never exist as pictures: queries, keys' summary, values and output are products of matrices, and
    those that do not depend on the position are multiplied with one another first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = nn.ModuleDict(
            {
                "to_qkv": nn.Conv2d(channels, 3 * channels, 1, bias=False),
                "to_out": nn.Conv2d(channels, channels, 1),
            }
        )
        self.fn = nn.ModuleDict({"fn": inner, "norm": ChannelNorm(channels)})

    def forward(self, x: Tensor) -> Tensor:
        """Same shape; every position depends on every other."""
        inner = cast(nn.ModuleDict, self.fn["fn"])
        to_qkv, to_out = cast(nn.Conv2d, inner["to_qkv"]), cast(nn.Conv2d, inner["to_out"])
        rows = self.fn["norm"](x).permute(0, 2, 3, 1).flatten(1, 2)
        query, key, value = to_qkv.weight[:, :, 0, 0].chunk(3)
        summary = (rows @ key.T).softmax(1).transpose(1, 2) @ rows
        mixing = to_out.weight[:, :, 0, 0] @ (summary @ value.T).transpose(1, 2) @ query * x.shape[1] ** -0.5
        mixed = torch.baddbmm(cast(Tensor, to_out.bias), rows, mixing.transpose(1, 2))
        return _sum(mixed.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2), x)


class Denoiser(nn.Module):
    """From a noisy picture, its time and its content to the picture without noise."""

    def __init__(self, time: int, widths: Sequence[int], content: Sequence[int]) -> None:
        """`time` is the width of the embedded time, `widths` of the levels, `content` of the first levels' content."""
        super().__init__()
        self.time_mlp = nn.Sequential(nn.Linear(1, 4 * time), nn.GELU(), nn.Linear(4 * time, time))
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        given = [*content, *[0] * (len(widths) - len(content))]
        for level, (inputs, outputs) in enumerate(pairwise((3, *widths))):
            first = ResidualBlock(inputs + given[level], outputs, time=time, kernel=3 if level else 7)
            rest = (ResidualBlock(outputs, outputs, time=time), LinearAttention(outputs))
            last = halved(outputs, outputs) if level < len(widths) - 1 else nn.Identity()
            self.downs.append(nn.ModuleList([first, *rest, last]))
        self.mid_block1 = ResidualBlock(widths[-1], widths[-1], time=time)
        self.mid_attn = LinearAttention(widths[-1])
        self.mid_block2 = ResidualBlock(widths[-1], widths[-1], time=time)
        for inputs, outputs in pairwise(reversed(widths)):
            first = ResidualBlock(2 * inputs, outputs, time=time)
            rest = (ResidualBlock(outputs, outputs, time=time), LinearAttention(outputs))
            self.ups.append(nn.ModuleList([first, *rest, doubled(outputs, outputs)]))
        self.final_conv = nn.Sequential(ChannelNorm(widths[0]), nn.Conv2d(widths[0], 3, 7, padding=3))

    def conditions(self, content: Sequence[Tensor]) -> list[Condition]:
        """What stays the same in all steps, of the content of the first levels, the finest first."""
        firsts = [cast(ResidualBlock, cast(nn.ModuleList, level)[0]) for level in self.downs]
        return [first.condition(constant) for first, constant in zip(firsts, content, strict=False)]

    def forward(self, x: Tensor, time: Tensor, given: Sequence[Condition]) -> Tensor:
        """(b, 3, h, w) for x of that shape, sides multiples of 2^(levels - 1), and `time` (1, 1) in [0, 1]."""
        embedded = self.time_mlp(time)
        x = x.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for level, parts in enumerate(self.downs):
            first, second, attention, resize = cast(nn.ModuleList, parts)
            x = first(x, embedded, given[level] if level < len(given) else None)
            x = attention(second(x, embedded))
            if level:  # the finest level's is never used again
                skips.append(x)
            x = resize(x)
        x = self.mid_block1(x, embedded)
        x = self.mid_block2(self.mid_attn(x), embedded)
        for parts in self.ups:
            first, second, attention, resize = cast(nn.ModuleList, parts)
            x = first(torch.cat((x, skips.pop()), 1), embedded)
            x = resize(attention(second(x, embedded)))
        denoised: Tensor = self.final_conv(x)
        return denoised
