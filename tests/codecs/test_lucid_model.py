from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_lucid import TINY, steps_of, tiny_model, values
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from miscomp.codecs.lucid_integer import IntegerEntropy
from miscomp.codecs.lucid_latents import LatentCoder
from miscomp.codecs.lucid_model import LucidConfig, LucidModel, expect

SIDE = 256
CELLS = SIDE // 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": (2, 5)}, "add up to latent=8"),
        ({"hidden": (4,)}, "one width for each of the 2 groups"),
        ({"core": 9}, "core=9 must be at most latent=8"),
        ({"gain_steps": 1}, "at least 2, got 1"),
    ],
)
def test_widths_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    fitting = {"latent": 8, "core": 6, "groups": (2, 6), "hidden": (4, 4)}
    LucidConfig(**fitting)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        LucidConfig(**{**fitting, **changes})


def kilo_macs_per_pixel(run: Callable[[], object], pixels: int = SIDE**2) -> float:
    """Thousands of multiply-adds, counted by torch as it executes convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    flops: int = counter.get_total_flops()
    return flops / 2 / pixels / 1000


def test_the_counter_of_multiply_adds_counts_what_it_should() -> None:
    # By hand: 16 x 16 positions of 6 outputs from 4 / 2 inputs and 9 places each.
    layer = nn.Conv2d(4, 6, 3, padding=1, groups=2)
    assert kilo_macs_per_pixel(lambda: layer(torch.zeros(1, 4, 16, 16)), 1) == 16 * 16 * 6 * 2 * 9 / 1000
    rows = torch.zeros(5, 7, dtype=torch.float64)
    bias = torch.zeros(3, dtype=torch.float64)
    assert kilo_macs_per_pixel(lambda: torch.addmm(bias, rows, torch.zeros(7, 3).double()), 1) == 5 * 7 * 3 / 1000


def test_the_transforms_stay_in_their_budget() -> None:
    model, quality = LucidModel(), torch.zeros(1, 1, CELLS, CELLS)
    x, y = torch.zeros(1, 3, SIDE, SIDE), torch.zeros(1, LucidConfig().latent, CELLS, CELLS)
    synthesis = kilo_macs_per_pixel(lambda: model.g_s(y * model.inverse_gain(quality), quality))
    analysis = kilo_macs_per_pixel(lambda: model.summarise(model.g_a(x, quality) * model.gain(quality)))
    # Oracle: what was promised: 8 thousand multiply-adds for each pixel to decode, 12 to encode.
    assert 4 < synthesis <= 8.0
    assert 4 < analysis <= 12.0


class _Counter:
    """Takes residuals without coding them."""

    def __init__(self) -> None:
        self.calls = 0

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        self.calls += 1
        return symbols


def test_the_entropy_networks_stay_in_their_budget_and_in_twelve_steps() -> None:
    c, model = LucidConfig(), LucidModel()
    networks, counter = IntegerEntropy(IntegerEntropy.state_of(model.entropy), c.groups), _Counter()
    coder = LatentCoder(networks)
    y, z = 3 * values("y", 1, c.latent, CELLS, CELLS), 3 * values("z", 1, c.hyper, CELLS // 4, CELLS // 4)
    found = kilo_macs_per_pixel(
        lambda: coder.encode(y, z, steps_of(CELLS, CELLS), counter, groups=len(c.groups)),
    )
    # Oracle: the shapes of the weights. h_s at 1/64 and 1/32; contexts at 1/16, what lies around for half of it.
    macs = networks._first.weight.numel() / 64**2 + networks._second.weight.numel() / 32**2
    for context in networks.contexts:
        layers = (context.enter.weight, context.mix.weight, context.out.weight)
        macs += (sum(layer.numel() for layer in layers) - context._near.numel() / 2) / 16**2
    assert found == pytest.approx(macs / 1000, rel=1e-9)
    assert found <= 1.0
    assert counter.calls <= 12


def test_latents_are_at_a_sixteenth_of_the_size_and_hyper_latents_at_a_64th() -> None:
    model, x = tiny_model(), values("x", 2, 3, 128, 192).abs()
    y = model.g_a(x, torch.zeros(2, 1, 8, 12))
    assert y.shape == (2, TINY.latent, 8, 12)
    assert model.summarise(y).shape == (2, TINY.hyper, 2, 3)


def test_gain_and_inverse_gain_cancel_before_training() -> None:
    model, quality = LucidModel(TINY), torch.linspace(0, 1, 8).view(1, 1, 2, 4)
    product = model.gain(quality) * model.inverse_gain(quality)
    assert torch.allclose(product, torch.ones_like(product))


def test_the_pass_in_training_gives_a_picture_and_positive_bits_per_image() -> None:
    out = tiny_model()(values("x", 2, 3, 64, 128).abs(), values("q", 2, 1, 4, 8).abs(), torch.Generator())
    assert out.x_hat.shape == (2, 3, 64, 128)
    assert out.bits.shape == (2,)
    assert bool((out.bits > 0).all())


def test_a_model_that_starts_from_a_transform_is_nearly_that_transform() -> None:
    model = LucidModel(TINY)
    basis = torch.linalg.qr(values("basis", 768, TINY.latent))[0].T
    model.start_from(basis, torch.linspace(2, 0.1, TINY.latent))
    x, quality = values("x", 1, 3, 64, 64).abs(), torch.full((1, 1, 4, 4), 0.5)
    with torch.no_grad():
        y = model.g_a(x, quality)
        patches = nn.functional.pixel_unshuffle(x - 0.5, 16)
        # Oracle: the product with the basis, and back with its transpose.
        linear = torch.einsum("lp,bphw->blhw", basis, patches)
        back = nn.functional.pixel_shuffle(torch.einsum("lp,blhw->bphw", basis, linear), 16) + 0.5
        x_hat = model.g_s(linear, quality)
    assert float((y - linear).abs().mean()) < 0.25 * float(linear.abs().mean())
    assert float((x_hat - back).abs().mean()) < 0.1


def test_an_expected_kind_of_module_is_checked() -> None:
    layer = nn.Conv2d(1, 1, 1)
    assert expect(layer, nn.Conv2d) is layer
    with pytest.raises(TypeError, match="a Linear is needed, got Conv2d"):
        expect(layer, nn.Linear)
