from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from tiny_lucid import values

from miscomp.codecs.networks.bottleneck import EntropyBottleneck

TAIL = math.log(2 / 1e-9 - 1)


def learned(channels: int) -> EntropyBottleneck:
    """Densities that are skewed, of several widths, off zero."""
    bottleneck = EntropyBottleneck(channels)
    with torch.no_grad():
        for name, weight in bottleneck.named_parameters():
            weight.copy_(0.8 * values(name, *weight.shape) - 0.5 * ("matrices" in name))
        bottleneck.biases[0] += 60 * values("places", channels, 1, 1)
    return bottleneck


def test_fitted_quantiles_are_where_another_root_finder_has_them() -> None:
    bottleneck = learned(6)
    bottleneck.fit_quantiles()

    def cumulative(x: float, channel: int, level: float) -> float:
        # Oracle: the density of Ballé et al. 2018, appendix 6.1, in numpy, channel by channel.
        v = np.array([[x]])
        layers = len(bottleneck.matrices)
        for index in range(layers):
            h, b = (p[index][channel].detach().double().numpy() for p in (bottleneck.matrices, bottleneck.biases))
            v = np.log1p(np.exp(h)) @ v + b
            if index < layers - 1:
                v = v + np.tanh(bottleneck.factors[index][channel].detach().double().numpy()) * np.tanh(v)
        return float(v[0, 0]) - level

    for channel in range(6):
        wanted = [brentq(cumulative, -1e6, 1e6, (channel, level), xtol=1e-10) for level in (-TAIL, 0, TAIL)]
        found = bottleneck.quantiles[channel, 0].detach().tolist()
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        assert found == sorted(found)
    assert float(bottleneck.medians.detach().abs().max()) > 10


def test_a_logistic_density_has_the_quantiles_of_the_formula() -> None:
    bottleneck = EntropyBottleneck(2)
    with torch.no_grad():
        for matrix, bias in zip(bottleneck.matrices, bottleneck.biases, strict=True):
            # softplus gives 1 / rows entering, so that each layer is the mean of those before it.
            matrix.fill_(math.log(math.expm1(1 / matrix.shape[2])))
            bias.zero_()
        bottleneck.biases[-1][:, 0, 0] = torch.tensor([3.0, -700.0])
    bottleneck.fit_quantiles()
    # Oracle: sigmoid(x - m) is 1/2 at m and 0.5e-9 at m - ln(2e9 - 1).
    for row, median in zip(bottleneck.quantiles[:, 0].tolist(), (-3.0, 700.0), strict=True):
        assert row == pytest.approx([median - TAIL, median, median + TAIL], rel=1e-6)


def test_coding_tables_are_centred_by_the_fit() -> None:
    bottleneck = learned(6)
    bottleneck.fit_quantiles()
    for table in bottleneck.coder().tables:
        # Half of the mass lies to each side of the median, but for the share of the middle itself.
        half = len(table) // 2
        assert abs(int(table[:half].sum()) - int(table[half + 1 :].sum())) <= int(table[half]) + len(table)


@pytest.mark.parametrize("value", [math.nan, -math.inf, -200.0])
def test_densities_without_quantiles_are_refused_and_left(value: float) -> None:
    bottleneck = EntropyBottleneck(3)
    before = bottleneck.quantiles.detach().clone()
    with torch.no_grad():
        bottleneck.matrices[2][1] = value
    with pytest.raises(ValueError, match="no median and tails in reach"):
        bottleneck.fit_quantiles()
    assert torch.equal(bottleneck.quantiles, before)
