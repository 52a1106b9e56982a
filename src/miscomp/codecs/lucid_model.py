"""The networks of `lucid`: transforms, gains for a continuous quality that may differ from block to block, and the
place of the entropy model (`miscomp.codecs.lucid_entropy`).

Variable rate: learned gains scale the latents before rounding and back after it (Cui et al., "Asymmetric
gained deep image compression with continuous rate adaptation", CVPR 2021). Each latent position belongs to one
block of 16 x 16 pixels, so a map of qualities is a map of gains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from miscomp.codecs.layers import GainTable, QualityBias, ResidualBlock, WideBlock, upsample
from miscomp.codecs.lucid_entropy import HYPER, EntropyNetworks
from miscomp.codecs.quality_map import BLOCK

PATCH = BLOCK
"""Pixels a side per latent: a block of the quality map."""

STRIDE = PATCH * HYPER
"""Pixels a side per hyper-latent; images are padded to multiples of it."""

LOW_GAIN, HIGH_GAIN = 1.5, 4.5
"""Natural logarithms of the gains at quality 0 and 1 before training."""


@dataclass(frozen=True, kw_only=True)
class LucidConfig:
    """Widths of the networks; stored beside the weights."""

    stem: int = 48
    """Channels of g_a at 1/4 of the size."""
    middle: int = 96
    """Channels at 1/8."""
    head: int = 48
    """Channels of g_s at 1/4."""
    latent: int = 320
    """Channels of y at 1/16."""
    core: int = 192
    """The first channels of y, which g_a and g_s work on; the others belong to the linear transform alone."""
    hyper: int = 96
    """Channels of z at 1/64."""
    groups: tuple[int, ...] = (16, 32, 48, 96, 128)
    """Channel groups of y in coding order; the last are empty at low rates."""
    hidden: tuple[int, ...] = (96, 96, 96, 80, 64)
    """Width of each group's context network."""
    prior: int = 96
    """Channels that the hyperprior hands to the contexts."""
    gain_steps: int = 9
    """Anchors over quality 0 to 1 of everything that depends on it."""

    def __post_init__(self) -> None:
        if sum(self.groups) != self.latent:
            raise ValueError(f"groups {self.groups} must add up to latent={self.latent}")
        if len(self.hidden) != len(self.groups):
            raise ValueError(f"hidden {self.hidden} needs one width for each of the {len(self.groups)} groups")
        if self.core > self.latent:
            raise ValueError(f"core={self.core} must be at most latent={self.latent}")
        if self.gain_steps < 2:
            raise ValueError(f"gain_steps must be at least 2, got {self.gain_steps}")


class LucidOutput(NamedTuple):
    """What training needs: reconstruction (b, 3, h, w), not clamped, and estimated bits per image (b)."""

    x_hat: Tensor
    bits: Tensor


Kind = TypeVar("Kind", bound=nn.Module)


def expect(module: nn.Module, kind: type[Kind]) -> Kind:
    """The module, which torch's containers type loosely. Raises `TypeError` where it is of another kind."""
    if not isinstance(module, kind):
        raise TypeError(f"a {kind.__name__} is needed, got {type(module).__name__}")
    return module


class Analysis(nn.Module):
    """g_a: a linear transform of 16 x 16 patches, and networks that add to it what a linear one cannot do."""

    def __init__(self, c: LucidConfig) -> None:
        super().__init__()
        self.lift = nn.Conv2d(3 * PATCH**2, c.latent, 1, bias=False)
        self.detail = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, c.stem, 3, padding=1),
            ResidualBlock(c.stem),
            nn.Conv2d(c.stem, c.middle, 3, stride=2, padding=1),
            ResidualBlock(c.middle),
            nn.Conv2d(c.middle, c.core, 3, stride=2, padding=1),
        )
        self.quality = QualityBias(c.gain_steps, c.core)
        self.wide = WideBlock(c.core)
        self.out = nn.Conv2d(c.core, c.core, 1)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Latents y (b, latent, h / 16, w / 16), not yet scaled by the gain, for x (b, 3, h, w) in [0, 1]."""
        centred = x - 0.5
        linear: Tensor = self.lift(nn.functional.pixel_unshuffle(centred, PATCH))
        correction = self.out(self.wide(self.detail(centred) + self.quality(quality)))
        core = correction.shape[1]
        return torch.cat([linear[:, :core] + correction, linear[:, core:]], 1)


class Synthesis(nn.Module):
    """g_s: the mirror image of g_a."""

    def __init__(self, c: LucidConfig) -> None:
        super().__init__()
        self.lower = nn.Conv2d(c.latent, 3 * PATCH**2, 1, bias=False)
        self.enter = nn.Conv2d(c.core, c.core, 1)
        self.quality = QualityBias(c.gain_steps, c.core)
        self.detail = nn.Sequential(
            WideBlock(c.core),
            upsample(c.core, c.middle),
            ResidualBlock(c.middle),
            upsample(c.middle, c.head),
            ResidualBlock(c.head),
            nn.Conv2d(c.head, 48, 1),
            nn.PixelShuffle(4),
        )

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        """Reconstruction (b, 3, h, w), not clamped, from latents after the inverse gain.

        Trailing channels may be left out: they count as 0 and cost no time.
        """
        present = y_hat.shape[1]
        core = min(self.enter.in_channels, present)
        linear = nn.functional.conv2d(y_hat, self.lower.weight[:, :present])
        entered = nn.functional.conv2d(y_hat[:, :core], self.enter.weight[:, :core], self.enter.bias)
        detail: Tensor = self.detail(entered + self.quality(quality))
        return detail + nn.functional.pixel_shuffle(linear, PATCH) + 0.5


class LucidModel(nn.Module):
    """Analysis, synthesis and entropy networks; `forward` is for training, coding lives in `codecs.lucid`."""

    def __init__(self, config: LucidConfig | None = None) -> None:
        super().__init__()
        c = config or LucidConfig()
        self.config = c
        self.g_a = Analysis(c)
        self.g_s = Synthesis(c)
        self.h_a = nn.Sequential(
            nn.Conv2d(c.core, 128, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(128, c.hyper, 3, stride=2, padding=1),
        )
        self.entropy = EntropyNetworks(
            groups=c.groups, hidden=c.hidden, hyper=c.hyper, prior=c.prior, gain_steps=c.gain_steps
        )
        # Finer than high-rate theory asks for with the weights in training.config (steps of 1.4 and 0.06 at the ends):
        # training coarsens them.
        self.gain = GainTable(c.gain_steps, c.latent, low=LOW_GAIN, high=HIGH_GAIN)
        self.inverse_gain = GainTable(c.gain_steps, c.latent, low=-LOW_GAIN, high=-HIGH_GAIN)

    def summarise(self, y: Tensor) -> Tensor:
        """z (b, hyper, h / 64, w / 64) for y after the gain: it tells sizes, so it sees no signs."""
        z: Tensor = self.h_a(y[:, : self.config.core].abs().log1p())
        return z

    @torch.no_grad()
    def start_from(self, basis: Tensor, deviation: Tensor) -> None:
        """Start as a transform codec: `basis` (latent, 768) orthonormal, `deviation` (latent) of its coefficients.

        The networks start as small corrections, and the entropy model at each coefficient's own spread.
        """
        self.g_a.lift.weight.copy_(basis[:, :, None, None])
        self.g_s.lower.weight.copy_(basis.T[:, :, None, None])
        for last in (self.g_a.out, expect(self.g_s.detail[-2], nn.Conv2d)):
            last.weight.mul_(0.1)
            last.bias = nn.Parameter(torch.zeros_like(last.weight[:, 0, 0, 0]))
        self.entropy.start_from((deviation * math.exp((LOW_GAIN + HIGH_GAIN) / 2)).clamp_min(0.1))

    def forward(self, x: Tensor, quality: Tensor, noise: torch.Generator | None = None) -> LucidOutput:
        """Train-time pass for x (b, 3, h, w) in [0, 1], sides divisible by 64, quality (b, 1, h / 16, w / 16)."""
        y = self.g_a(x, quality).float() * self.gain(quality)
        y_hat, bits = self.entropy(y, self.summarise(y).float(), quality, noise)
        x_hat = self.g_s(y_hat * self.inverse_gain(quality), quality)
        return LucidOutput(x_hat.float(), bits)
