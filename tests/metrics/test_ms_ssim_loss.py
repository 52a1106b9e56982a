"""Oracle: this project's MS-SSIM of 8-bit pixels, which is another program."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from formula_weights import formula_picture
from torch import Tensor

from miscomp.errors import MissingExtra
from miscomp.images import Pixels
from miscomp.metrics.ms_ssim_loss import MsSsimLoss
from miscomp.metrics.ssim import ms_ssim


def pixels(x: Tensor) -> Pixels:
    return np.ascontiguousarray((255 * x).round().to(torch.uint8)[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("size", [(161, 161), (203, 170)])
def test_it_is_1_less_ms_ssim(size: tuple[int, int]) -> None:
    x = (255 * formula_picture(*size)).round() / 255
    x_hat = (255 * (0.2 + 0.7 * x + 0.1 * formula_picture(*size).flip(3))).round() / 255
    expected = ms_ssim(pixels(x), pixels(x_hat))
    assert expected is not None and 0.2 < expected < 0.99
    assert float(MsSsimLoss()(x, x_hat)) == pytest.approx(1 - expected, abs=2e-5)


def test_one_reversed_channel_counts_as_1_and_leaves_the_others_their_gradient() -> None:
    """Oracle: the gradient of the same picture whose first channel is told apart from nothing."""
    x = formula_picture(161, 161)
    mild = 0.1 + 0.8 * x
    reversed_red = torch.cat([1 - x[:, :1], mild[:, 1:]], dim=1).requires_grad_()
    loss = MsSsimLoss()(x, reversed_red)
    (gradient,) = torch.autograd.grad(loss.sum(), reversed_red)
    equal_red = torch.cat([x[:, :1], mild[:, 1:]], dim=1).requires_grad_()
    other = MsSsimLoss()(x, equal_red)
    (expected,) = torch.autograd.grad(other.sum(), equal_red)
    assert float((loss - other).detach()) == pytest.approx(1 / 3, abs=1e-5)
    assert not bool(gradient[:, :1].any())
    assert torch.allclose(gradient[:, 1:], expected[:, 1:]) and bool(gradient[:, 1:].any())


def test_the_callers_tensor_keeps_no_hook() -> None:
    x_hat = formula_picture(161, 161).requires_grad_()
    MsSsimLoss()(x_hat.detach().flip(2), x_hat)
    (x_hat * torch.inf).sum().backward()
    assert x_hat.grad is not None and bool(torch.isinf(x_hat.grad).all())


def test_small_pictures_and_a_missing_library_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="needs 161 or more pixels a side, got 300 x 160"):
        MsSsimLoss()(torch.zeros(1, 3, 160, 300), torch.zeros(1, 3, 160, 300))
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    with pytest.raises(MissingExtra, match=r"'ms-ssim' needs pytorch-msssim; .*miscomp\[train\]"):
        MsSsimLoss()
