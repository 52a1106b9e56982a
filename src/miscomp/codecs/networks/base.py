"""What the networks of every published codec offer, so that one piece of code turns any of them into real files.

A codec's networks are an `nn.Module` whose state dict has the published layout. Between pixels and latents they work in
floating point (`analyse`, `synthesise`). What turns latents into bits has two forms: `forward` estimates the
rate in floating point, as the authors' code does, for training and for comparison; `latent_coder` gives the form that
streams are made with, which works in whole numbers (`miscomp.codecs.exact`) and codes through a `Port`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import UNIT
from miscomp.codecs.frequencies import SYMBOL_LIMIT, Counts
from miscomp.codecs.gaussian import SCALE_BORDERS, SCALE_TABLE

GAUSSIANS = len(SCALE_TABLE)
"""Tables 0 to GAUSSIANS - 1 are Gaussians of `SCALE_TABLE`; those of the codec's own channels follow."""


class Estimate(NamedTuple):
    """What `forward` returns for pictures (b, 3, h, w)."""

    x_hat: Tensor
    """(b, 3, h, w), not clamped."""
    y_bits: Tensor
    """(b): bits of the latents by the model's likelihoods."""
    z_bits: Tensor
    """(b): bits of the hyper-latents; 0 for a codec without."""

    @property
    def bits(self) -> Tensor:
        """(b): all bits."""
        return self.y_bits + self.z_bits


class Port(Protocol):
    """Where latents leave to a stream or come from one. The same calls in the same order on both sides."""

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        """Code values around `mean` under the tables at `index`; returns what a decoder will have.

        `mean` and the result are float64 whole numbers in units of 2^-FRACTION, `index` is int64, all of one shape.
        `target` is what should be coded, in the network's own numbers (not units), of that shape: the encoder
        needs it, the decoder has none.
        """
        ...


class LatentCoder(Protocol):
    """A codec's entropy model in whole numbers; keeps nothing between calls."""

    @property
    def tables(self) -> Sequence[Counts]:
        """Frequencies of the codec's own tables, each (2 * SYMBOL_LIMIT + 1) with the sum `frequencies.TOTAL`.

        The first has the index GAUSSIANS.
        """
        ...

    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """Code latents of `height` x `width`, both multiples of `Network.hyper`: one path for encoder and decoder.

        The encoder gives y (1, c, height, width) in float32, the decoder none. Returns y_hat (1, c, height, width) in
        float32, the same on both sides. Raises what the port raises.
        """
        ...


class Network(nn.Module, ABC):
    """A codec's networks."""

    stride = 16
    """Pixels a side that a latent stands for."""
    hyper = 4
    """Latents a side that a hyper-latent stands for; pictures are padded to multiples of stride * hyper pixels."""
    block = 48
    """Most latents a side that are worked on at a time; bounds memory."""
    align = 1
    """Blocks begin and end at multiples of so many latents: the windows of window attention."""
    analysis_reach: int = 0
    """Latents beyond a block that `analyse` can see; with as many around it, a block comes out as in the whole."""
    synthesis_reach: int = 0
    """Latents beyond a block that `synthesise` can see."""
    seeded = False
    """Whether `synthesise` starts from random numbers."""
    steps = 0
    """How many steps a seeded codec's decoding takes; part of the stream. 0 for the others."""
    most_steps = 130
    """Most steps that a stream may ask for: its decoding takes that many times as long."""
    blended = 0
    """Latents over which neighbouring blocks are blended, where a network sees the whole picture at once (`cdc`) and no
    reach makes a block come out as in the whole; 0 for networks with a finite reach."""

    @property
    @abstractmethod
    def latent_channels(self) -> int:
        """Channels of y."""

    @abstractmethod
    def analyse(self, x: Tensor) -> Tensor:
        """From x (b, 3, h, w) in [0, 1] to y (b, c, h / stride, w / stride)."""

    @abstractmethod
    def synthesise(self, y_hat: Tensor, noise: Tensor | None = None) -> Tensor:
        """From y_hat (b, c, h, w) to x_hat (b, 3, h * stride, w * stride), about [0, 1], not clamped.

        A seeded codec starts from `noise` of x_hat's shape; the others take none.
        """

    def noise(self, seed: int, height: int, width: int) -> Tensor | None:
        """What a seeded codec's decoding of h x w pixels starts from: (1, 3, height, width), the same everywhere.

        None for the others. A large picture's is drawn as a whole and cut, so that its tiles agree.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Estimate:
        """x (b, 3, h, w) in [0, 1], sides multiples of stride * hyper, through the whole codec without a stream.

        While training, quantisation is uniform noise; otherwise rounding, as the authors' code has it.
        """

    @abstractmethod
    def latent_coder(self) -> LatentCoder:
        """The entropy model in whole numbers, of the weights as they are now. Raises `ValueError` if it has none."""


def scale_index(scale: Tensor, *, lower: float) -> Tensor:
    """Index of the Gaussian table nearest to a scale in units of 2^-FRACTION, which is at least `lower` (in ones)."""
    borders = torch.from_numpy(SCALE_BORDERS * UNIT)
    return torch.bucketize(scale.clamp(min=lower * UNIT).contiguous(), borders)


def residual(mean: Tensor, target: Tensor) -> Tensor:
    """What is coded of `target` around `mean` (units): the nearest whole number, clamped to the tables' range."""
    return (target.double() - mean.mul(1 / UNIT)).round_().clamp_(-SYMBOL_LIMIT, SYMBOL_LIMIT)
