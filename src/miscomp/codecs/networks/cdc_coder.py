"""The entropy model of `cdc` in whole numbers: what its streams are made with."""

from __future__ import annotations

import torch
from torch import Tensor

from miscomp.codecs.exact import exact, from_units
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.frequencies import CODED_FROM, Counts
from miscomp.codecs.gaussian import SCALE_TABLE
from miscomp.codecs.networks.base import Network, Port, scale_index
from miscomp.codecs.networks.cdc_context import SCALE_MIN, Compressor, layers_of

# The table nearest to SCALE_MIN is one whose residuals are not coded but taken as 0. The authors' rate counts them, so
# that the smallest scales go to the first table that is coded.
_LOWEST = float(SCALE_TABLE[max(SCALE_MIN, CODED_FROM) <= SCALE_TABLE][0])


class CdcCoder:
    """Hyper-latents by the prior's tables, then all latents at once.

    The tables come from the prior in float64, where the last bits of tanh and the exponential may differ between
    machines: a frequency would differ where a share of 2^24 lies within some 10^-9 of a whole number. All after them is
    exact: convolutions, transposed convolutions and leaky ReLUs in whole numbers.
    """

    @torch.no_grad()
    def __init__(self, compressor: Compressor) -> None:
        """Raises `ValueError` for weights that no exact form exists of."""
        self._compressor = compressor
        self._densities = compressor.prior.coder()
        self.tables: list[Counts] = self._densities.tables
        self._hyper_dec = exact(layers_of(compressor.hyper_dec))

    @torch.no_grad()
    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """As `LatentCoder` says. Raises `ValueError` for sides that are no multiples of the hyper-latents'."""
        hyper = Network.hyper
        if height % hyper or width % hyper:
            raise ValueError(f"latents of {height} x {width} have sides that are no multiples of {hyper}")
        z = None if y is None else self._compressor.summarise(y)
        z_hat = self._densities.code(port, z, height // hyper, width // hyper)
        mean, scale = self._hyper_dec(z_hat.clamp(-LIMIT, LIMIT)).chunk(2, 1)
        return from_units(port.code(mean, scale_index(scale, lower=_LOWEST), y))
