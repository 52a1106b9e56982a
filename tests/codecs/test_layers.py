from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from miscomp.codecs.layers import GainTable, QualityBias, ResidualBlock, WideBlock, quality_shares, upsample


def test_blocks_keep_the_size_and_upsampling_doubles_it() -> None:
    x = torch.rand(2, 8, 6, 10)
    assert ResidualBlock(8)(x).shape == x.shape
    assert WideBlock(8)(x).shape == x.shape
    assert upsample(8, 3)(x).shape == (2, 3, 12, 20)


def test_blocks_start_close_to_the_identity() -> None:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        x = torch.rand(1, 64, 16, 16)
        for block in (ResidualBlock(64), WideBlock(64)):
            # Random networks that did not start small would change x by about as much as it is.
            assert float((block(x) - x).square().mean()) < 0.1 * float(x.square().mean())


def test_shares_are_those_of_linear_interpolation() -> None:
    quality = torch.linspace(-0.5, 1.5, 401, dtype=torch.float64)
    shares = quality_shares(quality[None, None, None], 5)[0, :, 0]
    assert torch.allclose(shares.sum(0), torch.ones_like(quality))
    assert int((shares > 0).sum(0).max()) == 2
    anchors = torch.tensor([1.0, -2.0, 4.0, 8.0, 3.0], dtype=torch.float64)
    # Oracle: numpy's interpolation, which holds the ends beyond them.
    expected = np.interp(quality.numpy(), np.linspace(0, 1, 5), anchors.numpy())
    assert (anchors @ shares).numpy() == pytest.approx(expected)


def test_gains_are_log_linear_between_anchors_and_clamped_outside() -> None:
    table = GainTable(3, 2, low=0.0, high=2.0)
    gains = table(torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])[None, None, None])[0, :, 0]
    # Oracle: exp(2 q), by hand.
    expected = torch.exp(torch.tensor([0.0, 0.0, 0.5, 1.0, 2.0, 2.0]))
    assert torch.allclose(gains, expected.expand(2, 6))


def test_each_position_has_the_gain_and_the_bias_of_its_own_quality() -> None:
    quality = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    for table in (GainTable(5, 3, low=-1.0, high=1.0), QualityBias(5, 3)):
        with torch.no_grad():
            for weight in table.parameters():
                weight.add_(torch.linspace(-1, 1, 15).view(5, 3))
        whole = table(quality)
        assert whole.shape == (2, 3, 3, 4)
        alone = table(quality[1:, :, 2:, 3:])
        assert torch.allclose(whole[1, :, 2, 3], alone.flatten(), rtol=1e-6)


def test_gains_stay_exact_under_autocast() -> None:
    table, quality = GainTable(3, 4, low=1.5, high=4.5), torch.full((1, 1, 2, 2), 0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gains = table(quality)
    assert gains.dtype == torch.float32
    assert torch.equal(gains, table(quality))


def test_a_table_for_a_check_of_shapes_takes_no_time_and_imports_nothing() -> None:
    before = set(sys.modules)
    with torch.device("meta"):
        # Filled number by number it would take seconds: a file of weights may ask for it.
        table = GainTable(4096, 4096, low=0.0, high=1.0)
    assert isinstance(table.log_gain, nn.Parameter)
    assert table.log_gain.is_meta
    assert not {name for name in set(sys.modules) - before if name.startswith("sympy")}
