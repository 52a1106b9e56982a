"""Coding of lucid's latents: one path for encoder and decoder, which differ only in the function that codes symbols.

Both sides compute mean and scale of each latent from what was decoded before, and must come to the same.
The networks therefore run in float64. A scale only chooses a row of a table, by comparison with fixed
borders, and a mean only shifts the reconstruction; the rounding differences between devices, thread
counts and library versions are about 1e-15 of a value, so that they almost never cross a border. Where
one does, the decoded symbols are wrong from there on, and the stream's checksum over them shows it: such
a file cannot be decoded on that machine, and no wrong picture comes out.

Latents are handled as rows, one per position, and only at the positions that are coded: of the 3 x 3
neighbours of a position that is no anchor, the four that share a side are anchors, the others are 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from miscomp.codecs.entropy import SYMBOL_LIMIT, SymbolDecoder, SymbolEncoder, scale_index
from miscomp.codecs.lucid_model import EntropyNetworks, GroupContext, expect, positive_scale

CodeRows = Callable[[Tensor, Tensor], Tensor]
"""From means and table indexes, both (n, c), to the integer residuals (n, c) as float64."""

HYPER = 4
"""Latents a side per hyper-latent."""

_SIDES = ((0, 1), (1, 0), (1, 2), (2, 1))
"""Rows and columns, in a 3 x 3 kernel, of the neighbours that share a side."""


class LatentCoder:
    """The entropy networks in float64. The given networks are copied and stay as they are."""

    def __init__(self, networks: EntropyNetworks) -> None:
        self._networks = copy.deepcopy(networks).double().cpu().requires_grad_(False)

    def encode(self, y: Tensor, z: Tensor, quality: float, crc: int) -> tuple[bytes, int, Tensor]:
        """Code y (1, latent, h, w) and z (1, hyper, h / 4, w / 4).

        Returns the payload, the CRC-32 of the symbols after those that `crc` stands for, and y_hat in float64.
        """
        encoder = SymbolEncoder(crc)
        targets = self._targets(y.double(), z.double())

        def code(mean: Tensor, indexes: Tensor) -> Tensor:
            residual = (next(targets) - mean).round_().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)
            encoder.code(residual.flatten().numpy(), indexes.flatten().numpy())
            return residual

        y_hat = self._run(quality, (y.shape[2], y.shape[3]), code)
        return encoder.finish(), encoder.crc, y_hat

    def decode(self, payload: bytes, size: tuple[int, int], quality: float, crc: int) -> tuple[Tensor, int]:
        """y_hat (1, latent, h, w) for `size` (h, w), both multiples of 4, and the CRC-32 of the symbols.

        Raises `ValueError` for bytes that cannot be decoded; others that are damaged show in the CRC-32 alone.
        """
        decoder = SymbolDecoder(payload, crc)

        def code(mean: Tensor, indexes: Tensor) -> Tensor:
            return torch.from_numpy(decoder.code(indexes.flatten().numpy())).double().view_as(mean)

        y_hat = self._run(quality, size, code)
        return y_hat, decoder.crc

    def _targets(self, y: Tensor, z: Tensor) -> Iterator[Tensor]:
        """What `_run` asks for, in its order."""
        yield _to_rows(z)
        anchor = _anchors(y.shape[2], y.shape[3])
        for part in torch.split(_to_rows(y), list(self._networks.config.groups), 1):
            yield part[anchor]
            yield part[~anchor]

    def _run(self, quality: float, size: tuple[int, int], code: CodeRows) -> Tensor:
        """Code z, then each channel group's anchors and the group's rest; returns y_hat."""
        networks, (h, w) = self._networks, size
        z_scale = networks.z_scale(torch.tensor([quality], dtype=torch.float64)).flatten()
        z_mean = torch.zeros(h // HYPER * (w // HYPER), len(z_scale), dtype=torch.float64)
        z_hat = code(z_mean, scale_index(z_scale.expand_as(z_mean)))
        prior = _to_rows(networks.h_s(_to_grid(z_hat, h // HYPER, w // HYPER)))
        anchor = _anchors(h, w)
        done: list[Tensor] = []
        for context in networks.contexts:
            rows = _ContextRows(expect(context, GroupContext))
            earlier = torch.cat(done, 1) if done else None
            part = prior.new_zeros(h * w, rows.size)
            mean, scale = rows.predict(prior, earlier, anchor, None)
            part[anchor] = code(mean, scale_index(scale)) + mean
            mean, scale = rows.predict(prior, earlier, ~anchor, _neighbours(part, h, w)[~anchor])
            part[~anchor] = code(mean, scale_index(scale)) + mean
            done.append(part)
        return _to_grid(torch.cat(done, 1), h, w)


class _ContextRows:
    """A `GroupContext` that works on rows: its convolutions as matrices."""

    def __init__(self, context: GroupContext) -> None:
        spatial = context.spatial
        self.size = spatial.in_channels
        if spatial.bias is None:
            raise TypeError("the context's convolution needs a bias")
        kernel = torch.cat([spatial.weight[:, :, row, column] for row, column in _SIDES], 1)
        self._spatial = (kernel, spatial.bias)
        self._channel = context.channel
        self._fuse = context.fuse
        self._unit = context.unit.flatten()
        self._earlier_unit = context.earlier_unit.flatten()

    def predict(
        self, prior: Tensor, earlier: Tensor | None, where: Tensor, neighbours: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale (n, size) at the positions `where`; no `neighbours` means all are 0."""
        kernel, bias = self._spatial
        if neighbours is None:
            spatial = bias.expand(int(where.sum()), -1)
        else:
            spatial = nn.functional.linear(neighbours / self._unit.repeat(len(_SIDES)), kernel, bias)
        parts = [prior[where], spatial]
        if self._channel is not None and earlier is not None:
            parts.append(_pointwise(self._channel, earlier[where] / self._earlier_unit))
        hidden = self._fuse[1](_pointwise(self._fuse[0], torch.cat(parts, 1)))
        mean, raw = _pointwise(self._fuse[2], hidden).chunk(2, 1)
        return mean * self._unit, positive_scale(raw)


def _pointwise(convolution: nn.Module, rows: Tensor) -> Tensor:
    """A 1 x 1 convolution on rows."""
    pointwise = expect(convolution, nn.Conv2d)
    return nn.functional.linear(rows, pointwise.weight[:, :, 0, 0], pointwise.bias)


def _anchors(h: int, w: int) -> Tensor:
    """Which rows are anchors: (h * w) booleans."""
    return ((torch.arange(h)[:, None] + torch.arange(w)) % 2 == 0).flatten()


def _neighbours(rows: Tensor, h: int, w: int) -> Tensor:
    """The values of the four neighbours of each position, (h * w, 4 * c); 0 outside."""
    padded = nn.functional.pad(rows.view(h, w, -1), (0, 0, 1, 1, 1, 1))
    sides = [padded[row : row + h, column : column + w] for row, column in _SIDES]
    return torch.cat(sides, 2).view(h * w, -1)


def _to_rows(grid: Tensor) -> Tensor:
    """(1, c, h, w) to (h * w, c)."""
    return grid[0].flatten(1).T.contiguous()


def _to_grid(rows: Tensor, h: int, w: int) -> Tensor:
    """(h * w, c) to (1, c, h, w)."""
    return rows.T.reshape(1, -1, h, w)
