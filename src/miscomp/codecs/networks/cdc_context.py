"""What `cdc` sends: the networks between a picture and its latents, and between latents and the U-Net's content.

Yang and Mandt, "Lossy Image Compression with Conditional Diffusion Models", NeurIPS 2023, appendix; names of tensors
as in the checkpoints of its x-parameterisation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from miscomp.codecs.exact import UNIT, to_units
from miscomp.codecs.networks.bottleneck import (
    RESIDUALS,
    ChannelCoder,
    bin_mass,
    bits_of,
    gaussian_likelihood,
    quantised,
)
from miscomp.codecs.networks.cdc_unet import SLOPE, ResidualBlock, doubled, halved

SCALE_MIN = 0.1
"""Smallest standard deviation of a latent."""

_FILTERS = (1, 3, 3, 3, 1)
_INIT_SCALE = 10.0


class Prior(nn.Module):
    """One learned distribution for each channel of the hyper-latents, and the medians around which they are rounded.

    Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018, appendix 6.1, with three hidden
    layers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        scale = _INIT_SCALE ** (1 / (len(_FILTERS) - 1))
        self.affine, self.a = nn.ModuleList(), nn.ParameterList()
        for inputs, outputs in pairwise(_FILTERS):
            start = math.log(math.expm1(1 / scale / outputs))
            layer = nn.ParameterDict(
                {
                    "weight": nn.Parameter(torch.full((channels, 1, 1, inputs, outputs), start)),
                    "bias": nn.Parameter(torch.rand(channels, 1, 1, 1, outputs) - 0.5),
                }
            )
            self.affine.append(layer)
            if len(self.a) < len(_FILTERS) - 2:
                self.a.append(nn.Parameter(torch.zeros(channels, 1, 1, 1, outputs)))
        self._medians = nn.Parameter(torch.zeros(1, channels, 1, 1))

    @property
    def medians(self) -> Tensor:
        """(1, c, 1, 1)."""
        return self._medians

    def mass(self, values: Tensor) -> Tensor:
        """Probability of a bin of width 1 around each of the values (c, n); in their precision."""
        return bin_mass(self._logits(values - 0.5), self._logits(values + 0.5))

    @torch.no_grad()
    def coder(self) -> ChannelCoder:
        """What streams are coded with."""
        medians = to_units(self.medians.detach().flatten())
        return ChannelCoder(self.mass(medians[:, None] / UNIT + RESIDUALS), medians)

    def _logits(self, values: Tensor) -> Tensor:
        """Cumulative probabilities before the sigmoid."""
        rows = values[:, :, None]
        for index, layer in enumerate(self.affine):
            layer = cast(nn.ParameterDict, layer)
            weight, bias = layer["weight"][:, 0, 0].to(rows.dtype), layer["bias"][:, 0, 0].to(rows.dtype)
            rows = rows @ nn.functional.softplus(weight) + bias
            if index < len(self.a):
                rows = rows + self.a[index][:, 0, 0].to(rows.dtype).tanh() * rows.tanh()
        return rows[:, :, 0]

    def bits(self, z: Tensor) -> Tensor:
        """(b): -log2 of the probabilities of z (b, c, h, w), which is rounded around the medians."""
        mass = self.mass(z.transpose(0, 1).flatten(1))
        return bits_of(mass.view(z.shape[1], z.shape[0], -1).transpose(0, 1))


class Compressor(nn.Module):
    """Pictures to latents at a sixteenth of the size, latents to content, and what is sent of the latents' spread."""

    def __init__(self, encoder: Sequence[int], decoder: Sequence[int], hyper: Sequence[int]) -> None:
        """Widths after each halving, after each doubling, and of the layers that make hyper-latents."""
        super().__init__()
        self.prior = Prior(hyper[-1])
        self.enc, self.dec = nn.ModuleList(), nn.ModuleList()
        for level, (inputs, outputs) in enumerate(pairwise((3, *encoder))):
            block = ResidualBlock(inputs, outputs, kernel=3 if level else 7)
            self.enc.append(nn.ModuleList([block, halved(outputs, outputs)]))
        for level, (inputs, outputs) in enumerate(pairwise((encoder[-1], *decoder))):
            inner = outputs if level < len(decoder) - 1 else inputs
            self.dec.append(nn.ModuleList([ResidualBlock(inputs, inner), doubled(inner, outputs)]))
        first, *others = [nn.Conv2d(encoder[-1], hyper[0], 3, 1, 1)] + [
            nn.Conv2d(inputs, outputs, 5, 2, 2) for inputs, outputs in pairwise(hyper)
        ]
        self.hyper_enc = _activated([first, *others])
        ups = [nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1) for inputs, outputs in pairwise(reversed(hyper))]
        self.hyper_dec = _activated([*ups, nn.Conv2d(hyper[0], 2 * encoder[-1], 3, 1, 1)])

    def encode(self, x: Tensor) -> Tensor:
        """y (b, c, h / 16, w / 16) of x (b, 3, h, w) in [-1, 1]."""
        return _through(layers_of(self.enc), x)

    def summarise(self, y: Tensor) -> Tensor:
        """z (b, c, h / 4, w / 4) of y (b, c, h, w)."""
        return _through(layers_of(self.hyper_enc), y)

    def content(self, y_hat: Tensor) -> list[Tensor]:
        """For each level of the U-Net that has some, the finest first."""
        found: list[Tensor] = []
        for pair in self.dec:
            y_hat = _through(cast(nn.ModuleList, pair), y_hat)
            found.insert(0, y_hat)
        return found

    def estimate(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y_hat (b, c, h, w), the bits of y (b) and the bits of z (b).

        While training, bits are those of latents with uniform noise; y_hat is rounded either way, as the authors
        have it.
        """
        z = self.summarise(y)
        z_hat = quantised(z, self.prior.medians, training=False)
        mean, scale = _through(layers_of(self.hyper_dec), z_hat).chunk(2, 1)
        y_hat = quantised(y, mean, training=False)
        costly_z, costly_y = z_hat, y_hat
        if self.training:
            costly_z, costly_y = quantised(z, None, training=True), quantised(y, None, training=True)
        y_bits = bits_of(gaussian_likelihood(costly_y - mean, scale, lower=SCALE_MIN))
        return y_hat, y_bits, self.prior.bits(costly_z)


def layers_of(pairs: nn.ModuleList) -> list[nn.Module]:
    """The layers of a list of lists, one after the other."""
    return [layer for pair in pairs for layer in cast(nn.ModuleList, pair)]


def _activated(layers: Sequence[nn.Module]) -> nn.ModuleList:
    """Each layer with a leaky ReLU, the last with nothing."""
    return nn.ModuleList(
        nn.ModuleList([layer, nn.LeakyReLU(SLOPE) if layer is not layers[-1] else nn.Identity()]) for layer in layers
    )


def _through(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
