"""The learned detector's network: a small siamese network with a head for each question of the decision tree.

Both pictures go through the same first layers. What differs between them is looked at in place (`changed`), the
reconstruction alone (`suspicion`), and both with their surroundings (`relevant`, `expected`, the category). The
questions are joined as the labelers' tree joins them (SCLIC, Figure 3):
p = changed * relevant * (1 - suspicion * expected).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from miscomp.codecs.layers import ResidualBlock
from miscomp.taxonomy import Category

STRIDE = 16
"""Pixels a side of the coarsest features; pictures are padded to multiples of it."""

HALO = 8
"""Cells of `STRIDE` pixels around a block beyond which nothing reaches the block's results."""

CATEGORIES = tuple(Category)
"""Order of the category scores."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Widths of the network; stored beside the weights."""

    stem: int = 24
    """Channels at 1/2 of the size."""
    features: int = 48
    """Channels of one picture's features at 1/4."""
    local: int = 64
    """Channels of the comparison at 1/4."""
    middle: int = 96
    """Channels at 1/8."""
    wide: int = 128
    """Channels at 1/16."""


class Answers(NamedTuple):
    """One answer for every cell of 4 x 4 pixels: log-odds (b, 1, h / 4, w / 4), categories (b, 3, h / 4, w / 4)."""

    changed: Tensor
    relevant: Tensor
    suspicion: Tensor
    expected: Tensor
    symbol: Tensor
    categories: Tensor

    @property
    def log_p(self) -> Tensor:
        """Logarithm of changed * relevant * (1 - suspicion * expected), at most 0."""
        excused = torch.sigmoid(self.suspicion) * torch.sigmoid(self.expected)
        # Excused answers come close to 1 where both are sure: kept off the logarithm's end.
        left = torch.log1p(-excused.clamp_max(1 - 1e-4))
        logsigmoid = nn.functional.logsigmoid
        return logsigmoid(self.changed) + logsigmoid(self.relevant) + left


class DetectorNetwork(nn.Module):
    """Original and reconstruction in, answers out."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        c = config or NetworkConfig()
        self.config = c
        self.look = nn.Sequential(
            nn.Conv2d(3, c.stem, 5, stride=2, padding=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c.stem, c.features, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            ResidualBlock(c.features),
            nn.LeakyReLU(0.1),
        )
        self.compare = nn.Sequential(nn.Conv2d(3 * c.features, c.local, 1), nn.LeakyReLU(0.1))
        self.down = nn.Sequential(
            nn.Conv2d(c.local, c.middle, 3, stride=2, padding=1), nn.LeakyReLU(0.1), ResidualBlock(c.middle)
        )
        self.deep = nn.Sequential(
            nn.Conv2d(c.middle, c.wide, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            ResidualBlock(c.wide),
            ResidualBlock(c.wide),
        )
        self.rise = nn.Conv2d(c.wide, c.middle, 1)
        self.rise_again = nn.Conv2d(c.middle, c.local, 1)
        self.join = nn.Sequential(nn.LeakyReLU(0.1), nn.Conv2d(c.local, c.local, 3, padding=1), nn.LeakyReLU(0.1))
        self.changed = nn.Conv2d(c.local, 1, 1)
        self.suspicion = nn.Sequential(nn.Conv2d(c.features, 16, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(16, 1, 1))
        self.judge = nn.Conv2d(c.local, 3 + len(CATEGORIES), 1)

    def forward(self, x: Tensor, x_hat: Tensor) -> Answers:
        """Answers for originals and reconstructions (b, 3, h, w) in [0, 1], sides divisible by 16."""
        both = self.look(torch.cat([x, x_hat]) - 0.5)
        a, b = both.chunk(2)
        local = self.compare(torch.cat([a, b, (a - b).abs()], 1))
        middle = self.down(local)
        middle = middle + _twice(self.rise(self.deep(middle)))
        joined = self.join(local + _twice(self.rise_again(middle)))
        relevant, expected, symbol, categories = self.judge(joined).split((1, 1, 1, len(CATEGORIES)), 1)
        return Answers(
            changed=self.changed(local),
            relevant=relevant,
            suspicion=self.suspicion(b),
            expected=expected,
            symbol=symbol,
            categories=categories,
        )


def _twice(x: Tensor) -> Tensor:
    """Each value four times: twice the height and width."""
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")
