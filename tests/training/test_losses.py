from __future__ import annotations

import pytest
import torch
from tiny_lucid import TINY, tiny_model, values
from torch import Generator, Tensor, nn

from miscomp.codecs.lucid_model import LucidOutput
from miscomp.training.losses import RateDistortion

LOSS = RateDistortion(lmbda_low=0.001, lmbda_high=0.1)


class Fixed(nn.Module):
    """Gives what it was made with."""

    def __init__(self, out: LucidOutput) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: Tensor, quality: Tensor, noise: Generator) -> LucidOutput:
        return self.out


def test_lmbda_is_log_linear_in_quality() -> None:
    # By hand: 0.001, its geometric mean with 0.1, and 0.1.
    assert LOSS.lmbda(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([0.001, 0.01, 0.1])


def test_a_map_weighs_each_block_s_error_by_its_own_lmbda() -> None:
    x = torch.full((2, 3, 32, 32), 0.5)
    x_hat, quality = x.clone(), torch.zeros(2, 1, 2, 2)
    # The first image: errors of 0.1 in a block of quality 1 and of 0.2 in one of quality 0.5; one of 0 beside.
    quality[0, 0] = torch.tensor([[1.0, 0.5], [0.0, 0.5]])
    x_hat[0, :, :16, :16] += 0.1
    x_hat[0, :, :16, 16:] -= 0.2
    # The second: quality 0 everywhere, an error of 0.3 in one channel of one block.
    x_hat[1, 0, 16:, 16:] += 0.3
    loss, figures = LOSS(Fixed(LucidOutput(x_hat, torch.tensor([2048.0, 512.0]))), x, quality, Generator())
    # By hand: blocks are a quarter of the image; weights are 100 ** (0.5 * (0.5 - mean quality)).
    first = 2048 / 1024 + 255**2 * (0.1 * 0.1**2 + 0.01 * 0.2**2) / 4
    second = 512 / 1024 + 255**2 * 0.001 * 0.3**2 / 3 / 4
    expected = (first * 100 ** (0.5 * (0.5 - 0.5)) + second * 100 ** (0.5 * 0.5)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert figures["estimated_bpp"] == pytest.approx((2 + 0.5) / 2)
    psnr = [-10 * torch.log10(torch.tensor(mse)) for mse in ((0.1**2 + 0.2**2) / 4, 0.3**2 / 12)]
    assert figures["psnr_db"] == pytest.approx(float(sum(psnr)) / 2, rel=1e-4)


def test_one_quality_everywhere_is_the_plain_rate_distortion_sum() -> None:
    x, x_hat = values("x", 1, 3, 64, 64).abs(), values("x_hat", 1, 3, 64, 64).abs()
    bits, quality = torch.tensor([4096.0]), torch.full((1, 1, 4, 4), 0.5)
    loss, _ = LOSS(Fixed(LucidOutput(x_hat, bits)), x, quality, Generator())
    expected = 1 + 0.01 * 255**2 * float((x - x_hat).square().mean())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_every_parameter_gets_a_gradient_that_is_not_0() -> None:
    model = tiny_model()
    x, quality = values("x", 4, 3, 64, 64).abs(), values("quality", 4, 1, 4, 4).abs()
    # Both ends of the scale, or their anchors would have no share.
    quality[0], quality[1] = 0.02, 0.98
    loss, figures = LOSS(model, x, quality, Generator().manual_seed(0))
    loss.backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters() if weight.grad is not None)
    assert figures["estimated_bpp"] > 0
    assert len(list(model.parameters())) > 30 + len(TINY.groups)
