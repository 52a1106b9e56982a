"""Coding of lucid's latents: one path for encoder and decoder, which differ only in the function that codes symbols.

Both sides compute mean and scale of each latent from what was decoded before, in whole numbers
(`miscomp.codecs.lucid_integer`), so they come to the same on any machine.

Latents are handled as rows, one per position, and only at the positions that are coded: of the 3 x 3
neighbours of a position that is no anchor, the four that share a side are anchors, the others are 0.
The last channel groups may be absent, as they are at low rates: they are 0 and cost neither bits nor time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.frequencies import SYMBOL_LIMIT
from miscomp.codecs.latent_ports import Sink, Source
from miscomp.codecs.lucid_entropy import HYPER
from miscomp.codecs.lucid_integer import MEAN_BITS, IntegerContext, IntegerEntropy

CodeRows = Callable[[Tensor, Tensor], Tensor]
"""From means in 1/64 and table indexes, both (n, c), to the integer residuals (n, c) as float64."""

Steps = npt.NDArray[np.uint8]

_UNIT = 2**MEAN_BITS


class LatentCoder:
    """Codes latents with the entropy networks; keeps nothing between calls."""

    def __init__(self, networks: IntegerEntropy) -> None:
        self._networks = networks

    def active_groups(self, y: Tensor) -> int:
        """How many groups of y (1, latent, h, w) hold anything; later ones would round to 0 everywhere."""
        sizes = y.abs().amax((0, 2, 3))
        active = [bool((part >= 0.5).any()) for part in torch.split(sizes, list(self._networks.groups))]
        return max((index + 1 for index, one in enumerate(active) if one), default=0)

    def encode(self, y: Tensor, z: Tensor, steps: Steps, sink: Sink, *, groups: int) -> Tensor:
        """Code the first `groups` groups of y (1, latent, h, w), and z (1, hyper, h / 4, w / 4).

        `steps` (h, w) are the local qualities, 0 to 255. Returns y_hat (1, channels of those groups, h, w).
        """
        targets = self._targets(y, z, groups)

        def code(mean: Tensor, indexes: Tensor) -> Tensor:
            residual = next(targets).double().sub_(mean / _UNIT).round_().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)
            symbols = residual.to(torch.int32).flatten().numpy()
            return torch.from_numpy(sink.code(symbols, indexes.flatten().numpy())).double().view_as(mean)

        return self._run(steps, groups, code)

    def decode(self, source: Source, steps: Steps, *, groups: int) -> Tensor:
        """y_hat (1, channels of the first `groups` groups, h, w); raises what the source raises."""

        def code(mean: Tensor, indexes: Tensor) -> Tensor:
            return torch.from_numpy(source.code(indexes.flatten().numpy())).double().view_as(mean)

        return self._run(steps, groups, code)

    def _targets(self, y: Tensor, z: Tensor, groups: int) -> Iterator[Tensor]:
        """What `_run` asks for, in its order."""
        yield _to_rows(z)
        anchor = _anchors(y.shape[2], y.shape[3])
        for part in torch.split(y, list(self._networks.groups), 1)[:groups]:
            rows = _to_rows(part)
            yield rows[anchor]
            yield rows[~anchor]

    def _run(self, steps: Steps, groups: int, code: CodeRows) -> Tensor:
        """Code z, then each channel group's anchors and the group's rest; returns y_hat in float32."""
        networks, (h, w) = self._networks, steps.shape
        z_index = networks.z_index[_means(steps)]
        z_hat = code(torch.zeros(z_index.shape, dtype=torch.float64), z_index)
        prior = networks.prior(z_hat, h // HYPER, w // HYPER)
        local = torch.from_numpy(steps.astype(np.int64)).flatten()
        anchor = _anchors(h, w)
        done: list[Tensor] = []
        for context in networks.contexts[:groups]:
            common = context.common(prior, local, _earlier(context, done, h, w))
            part = torch.zeros(h * w, context.size, dtype=torch.float64)
            mean, index = context.predict(common[anchor], None)
            part[anchor] = code(mean, index).mul_(_UNIT).add_(mean)
            near = _near(context, part, h, w)
            mean, index = context.predict(common[~anchor], near[~anchor])
            part[~anchor] = code(mean, index).mul_(_UNIT).add_(mean)
            done.append(part)
        whole = torch.cat(done, 1) if done else torch.zeros(h * w, 0, dtype=torch.float64)
        return _to_grid(whole.float().mul_(1 / _UNIT), h, w)


def _earlier(context: IntegerContext, done: list[Tensor], h: int, w: int) -> Tensor | None:
    """Values, sizes and the neighbours' sizes of the groups before."""
    if not done:
        return None
    value = context.earlier_in_units(torch.cat(done, 1))
    size = value.abs()
    return torch.cat([value, size, _energy(size, h, w)], 1)


def _near(context: IntegerContext, part: Tensor, h: int, w: int) -> Tensor:
    """What lies around each position: the four neighbours where the group takes signs, and the sum of their sizes."""
    value = context.in_units(part)
    energy = _energy(value.abs(), h, w)
    return torch.cat([*_sides(value, h, w), energy], 1) if context.signed else energy


def _sides(rows: Tensor, h: int, w: int) -> list[Tensor]:
    """The neighbours above, left, right and below each position, (h * w, c) each; 0 outside."""
    padded = torch.nn.functional.pad(rows.view(h, w, -1), (0, 0, 1, 1, 1, 1))
    places = ((0, 1), (1, 0), (1, 2), (2, 1))
    return [padded[row : row + h, column : column + w].reshape(h * w, -1) for row, column in places]


def _energy(size: Tensor, h: int, w: int) -> Tensor:
    """Sum of the four neighbours, (h * w, c); 0 outside."""
    grid = size.view(h, w, -1)
    total = torch.zeros_like(grid)
    total[1:] += grid[:-1]
    total[:-1] += grid[1:]
    total[:, 1:] += grid[:, :-1]
    total[:, :-1] += grid[:, 1:]
    return total.view(h * w, -1)


def _means(steps: Steps) -> Tensor:
    """The mean quality of each hyper-latent's 16 positions, rounded, flat."""
    h, w = steps.shape
    sums = steps.astype(np.int64).reshape(h // HYPER, HYPER, w // HYPER, HYPER).sum((1, 3))
    return torch.from_numpy((sums + HYPER**2 // 2) // HYPER**2).flatten()


def _anchors(h: int, w: int) -> Tensor:
    """Which rows are anchors: (h * w) booleans."""
    return ((torch.arange(h)[:, None] + torch.arange(w)) % 2 == 0).flatten()


def _to_rows(grid: Tensor) -> Tensor:
    """(1, c, h, w) to (h * w, c)."""
    return grid[0].flatten(1).T


def _to_grid(rows: Tensor, h: int, w: int) -> Tensor:
    """(h * w, c) to (1, c, h, w), in the memory order that convolutions on a CPU like."""
    return rows.view(1, h, w, -1).permute(0, 3, 1, 2)
