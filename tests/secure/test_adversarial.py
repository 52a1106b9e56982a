from __future__ import annotations

import math

import pytest
import torch
from tiny_lucid import tiny_model, values
from torch import Tensor, nn

from miscomp.metrics.log_mse import LogMseStructure
from miscomp.secure.adversarial import ALPHAS, LMBDAS, Passes, SelfDestructing, SelfDestruction, alpha_of
from miscomp.secure.attacks import Attacked, Attacker
from miscomp.secure.config import SecureConfig
from miscomp.secure.lucid_base import LucidBase
from miscomp.tensors import eight_bit
from miscomp.training.jpeg_simulation import open_simulation

CONFIG = SecureConfig(alpha=2.0, tau=1.0, quality_low=0.5, quality_high=0.5, survive=0.5, survive_db=30.0)
BASE = LucidBase(tiny_model())


class Half(nn.Module):
    """P: a picture's own mean, whatever the other is."""

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        return x.mean((1, 2, 3))


class Given(nn.Module):
    """Gives passes that were made by hand."""

    def __init__(self, out: Passes) -> None:
        super().__init__()
        self.out = out

    def forward(self, *arguments: object) -> Passes:
        return self.out


def attacker() -> Attacker:
    return Attacker(kinds=("blur", "jpeg", "splice"), jpeg=open_simulation("exact"))


def grey(level: float) -> Tensor:
    return torch.full((2, 3, 128, 128), level)


def test_alpha_is_the_paper_s_at_its_qualities_and_lies_between_them_elsewhere() -> None:
    # Oracle: table 1.
    assert [alpha_of(lmbda) for lmbda in LMBDAS] == pytest.approx(ALPHAS)
    assert alpha_of(math.sqrt(0.0067 * 0.013)) == pytest.approx(math.sqrt(0.45 * 0.6))
    assert (alpha_of(1e-5), alpha_of(1.0)) == (0.2, 2.5)


def test_the_loss_is_rate_distortion_and_two_hinges_by_hand() -> None:
    x, x_hat, edited = grey(0.5), grey(0.6), grey(0.25)
    out = Passes(x_hat, torch.tensor([16384.0, 32768.0]), x_hat, grey(0.1), Attacked(edited, "blur"), grey(0.1))
    loss = SelfDestruction(Half(), attacker(), CONFIG, BASE)
    value, figures = loss(Given(out), x, torch.zeros(2, 1, 8, 8), torch.Generator().manual_seed(0))
    # By hand: 1.5 bits per pixel, lmbda of quality 0.5, an error of 0.1; P is 0.6 of x1 and 0.25 of its edit.
    lmbda = 0.0002 * 600**0.5
    assert float(value) == pytest.approx(1.5 + 255**2 * lmbda * 0.01 + 2 * ((1 - 0.6) + (1 - 0.25)), rel=1e-4)
    assert figures["estimated_bpp"] == pytest.approx(1.5)
    assert figures["psnr_db"] == pytest.approx(20, abs=1e-3)
    assert figures["again_db"] == pytest.approx(-20 * math.log10(0.5), abs=1e-3)
    assert figures["adversarial"] == pytest.approx(1.15, abs=1e-4)


def test_foreign_content_has_to_survive_and_is_not_judged_by_the_hinge() -> None:
    foreign = torch.zeros(2, 1, 128, 128)
    foreign[..., :96] = 1
    picture = grey(0.5)
    again = picture.clone()
    # Inside the splice an error of 0.1, 20 dB: 10 dB short of what has to survive. Outside the picture is unchanged.
    again[..., :96] += 0.1
    out = Passes(picture, torch.zeros(2), picture, picture, Attacked(picture, "splice", foreign), again)
    loss = SelfDestruction(LogMseStructure(), attacker(), CONFIG, BASE)
    _, figures = loss(Given(out), picture, torch.zeros(2, 1, 8, 8), torch.Generator().manual_seed(0))
    assert figures["splice_kept_db"] == pytest.approx(20, abs=0.01)
    # Outside, 24 pixels from the splice on, nothing was destroyed: 60 dB is where the measure ends.
    assert figures["splice_db"] == pytest.approx(60, abs=0.1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_beside_a_splice_of_any_size_the_rest_has_to_be_destroyed(share: float) -> None:
    picture = values("picture", 2, 3, 128, 256).abs()
    foreign = torch.zeros(2, 1, 128, 256)
    foreign[..., : round(256 * share)] = 1
    lattice = torch.zeros_like(picture)
    lattice[..., ::2] = 1
    loss = SelfDestruction(LogMseStructure(), attacker(), CONFIG, BASE)
    values_of = {}
    for name, outside in (("kept", picture), ("destroyed", lattice)):
        again = torch.where(foreign > 0, picture, outside)
        out = Passes(picture, torch.zeros(2), picture, lattice, Attacked(picture, "splice", foreign), again)
        figures = loss(Given(out), picture, torch.zeros(2, 1, 8, 16), torch.Generator().manual_seed(0))[1]
        values_of[name] = figures["adversarial"]
    # Oracle: a whole picture that is kept costs more than 2, one that is destroyed next to nothing.
    assert values_of["kept"] > values_of["destroyed"] + 1
    assert values_of["destroyed"] < 0.5


def test_a_picture_that_was_never_coded_only_has_to_survive() -> None:
    picture, whole = grey(0.5), torch.ones(2, 1, 128, 128)
    loss = SelfDestruction(LogMseStructure(), attacker(), CONFIG, BASE)
    figures = []
    for again in (picture, grey(0.9)):
        out = Passes(picture, torch.zeros(2), picture, 1 - picture, Attacked(picture, "whole", whole), again)
        figures.append(loss(Given(out), picture, torch.zeros(2, 1, 8, 8), torch.Generator().manual_seed(0))[1])
    # By hand: an error of 0.4 is 7.96 dB, 22.04 dB below 30; 20 dB count as 1, at the weight 0.5.
    difference = figures[1]["adversarial"] - figures[0]["adversarial"]
    assert difference == pytest.approx(0.5 * (30 - 7.9588) / 20, abs=1e-3)
    assert "whole_db" not in figures[0]


def test_gradients_reach_both_transforms_through_the_second_compression() -> None:
    base = LucidBase(tiny_model())
    model, loss = SelfDestructing(base), SelfDestruction(LogMseStructure(), attacker(), CONFIG, base)
    x, quality = values("x", 2, 3, 128, 128).abs(), torch.full((2, 1, 8, 8), 0.5)

    def attack(x1: Tensor) -> Attacked:
        return Attacked(x1, "none")

    out = model(x, (quality, quality), torch.Generator().manual_seed(0), attack)
    out.x2.sum().backward()
    for transform in (base.model.g_a, base.model.g_s):
        weight = next(iter(transform.parameters()))
        assert weight.grad is not None and float(weight.grad.abs().sum()) > 0
    base.zero_grad()
    value, _ = loss(model, x, quality, torch.Generator().manual_seed(0))
    value.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_the_same_seed_gives_the_same_loss() -> None:
    base = LucidBase(tiny_model())
    model, loss = SelfDestructing(base), SelfDestruction(LogMseStructure(), attacker(), CONFIG, base)
    x, quality = values("x", 2, 3, 128, 128).abs(), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    one, two, three = (float(loss(model, x, quality, torch.Generator().manual_seed(s))[0].detach()) for s in (1, 1, 2))
    assert one == two != three


def test_the_gradient_of_8_bits_is_the_identity_s_where_nothing_is_clamped() -> None:
    x = torch.tensor([-0.5, 0.3, 0.5019, 1.5], requires_grad=True)
    y = eight_bit(x)
    y.sum().backward()
    assert (y * 255).tolist() == pytest.approx([0, 76, 128, 255])
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1, 0]
