"""Whole-number networks against the same networks in floating point, and against themselves in another order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from tiny_lucid import values
from torch import nn

from miscomp.codecs.exact import UNIT, ExactConv, exact, from_units, gelu, to_units
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.gaussian import SCALE_BORDERS
from miscomp.codecs.networks.stf_coder import _lost


def _filled(module: nn.Module) -> nn.Module:
    for name, weight in module.named_parameters():
        spread = (3 / max(weight[0].numel(), 1)) ** 0.5 if weight.ndim == 4 else 0.3
        weight.data.copy_(spread * values(name, *weight.shape))
    return module.eval().requires_grad_(False)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(6, 5, 3, 1, 1),
    "with stride": lambda: nn.Conv2d(6, 5, 5, 2, 2),
    "without bias": lambda: nn.Conv2d(6, 5, 1, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(6, 5, 5, 2, 2, 1),
    "relu": lambda: nn.Sequential(nn.Conv2d(6, 5, 1), nn.ReLU()),
    "leaky": lambda: nn.Sequential(nn.Conv2d(6, 5, 1), nn.LeakyReLU(), nn.Conv2d(5, 4, 1)),
    "gelu": lambda: nn.Sequential(nn.Conv2d(6, 5, 1), nn.GELU()),
    "shuffled": lambda: nn.Sequential(nn.Sequential(nn.Conv2d(6, 8, 3, 1, 1), nn.PixelShuffle(2)), nn.Identity()),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_in_whole_numbers_follow_those_in_floating_point(kind: str) -> None:
    module = _filled(LAYERS[kind]())
    x = 3 * values("x", 1, 6, 12, 10)
    found = exact(module)(to_units(x))
    assert torch.equal(found, found.round())
    # The grid's step is 1/1024; inputs, weights and outputs are rounded once each.
    assert torch.allclose(from_units(found), module(x), atol=4e-3)


def test_the_input_is_left_as_it_was() -> None:
    grid = to_units(values("x", 1, 2, 4, 4))
    before = grid.clone()
    for module in (nn.ReLU(), nn.LeakyReLU(), nn.GELU(), nn.Conv2d(2, 2, 1)):
        exact(_filled(module))(grid)
        assert torch.equal(grid, before)


def test_the_order_of_summation_does_not_matter() -> None:
    layer = _filled(nn.Conv2d(480, 7, 3, 1, 1))
    grid = to_units(100 * values("x", 1, 480, 6, 6))
    order = torch.randperm(480, generator=torch.Generator().manual_seed(1))
    mixed = nn.Conv2d(480, 7, 3, 1, 1)
    mixed.weight.data, mixed.bias = layer.weight[:, order], layer.bias  # type: ignore[index, assignment]
    assert torch.equal(exact(layer)(grid), exact(mixed)(grid[:, order]))


@pytest.mark.parametrize("kind", ["convolution", "with stride", "transposed"])
def test_working_in_strips_gives_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, grid = exact(_filled(LAYERS[kind]())), to_units(3 * values("x", 1, 6, 13, 10))
    whole = layer(grid)
    for most in (1, 2000, 5000):
        monkeypatch.setattr("miscomp.codecs.exact._MOST_COLUMNS", most)
        assert torch.equal(layer(grid), whole)


def test_sums_are_clamped_and_stay_exact_at_the_limits() -> None:
    layer = nn.Conv2d(3, 1, 1)
    layer.weight.data.fill_(2.0)
    layer.bias.data.zero_()  # type: ignore[union-attr]
    found = ExactConv.of(layer)(torch.full((1, 3, 2, 2), LIMIT, dtype=torch.float64))
    assert torch.equal(found, torch.full((1, 1, 2, 2), LIMIT, dtype=torch.float64))
    assert float(to_units(torch.tensor([1e9]))) == LIMIT
    assert float(to_units(torch.tensor([1.0]))) == UNIT


def test_layers_that_could_leave_the_exact_range_or_have_no_exact_form_are_refused() -> None:
    wide = nn.Conv2d(140000, 1, 1)
    wide.weight.data.fill_(1.99)
    with pytest.raises(ValueError, match="would not be exact"):
        ExactConv.of(wide)
    for module in (nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh()):
        with pytest.raises(ValueError, match="no exact form"):
            exact(module)


LIBRARY = 1e-10
"""How far an error function or a tanh may be off the true value for the guarantee that the next test is about."""


@pytest.mark.parametrize("function", ["gelu", "tanh"])
def test_functions_of_the_grid_stay_away_from_the_borders_of_rounding(function: str) -> None:
    """All inputs that there are: a library whose functions are accurate to `LIBRARY` gives the same whole numbers.

    Oracles: the normal distribution's and the hyperbolic tangent's of other libraries than the one that is used.
    """
    grid = np.arange(-int(LIMIT), int(LIMIT) + 1, dtype=np.float64)
    x = grid / UNIT
    if function == "gelu":
        value, found = UNIT * x * ndtr(x), gelu(torch.from_numpy(grid)).numpy()
        # GELU is x (1 + erf) / 2.
        moved, least = UNIT * np.abs(x) / 2 * LIBRARY, 7e-5
    else:
        value, found = UNIT / 2 * np.tanh(x), _lost(lambda same: same, torch.from_numpy(grid)).numpy()
        moved, least = np.full_like(x, UNIT / 2 * LIBRARY), 1.5e-7
    distance = np.abs(value - np.floor(value) - 0.5)
    assert least < distance.min() < 1.1 * least
    assert (distance > moved).all()
    assert np.array_equal(found, np.rint(value))


def test_borders_between_scales_lie_between_whole_numbers() -> None:
    """They are computed by the machine's exponential, relative error 1e-15; scales in streams are whole numbers."""
    borders = SCALE_BORDERS * UNIT
    assert float(np.abs(borders - np.rint(borders)).min()) > 1e-3
