"""The network's shapes, reach and score. Oracles: gradients by autograd, the decision tree's formula in float64."""

from __future__ import annotations

import torch
from tiny_network import TINY, tiny_network

from miscomp.detect.network import CATEGORIES, HALO, STRIDE, Answers, DetectorNetwork


def test_every_answer_has_one_value_per_cell_of_four_pixels() -> None:
    answers = tiny_network()(torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48))
    for name, answer in zip(Answers._fields, answers, strict=True):
        assert answer.shape == (2, len(CATEGORIES) if name == "categories" else 1, 8, 12), name


def test_the_score_joins_the_questions_as_the_decision_tree_does() -> None:
    logits = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    changed, relevant, suspicion, expected = (logits[n : n + 1] * 3 for n in range(4))
    none = torch.zeros(1, 1, 3, 3)
    answers = Answers(changed, relevant, suspicion, expected, none, none)
    c, r, s, e = (torch.sigmoid(x) for x in (changed, relevant, suspicion, expected))
    torch.testing.assert_close(answers.log_p.exp(), c * r * (1 - s * e))


def test_a_sure_excuse_gives_a_small_score_and_a_finite_gradient() -> None:
    sure = torch.full((1, 1, 1, 1), 60.0, requires_grad=True)
    answers = Answers(sure, sure, sure, sure, sure, sure)
    answers.log_p.sum().backward()
    assert float(answers.log_p.detach().exp()) < 2e-4
    assert sure.grad is not None and bool(sure.grad.isfinite().all())


def test_the_score_never_falls_when_a_question_speaks_more_for_a_change() -> None:
    zero, steps = torch.zeros(1), torch.linspace(-6, 6, 25)
    for name, sign in (("changed", 1), ("relevant", 1), ("suspicion", -1), ("expected", -1)):
        answers = Answers(**{field: steps if field == name else zero for field in Answers._fields})
        assert bool((sign * answers.log_p.diff() > 0).all()), name


def test_nothing_farther_than_the_halo_reaches_a_cell() -> None:
    network = DetectorNetwork(TINY)
    side = (2 * HALO + 3) * STRIDE
    x = torch.rand(1, 3, side, side, requires_grad=True)
    middle = side // 2
    network(x, torch.rand(1, 3, side, side)).log_p[0, 0, middle // 4, middle // 4].backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0).nonzero()
    assert int((touched - middle).abs().max()) <= HALO * STRIDE


def test_the_suspicion_knows_the_reconstruction_alone() -> None:
    x_hat = torch.rand(1, 3, 32, 32)
    first, second = (tiny_network()(torch.rand(1, 3, 32, 32), x_hat) for _ in range(2))
    assert torch.equal(first.suspicion, second.suspicion)
    assert not torch.equal(first.relevant, second.relevant)


def test_the_widths_that_are_shipped_make_a_network_of_about_a_million_weights() -> None:
    count = sum(parameter.numel() for parameter in DetectorNetwork().parameters())
    assert 0.9e6 < count < 1.2e6
