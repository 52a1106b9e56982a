from __future__ import annotations

import pytest
import torch

from miscomp.codecs.layers import ResidualBlock, WideBlock, upsample
from miscomp.codecs.lucid_model import GainTable, LucidConfig, LucidModel, checkerboard

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)


def test_the_published_layout_of_the_weights_stays() -> None:
    # Oracle: the layout that weights files in use have; a change here needs a new format id.
    state = LucidModel().state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 2_065_905
    assert state["g_a.1.weight"].shape == (48, 48, 3, 3)
    assert state["entropy.contexts.3.fuse.2.weight"].shape == (192, 96, 1, 1)
    assert state["entropy.h_s.0.0.weight"].shape == (512, 96, 1, 1)
    assert state["lift.weight"].shape == (192, 768, 1, 1)
    assert state["entropy.contexts.3.unit"].shape == (1, 96, 1, 1)
    assert state["gain.log_gain"].shape == (9, 192)


def test_groups_must_add_up_to_the_latent_channels() -> None:
    with pytest.raises(ValueError, match="add up to latent=8"):
        LucidConfig(latent=8, groups=(2, 5))


def test_gains_are_log_linear_between_anchors_and_clamped_outside() -> None:
    table = GainTable(3, 2, low=0.0, high=2.0)
    gains = table(torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])).squeeze()
    # Oracle: exp(2 q), by hand.
    expected = torch.exp(torch.tensor([0.0, 0.0, 0.5, 1.0, 2.0, 2.0]))
    assert torch.allclose(gains, expected[:, None].expand(6, 2))


def test_gain_and_inverse_gain_cancel_before_training() -> None:
    model, quality = LucidModel(TINY), torch.linspace(0, 1, 7)
    product = model.gain(quality) * model.inverse_gain(quality)
    assert torch.allclose(product, torch.ones_like(product))


def test_a_checkerboard_begins_with_an_anchor() -> None:
    board = checkerboard(torch.zeros(1, 5, 3, 4))
    assert board.squeeze().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]


def test_blocks_keep_the_size_and_upsampling_doubles_it() -> None:
    x = torch.rand(2, 8, 6, 10)
    assert ResidualBlock(8)(x).shape == x.shape
    assert WideBlock(8)(x).shape == x.shape
    assert upsample(8, 3)(x).shape == (2, 3, 12, 20)


def test_the_pass_in_training_gives_a_picture_and_positive_bits_per_image() -> None:
    model = LucidModel(TINY)
    out = model(torch.rand(2, 3, 64, 128), torch.tensor([0.1, 0.9]), torch.Generator().manual_seed(0))
    assert out.x_hat.shape == (2, 3, 64, 128)
    assert out.bits.shape == (2,)
    assert bool((out.bits > 0).all())


def test_every_weight_gets_a_gradient() -> None:
    model = LucidModel(TINY)
    out = model(torch.rand(2, 3, 64, 64), torch.tensor([0.1, 0.9]), torch.Generator().manual_seed(0))
    (out.bits.sum() + out.x_hat.square().sum()).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_the_noise_generator_is_the_only_randomness() -> None:
    model, x, quality = LucidModel(TINY), torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    one, two, other = (model(x, quality, torch.Generator().manual_seed(seed)).bits for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
