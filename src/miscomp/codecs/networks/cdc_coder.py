"""The entropy model of `cdc` in whole numbers: what its streams are made with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from miscomp.codecs.exact import UNIT, exact, from_units, to_units
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.frequencies import CODED_FROM, SYMBOL_LIMIT, Counts, whole_from_shares
from miscomp.codecs.gaussian import SCALE_TABLE
from miscomp.codecs.networks.base import GAUSSIANS, Network, Port, scale_index
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
        # Rounded to the grid, so that what follows from z_hat is in whole numbers.
        self._medians = to_units(compressor.prior.medians.detach().cpu())
        steps = torch.arange(-SYMBOL_LIMIT, SYMBOL_LIMIT + 1, dtype=torch.float64)
        shares = compressor.prior.mass(self._medians.view(-1, 1) / UNIT + steps)
        self.tables: list[Counts] = [whole_from_shares(np.asarray(row)) for row in shares.numpy()]
        self._hyper_dec = exact(layers_of(compressor.hyper_dec))

    @torch.no_grad()
    def run(self, port: Port, height: int, width: int, y: Tensor | None) -> Tensor:
        """As `LatentCoder` says. Raises `ValueError` for sides that are no multiples of the hyper-latents'."""
        hyper = Network.hyper
        if height % hyper or width % hyper:
            raise ValueError(f"latents of {height} x {width} have sides that are no multiples of {hyper}")
        shape = (1, len(self.tables), height // hyper, width // hyper)
        index = GAUSSIANS + torch.arange(len(self.tables)).view(1, -1, 1, 1)
        z = None if y is None else self._compressor.summarise(y)
        z_hat = port.code(self._medians.expand(shape), index.expand(shape), z)
        mean, scale = self._hyper_dec(z_hat.clamp(-LIMIT, LIMIT)).chunk(2, 1)
        return from_units(port.code(mean, scale_index(scale, lower=_LOWEST), y))
