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
    """R + lmbda * 255^2 * MSE per image, lmbda log-linear in the quality.

    Each image is weighted by lmbda^-0.5, so that high rates, whose losses are larger, do not drown low ones.
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

        The estimate is that of noisy latents, which cost up to 0.15 bpp more than the rounded ones on disk: a
        latent that is always 0 costs nothing there, but 0.14 bits at the smallest scale when noise is added.
        """
        out = model(x, quality, noise)
        bpp = out.bits / (x.shape[-1] * x.shape[-2])
        mse = (out.x_hat - x).square().mean((1, 2, 3))
        lmbda = self.lmbda(quality)
        weight = (lmbda / (self._low * self._ratio**0.5)) ** -0.5
        loss = ((bpp + lmbda * 255**2 * mse) * weight).mean()
        psnr_db = psnr(x, out.x_hat.detach()).mean()
        return loss, {"estimated_bpp": float(bpp.detach().mean()), "psnr_db": float(psnr_db)}
