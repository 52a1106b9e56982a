"""The smallest codec that the training loop can train: one linear layer each way, a gain and a rate for show."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from miscomp.metrics.psnr import psnr


class ToyOutput(NamedTuple):
    x_hat: Tensor
    bits: Tensor


class ToyCodec(nn.Module):
    calls: Tensor

    def __init__(self, latent: int = 12) -> None:
        super().__init__()
        self.g_a = nn.Conv2d(3, latent, 16, stride=16)
        self.g_s = nn.ConvTranspose2d(latent, 3, 16, stride=16)
        self.register_buffer("calls", torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(latent, 1, 1))

    def forward(self, x: Tensor, quality: Tensor, noise: Generator) -> ToyOutput:
        if self.training:
            self.calls += 1
        gain = (self.scale + 3 * quality).exp()
        y = self.g_a(x - 0.5).float() * gain
        y_noisy = y + torch.rand(y.shape, generator=noise, device=y.device) - 0.5
        return ToyOutput((self.g_s(y_noisy / gain) + 0.5).float(), y_noisy.abs().log1p().sum((1, 2, 3)))


class ToyLoss:
    """Bits per pixel and squared error."""

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
    ) -> tuple[Tensor, dict[str, float]]:
        out: ToyOutput = model(x, quality, noise)
        bpp = out.bits.mean() / (x.shape[-1] * x.shape[-2])
        loss = bpp + 50 * (out.x_hat - x).square().mean()
        return loss, {"estimated_bpp": float(bpp.detach()), "psnr_db": float(psnr(x, out.x_hat.detach()).mean())}


class ToyBatches:
    """Smooth colours that depend on the step alone."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(step)
        x = nn.functional.interpolate(torch.rand(2, 3, 3, 3, generator=rng), (64, 64), mode="bicubic").clamp(0, 1)
        return x, torch.rand(2, 1, 4, 4, generator=rng)


def toy_codec() -> ToyCodec:
    """Always the same first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ToyCodec()
