"""A codec's transforms over pictures of any size, block by block, so that memory stays bounded and no seam shows.

Each block takes in as much around it as its network can see, so that what is kept of it is what the whole picture
would give: there is no seam to hide. Networks that see the whole picture at once have no such border; their blocks
overlap and are faded into each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from miscomp.codecs.blocks import Block, Span, spans
from miscomp.codecs.networks.base import Network
from miscomp.images import Pixels
from miscomp.tensors import to_pixels, to_tensor


class NotFinite(ValueError):
    """Weights gave values that are no pixels."""


def blocks(height: int, width: int, *, most: int, reach: int, align: int = 1) -> list[Block]:
    """Blocks of at most `most` latents a side (or one alignment), with up to `reach` more on every inner side.

    What is computed of each begins and ends at multiples of `align`.
    """
    rows, columns = (spans(length, -(-length // most), halo=reach, align=align) for length in (height, width))
    return [Block(row, column) for row, column in product(rows, columns)]


def analyse(network: Network, pictures: Sequence[Pixels]) -> Tensor:
    """y (b, c, h, w) in float32 for b pictures of one size, whose sides are multiples of the network's."""
    rows, columns = (side // network.stride for side in pictures[0].shape[:2])
    y = torch.empty(len(pictures), network.latent_channels, rows, columns)
    for block in _of(network, rows, columns, reach=network.blended or network.analysis_reach):
        top, left = block.rows.times(network.stride), block.columns.times(network.stride)
        x = torch.cat([to_tensor(pixels[top.computed, left.computed]) for pixels in pictures])
        part = network.analyse(_input(network, x))
        y[:, :, block.rows.kept, block.columns.kept] = part[:, :, block.rows.inner, block.columns.inner].float()
    return y


def synthesise(network: Network, y_hat: Tensor, *, height: int, width: int, seed: int = 0) -> Pixels:
    """Pixels (height, width, 3) of y_hat (1, c, h, w). Raises `NotFinite`."""
    rows, columns = y_hat.shape[2:]
    noise = network.noise(seed, rows * network.stride, columns * network.stride)
    found = _of(network, rows, columns, reach=network.blended or network.synthesis_reach)
    if network.blended and len(found) > 1:
        return _faded(network, y_hat, noise, found)[:height, :width]
    whole: Pixels = np.empty((rows * network.stride, columns * network.stride, 3), dtype=np.uint8)
    for block in found:
        x_hat = _part(network, y_hat, noise, block)
        top, left = block.rows.times(network.stride), block.columns.times(network.stride)
        whole[top.kept, left.kept] = to_pixels(x_hat[:, :, top.inner, left.inner])
    return np.ascontiguousarray(whole[:height, :width])


def _faded(network: Network, y_hat: Tensor, noise: Tensor | None, found: list[Block]) -> Pixels:
    """Blocks that overlap by `blended` latents on both sides, each weighted by its distance from its own border."""
    side = network.stride
    total = torch.zeros(1, 3, y_hat.shape[2] * side, y_hat.shape[3] * side)
    weights = torch.zeros(1, 1, *total.shape[2:])
    for block in found:
        top, left = block.rows.times(side), block.columns.times(side)
        ramps = [_ramp(span, length) for span, length in zip((top, left), total.shape[2:], strict=True)]
        weight = (ramps[0][:, None] * ramps[1])[None, None]
        total[:, :, top.computed, left.computed] += weight * _part(network, y_hat, noise, block)
        weights[:, :, top.computed, left.computed] += weight
    return to_pixels(total / weights)


def _ramp(span: Span, length: int) -> Tensor:
    """Weights along one side of a block: rising from a cut to where the neighbour ends, 1 at the picture's border."""
    start, stop = span.computed.start, span.computed.stop
    place = torch.arange(start, stop) + 0.5
    weight = torch.ones(stop - start)
    if start > 0:
        weight = torch.minimum(weight, (place - start) / (2 * (span.kept.start - start)))
    if stop < length:
        weight = torch.minimum(weight, (stop - place) / (2 * (stop - span.kept.stop)))
    return weight


def _of(network: Network, rows: int, columns: int, *, reach: int) -> list[Block]:
    return blocks(rows, columns, most=network.block, reach=reach, align=network.align)


def _part(network: Network, y_hat: Tensor, noise: Tensor | None, block: Block) -> Tensor:
    top, left = block.rows.times(network.stride), block.columns.times(network.stride)
    part = _input(network, y_hat[:, :, block.rows.computed, block.columns.computed])
    start = None if noise is None else _input(network, noise[:, :, top.computed, left.computed])
    x_hat = network.synthesise(part, start).float().cpu()
    if not bool(torch.isfinite(x_hat).all()):
        raise NotFinite
    return x_hat


def _input(network: Network, value: Tensor) -> Tensor:
    """On the network's device, in its precision, in the memory order that convolutions like."""
    like = next(network.parameters())
    return value.to(device=like.device, dtype=like.dtype).contiguous(memory_format=torch.channels_last)
