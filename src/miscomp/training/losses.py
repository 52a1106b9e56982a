"""Losses for the training loop: each takes the model and a batch and gives a scalar and figures to log."""

from __future__ import annotations

from typing import Protocol

from torch import Generator, Tensor, nn

from miscomp.metrics.psnr import psnr


class Loss(Protocol):
    """What the loop minimises. `noise` is the only source of randomness."""

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
    ) -> tuple[Tensor, dict[str, float]]: ...


class RateDistortion:
    """R + 255^2 * mean(lmbda * (x - x_hat)^2) per image, lmbda log-linear in each block's quality.

    Each image is weighted by lmbda^-0.5 at its mean quality, so that high rates, whose losses are larger, do not
    drown low ones.
    """

    def __init__(self, *, lmbda_low: float, lmbda_high: float) -> None:
        self._low = lmbda_low
        self._ratio = lmbda_high / lmbda_low

    def lmbda(self, quality: Tensor) -> Tensor:
        """Rate-distortion weight for each quality in [0, 1]."""
        return self._low * self._ratio**quality

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted mean loss, and the batch's means of estimated bpp and of PSNR in dB.

        x is (b, 3, h, w), quality (b, 1, h / n, w / n) for blocks of n x n pixels. The estimate is that of noisy
        latents, which cost more than the rounded ones on disk: a latent that is always 0 costs nothing there.
        """
        out = model(x, quality, noise)
        bpp = out.bits / (x.shape[-1] * x.shape[-2])
        block = x.shape[-1] // quality.shape[-1]
        mse = nn.functional.avg_pool2d((out.x_hat - x).square().mean(1, keepdim=True), block)
        distortion = 255**2 * (self.lmbda(quality) * mse).mean((1, 2, 3))
        weight = self._ratio ** (0.5 * (0.5 - quality.mean((1, 2, 3))))
        loss = ((bpp + distortion) * weight).mean()
        psnr_db = psnr(x, out.x_hat.detach()).mean()
        return loss, {"estimated_bpp": float(bpp.detach().mean()), "psnr_db": float(psnr_db)}
