from __future__ import annotations

import pytest
import torch
from tiny_lucid import TINY, tiny_model, values

from miscomp.codecs.gaussian import SCALE_MAX, SCALE_MIN
from miscomp.codecs.lucid_entropy import EntropyNetworks, GroupContext, checkerboard, energy, positive_scale, sides
from miscomp.codecs.lucid_model import expect


def latents(batch: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    y = 6 * values("y", batch, TINY.latent, 8, 12)
    return y, 5 * values("z", batch, TINY.hyper, 2, 3), values("quality", batch, 1, 8, 12).abs()


def test_a_checkerboard_begins_with_an_anchor() -> None:
    board = checkerboard(torch.zeros(1, 5, 3, 4))
    assert board.squeeze().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]


def test_neighbours_come_in_order_and_their_sizes_add_up() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, -4.0], [5.0, -6.0]])[None, None]
    around = sides(x)[0]
    # By hand: above, left, right, below; 0 outside.
    assert around[:, 1, 0].tolist() == [1, 0, -4, 5]
    assert around[:, 0, 1].tolist() == [0, 1, 0, -4]
    assert torch.equal(energy(x)[0, 0], around.abs().sum(0))


def test_neighbours_keep_the_channels_of_one_side_together() -> None:
    x = values("x", 2, 3, 4, 5)
    assert torch.equal(sides(x)[:, :3, 1:], x[:, :, :-1])
    assert torch.equal(sides(x)[:, 6:9, :, :-1], x[:, :, :, 1:])


def test_scales_are_positive_rising_and_reach_the_ends_of_the_table() -> None:
    scale = positive_scale(torch.linspace(-50, 50, 1001))
    assert bool((scale.diff() >= 0).all())
    assert float(scale[0]) == pytest.approx(SCALE_MIN)
    assert float(scale[-1]) > SCALE_MAX
    assert bool(scale.isfinite().all())


def test_latents_are_quantised_by_at_most_half_a_step_and_gradients_pass() -> None:
    networks = tiny_model().entropy
    y, z, quality = latents(2)
    y.requires_grad_()
    y_hat, bits = networks(y, z, quality, torch.Generator().manual_seed(0))
    assert float((y_hat - y).detach().abs().max()) <= 0.5 + 1e-5
    assert bits.shape == (2,)
    assert bool((bits > 0).all())
    (gradient,) = torch.autograd.grad(y_hat[0].sum(), y)
    # The straight-through estimate: every latent's own share is 1 and none of the other image's.
    assert torch.equal(gradient[1], torch.zeros_like(gradient[1]))
    assert float(gradient[0].mean()) == pytest.approx(1, abs=0.5)


def test_the_noise_generator_is_the_only_randomness() -> None:
    networks = tiny_model().entropy
    one, two, other = (networks(*latents(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[1], other[1])
    assert torch.equal(one[0], other[0])


@pytest.mark.parametrize(("row", "column", "seen"), [(2, 3, False), (2, 4, True)])
def test_anchors_are_predicted_without_their_neighbours(row: int, column: int, seen: bool) -> None:
    # Changing a latent changes the prediction of its own group's neighbours only where it is an anchor.
    context = expect(tiny_model().entropy.contexts[0], GroupContext)
    y = values("part", 1, TINY.groups[0], 6, 6)
    changed = y.clone()
    changed[:, :, row, column] += 1
    board = checkerboard(y)
    common = torch.zeros(1, TINY.hidden[0], 6, 6)
    with torch.no_grad():
        means = [context(common, part * board)[0] for part in (y, changed)]
    around = (means[0] != means[1]).any(1)[0].nonzero().tolist()
    expected = [[row - 1, column], [row, column - 1], [row, column + 1], [row + 1, column]]
    assert around == (expected if seen else [])


def test_the_model_starts_at_each_channel_s_own_spread_in_units_of_powers_of_two() -> None:
    networks = EntropyNetworks(groups=(2, 3), hidden=(8, 8), hyper=4, prior=4, gain_steps=3)
    deviation = torch.tensor([40.0, 9.0, 3.0, 0.8, 0.2])
    networks.start_from(deviation)
    units = [[float(unit) for unit in context.get_buffer("unit")] for context in networks.contexts]
    assert units == [[32, 8], [4, 1, 0.25]]
    assert networks.contexts[1].get_buffer("earlier_unit").tolist() == [32, 8]
    context = expect(networks.contexts[0], GroupContext)
    with torch.no_grad():
        common = context.common(torch.zeros(1, 4, 4, 4), torch.zeros(1, 1, 4, 4), None)
        mean, scale = context(common, None)
    # The last layer's weights start small, so that the prediction is the bias up to a third.
    assert scale[0, :, 0, 0].tolist() == pytest.approx([40, 9], rel=0.35)
    assert float(mean.abs().max()) < 0.1 * 32
