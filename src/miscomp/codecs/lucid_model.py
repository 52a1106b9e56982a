"""The networks of `lucid`: transforms, gains for a continuous quality, and a parallel-context entropy model.

Variable rate: learned gains scale the latents before rounding and back after it (Cui et al., "Asymmetric
gained deep image compression with continuous rate adaptation", CVPR 2021). Entropy model: a mean-scale
hyperprior (Minnen et al., NeurIPS 2018) with context from earlier channel groups (Minnen and Singh, ICIP
2020) and, inside a group, a checkerboard (He et al., CVPR 2021): 8 sequential steps for 4 groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from miscomp.codecs.entropy import SCALE_MIN, gaussian_bits
from miscomp.codecs.layers import ResidualBlock, WideBlock, upsample

STRIDE = 64
"""Pixels a side per hyper-latent; images are padded to multiples of it."""

PATCH = 16
"""Pixels a side per latent."""

LOW_GAIN, HIGH_GAIN = 1.5, 3.8
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
    latent: int = 192
    """Channels of y at 1/16."""
    hyper: int = 96
    """Channels of z at 1/64."""
    groups: tuple[int, ...] = (16, 32, 48, 96)
    """Channel groups of y in coding order."""
    prior: int = 96
    """Channels that the hyperprior hands to the contexts."""
    context: int = 48
    gain_steps: int = 9
    """Anchors of the gain tables over quality 0 to 1."""

    def __post_init__(self) -> None:
        if sum(self.groups) != self.latent:
            raise ValueError(f"groups {self.groups} must add up to latent={self.latent}")


class LucidOutput(NamedTuple):
    """What training needs: reconstruction (b, 3, h, w), not clamped, and estimated bits per image (b)."""

    x_hat: Tensor
    bits: Tensor


class GainTable(nn.Module):
    """A positive vector per quality, piecewise log-linear between anchors."""

    def __init__(self, steps: int, channels: int, *, low: float, high: float) -> None:
        super().__init__()
        ramp = torch.linspace(low, high, steps)[:, None]
        self.log_gain = nn.Parameter(ramp.repeat(1, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """Gains (b, channels, 1, 1) for qualities (b) in [0, 1]."""
        position = quality.clamp(0, 1) * (self.log_gain.shape[0] - 1)
        lower = position.floor().clamp_max(self.log_gain.shape[0] - 2)
        share = (position - lower).to(self.log_gain.dtype)[:, None]
        index = lower.long()
        mixed = torch.lerp(self.log_gain[index], self.log_gain[index + 1], share)
        return mixed.exp()[:, :, None, None]


def checkerboard(like: Tensor) -> Tensor:
    """1 at anchor positions (even row + column), 0 elsewhere; shape (1, 1, h, w)."""
    h, w = like.shape[-2:]
    rows = torch.arange(h, device=like.device)[:, None]
    columns = torch.arange(w, device=like.device)[None, :]
    return ((rows + columns) % 2 == 0).to(like.dtype)[None, None]


class GroupContext(nn.Module):
    """Mean and scale of one channel group from the hyperprior, earlier groups and the group's own anchors."""

    unit: Tensor
    earlier_unit: Tensor

    def __init__(self, config: LucidConfig, group: int) -> None:
        super().__init__()
        size, earlier = config.groups[group], sum(config.groups[:group])
        # Principal components differ in size by a factor of hundreds; in these units all are of order 1.
        self.register_buffer("unit", torch.ones(1, size, 1, 1))
        self.register_buffer("earlier_unit", torch.ones(1, max(earlier, 1), 1, 1))
        self.spatial = nn.Conv2d(size, config.context, 3, padding=1)
        self.channel = nn.Conv2d(earlier, config.context, 1) if earlier else None
        width = config.prior + config.context * (2 if earlier else 1)
        self.fuse = nn.Sequential(
            nn.Conv2d(width, 2 * config.context, 1), nn.LeakyReLU(0.1), nn.Conv2d(2 * config.context, 2 * size, 1)
        )

    def forward(self, prior: Tensor, earlier: Tensor | None, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale (b, group, h, w); `anchors` holds the decoded anchors, 0 elsewhere (or 0 everywhere)."""
        parts = [prior, self.spatial(anchors / self.unit)]
        if self.channel is not None and earlier is not None:
            parts.append(self.channel(earlier / self.earlier_unit))
        mean, raw = self.fuse(torch.cat(parts, 1)).chunk(2, 1)
        return mean * self.unit, positive_scale(raw)

    @torch.no_grad()
    def start_from(self, unit: Tensor, earlier: Tensor) -> None:
        """Start with means of 0 and scales of `unit` (group), after groups with scales `earlier`."""
        self.unit.copy_(unit[None, :, None, None])
        if len(earlier):
            self.earlier_unit.copy_(earlier[None, :, None, None])
        output = expect(self.fuse[-1], nn.Conv2d)
        output.weight.mul_(0.1)
        start = torch.cat([torch.zeros_like(unit), (unit / SCALE_MIN - 1).clamp_min(0.1).log()])
        output.bias = nn.Parameter(start.to(output.weight))


Kind = TypeVar("Kind", bound=nn.Module)


def expect(module: nn.Module, kind: type[Kind]) -> Kind:
    """The module, which torch's containers type loosely. Raises `TypeError` where it is of another kind."""
    if not isinstance(module, kind):
        raise TypeError(f"a {kind.__name__} is needed, got {type(module).__name__}")
    return module


def positive_scale(raw: Tensor) -> Tensor:
    """Standard deviation from a network's output: at least `SCALE_MIN`, exponential above, so that steps are ratios."""
    return SCALE_MIN * (1 + raw.clamp_max(9.0).exp())


class EntropyNetworks(nn.Module):
    """Everything both sides must compute alike: the prior of z, h_s and the contexts."""

    def __init__(self, config: LucidConfig) -> None:
        super().__init__()
        self.config = config
        self.z_scale = GainTable(config.gain_steps, config.hyper, low=0.5, high=1.0)
        self.h_s = nn.Sequential(
            upsample(config.hyper, 128), nn.LeakyReLU(0.1), upsample(128, config.prior), nn.LeakyReLU(0.1)
        )
        self.contexts = nn.ModuleList(GroupContext(config, g) for g in range(len(config.groups)))


class LucidModel(nn.Module):
    """Analysis, synthesis and entropy networks; `forward` is for training, coding lives in `codecs.lucid`."""

    def __init__(self, config: LucidConfig | None = None) -> None:
        super().__init__()
        c = config or LucidConfig()
        self.config = c
        self.g_a = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, c.stem, 3, padding=1),
            ResidualBlock(c.stem),
            nn.Conv2d(c.stem, c.middle, 3, stride=2, padding=1),
            ResidualBlock(c.middle),
            nn.Conv2d(c.middle, c.latent, 3, stride=2, padding=1),
            WideBlock(c.latent),
            nn.Conv2d(c.latent, c.latent, 1),
        )
        self.g_s = nn.Sequential(
            nn.Conv2d(c.latent, c.latent, 1),
            WideBlock(c.latent),
            upsample(c.latent, c.middle),
            ResidualBlock(c.middle),
            upsample(c.middle, c.head),
            ResidualBlock(c.head),
            nn.Conv2d(c.head, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )
        self.h_a = nn.Sequential(
            nn.Conv2d(c.latent, 128, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(128, c.hyper, 3, stride=2, padding=1),
        )
        self.entropy = EntropyNetworks(c)
        # The linear part: a transform of 16 x 16 patches, to which g_a and g_s add what a linear one cannot do.
        self.lift = nn.Conv2d(3 * PATCH**2, c.latent, 1, bias=False)
        self.lower = nn.Conv2d(c.latent, 3 * PATCH**2, 1, bias=False)
        # High-rate theory for the weights in training.config: step sizes of about 0.22 and 0.022 at the two ends.
        self.gain = GainTable(c.gain_steps, c.latent, low=LOW_GAIN, high=HIGH_GAIN)
        self.inverse_gain = GainTable(c.gain_steps, c.latent, low=-LOW_GAIN, high=-HIGH_GAIN)

    def analyse(self, x: Tensor) -> Tensor:
        """Latents y (b, latent, h / 16, w / 16), not yet scaled by the gain, for x in [0, 1]."""
        centred = x - 0.5
        y: Tensor = self.g_a(centred) + self.lift(nn.functional.pixel_unshuffle(centred, PATCH))
        return y

    def synthesise(self, y_hat: Tensor) -> Tensor:
        """Reconstruction (b, 3, h, w), not clamped, from latents after the inverse gain."""
        x_hat: Tensor = self.g_s(y_hat) + nn.functional.pixel_shuffle(self.lower(y_hat), PATCH) + 0.5
        return x_hat

    def summarise(self, y: Tensor) -> Tensor:
        """z (b, hyper, h / 64, w / 64) for y after the gain."""
        z: Tensor = self.h_a(y.sign() * y.abs().log1p())
        return z

    @torch.no_grad()
    def start_from(self, basis: Tensor, deviation: Tensor) -> None:
        """Start as a transform codec: `basis` (latent, 768) orthonormal, `deviation` (latent) of its coefficients.

        The networks start as small corrections, and the entropy model at each coefficient's own spread.
        """
        self.lift.weight.copy_(basis[:, :, None, None])
        self.lower.weight.copy_(basis.T[:, :, None, None])
        for last in (expect(self.g_a[-1], nn.Conv2d), expect(self.g_s[-2], nn.Conv2d)):
            last.weight.mul_(0.1)
            last.bias = nn.Parameter(torch.zeros_like(last.weight[:, 0, 0, 0]))
        unit = (deviation * math.exp((LOW_GAIN + HIGH_GAIN) / 2)).clamp_min(0.1)
        first = 0
        for context, size in zip(self.entropy.contexts, self.config.groups, strict=True):
            expect(context, GroupContext).start_from(unit[first : first + size], unit[:first])
            first += size

    def forward(self, x: Tensor, quality: Tensor, noise: torch.Generator | None = None) -> LucidOutput:
        """Train-time pass for x (b, 3, h, w) in [0, 1] with sides divisible by 64 and qualities (b)."""
        y = self.analyse(x).float() * self.gain(quality)
        z = self.summarise(y).float()
        z_bits = gaussian_bits(_noisy(z, noise), self.entropy.z_scale(quality))
        prior = self.entropy.h_s(_rounded(z)).float()
        y_hat, y_bits = self._code(y, prior, noise)
        x_hat = self.synthesise(y_hat * self.inverse_gain(quality))
        return LucidOutput(x_hat.float(), y_bits + z_bits.sum((1, 2, 3)))

    def _code(self, y: Tensor, prior: Tensor, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Quantised latents with straight-through gradients, and bits (b), group by group."""
        anchor = checkerboard(y)
        done: list[Tensor] = []
        bits = y.new_zeros(y.shape[0])
        for part, context in zip(torch.split(y, list(self.config.groups), 1), self.entropy.contexts, strict=True):
            earlier = torch.cat(done, 1) if done else None
            mean_a, scale_a = context(prior, earlier, torch.zeros_like(part))
            anchors = (_rounded(part - mean_a) + mean_a) * anchor
            mean_b, scale_b = context(prior, earlier, anchors)
            mean = torch.lerp(mean_b.float(), mean_a.float(), anchor)
            scale = torch.lerp(scale_b.float(), scale_a.float(), anchor)
            done.append(_rounded(part - mean) + mean)
            bits = bits + gaussian_bits(_noisy(part, noise) - mean, scale).sum((1, 2, 3))
        return torch.cat(done, 1), bits


def _rounded(x: Tensor) -> Tensor:
    """Rounding whose gradient is that of the identity."""
    return x + (x.round() - x).detach()


def _noisy(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Add uniform noise in [-0.5, 0.5], the stand-in for rounding in the rate."""
    return x + (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 0.5)
