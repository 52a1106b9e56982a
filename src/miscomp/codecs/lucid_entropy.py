"""The entropy model of `lucid`, as it is trained: a hyperprior with parallel contexts.

Mean and scale of each latent come from the hyperprior (Minnen et al., NeurIPS 2018), the local quality, earlier
channel groups (Minnen and Singh, ICIP 2020) and, inside a group, a checkerboard (He et al., CVPR 2021): two steps a
group. Coding uses the same networks in integers (`miscomp.codecs.lucid_integer`), so every operation here has an
exact counterpart there: sums of products, clamping, absolute values and a leaky ReLU of slope 1/8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.codecs.fixed_point import SLOPE
from miscomp.codecs.gaussian import SCALE_MIN, gaussian_bits
from miscomp.codecs.layers import GainTable, QualityBias, upsample

HYPER = 4
"""Latents a side per hyper-latent."""

REACH = 8.0
"""Latents enter the networks in their own units, clamped to [-REACH, REACH]."""

SIGNED_GROUPS = 2
"""The first groups see their neighbours' values, the others only their sizes: fine detail has no sign to tell."""


HYPER_WIDTH = 128
"""Channels inside h_s, at 1/32 of the size."""


def checkerboard(like: Tensor) -> Tensor:
    """1 at anchor positions (even row + column), 0 elsewhere; shape (1, 1, h, w)."""
    h, w = like.shape[-2:]
    rows = torch.arange(h, device=like.device)[:, None]
    columns = torch.arange(w, device=like.device)[None, :]
    return ((rows + columns) % 2 == 0).to(like.dtype)[None, None]


def sides(x: Tensor) -> Tensor:
    """The four neighbours that share a side, (b, 4 * c, h, w): above, left, right, below; 0 outside."""
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    above, below = padded[:, :, :-2, 1:-1], padded[:, :, 2:, 1:-1]
    left, right = padded[:, :, 1:-1, :-2], padded[:, :, 1:-1, 2:]
    return torch.cat([above, left, right, below], 1)


def energy(x: Tensor) -> Tensor:
    """Sum of the four neighbours' absolute values, (b, c, h, w)."""
    size = x.abs()
    padded = nn.functional.pad(size, (1, 1, 1, 1))
    vertical = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    return vertical + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]


def positive_scale(raw: Tensor) -> Tensor:
    """Standard deviation from a network's output: at least `SCALE_MIN`, exponential above, so that steps are ratios."""
    return SCALE_MIN * (1 + raw.clamp_max(9.0).exp())


class GroupContext(nn.Module):
    """Mean and scale of one channel group from hyperprior, quality, earlier groups and the group's own anchors."""

    unit: Tensor
    earlier_unit: Tensor

    def __init__(self, size: int, earlier: int, *, hidden: int, prior: int, gain_steps: int, signed: bool) -> None:
        super().__init__()
        # Principal components differ in size by a factor of hundreds; in these units all are of order 1.
        self.register_buffer("unit", torch.ones(size))
        self.register_buffer("earlier_unit", torch.ones(earlier))
        self.prior = nn.Conv2d(prior, hidden, 1)
        self.quality = QualityBias(gain_steps, hidden)
        self.earlier = nn.Conv2d(3 * earlier, hidden, 1, bias=False) if earlier else None
        self.near = nn.Conv2d((5 if signed else 1) * size, hidden, 1, bias=False)
        self.mix = nn.Conv2d(hidden, hidden, 1)
        self.out = nn.Conv2d(hidden, 2 * size, 1)
        self.signed = signed

    def common(self, prior: Tensor, quality: Tensor, earlier: Tensor | None) -> Tensor:
        """What anchors and the others share, (b, hidden, h, w)."""
        shared: Tensor = self.prior(prior) + self.quality(quality)
        if self.earlier is not None and earlier is not None:
            value = (earlier / self.earlier_unit[:, None, None]).clamp(-REACH, REACH)
            shared = shared + self.earlier(torch.cat([value, value.abs(), energy(value)], 1))
        return shared

    def forward(self, common: Tensor, anchors: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and scale (b, group, h, w); `anchors` holds the decoded anchors and 0 elsewhere, none before them."""
        mixed = common
        if anchors is not None:
            value = (anchors / self.unit[:, None, None]).clamp(-REACH, REACH)
            near = torch.cat([sides(value), energy(value)], 1) if self.signed else energy(value)
            mixed = common + self.near(near)
        mixed = nn.functional.leaky_relu(mixed, SLOPE)
        mixed = nn.functional.leaky_relu(self.mix(mixed), SLOPE)
        mean, raw = self.out(mixed).chunk(2, 1)
        return mean.float() * self.unit[:, None, None], positive_scale(raw.float())

    @torch.no_grad()
    def start_from(self, deviation: Tensor, earlier: Tensor) -> None:
        """Start with means of 0 and scales of `deviation` (group), after groups with scales `earlier`."""
        self.unit.copy_(_power_of_two(deviation))
        self.earlier_unit.copy_(_power_of_two(earlier))
        self.out.weight.mul_(0.1)
        start = torch.cat([torch.zeros_like(deviation), (deviation / SCALE_MIN - 1).clamp_min(0.1).log()])
        self.out.bias = nn.Parameter(start.to(self.out.weight))


def _power_of_two(value: Tensor) -> Tensor:
    """The nearest power of two on the logarithmic scale: dividing by it is a shift."""
    return value.log2().round().exp2()


class EntropyNetworks(nn.Module):
    """Everything both sides must compute alike: the prior of z, h_s and the contexts."""

    def __init__(
        self, *, groups: tuple[int, ...], hidden: tuple[int, ...], hyper: int, prior: int, gain_steps: int
    ) -> None:
        super().__init__()
        self.groups = groups
        self.z_scale = GainTable(gain_steps, hyper, low=0.5, high=1.0)
        self.h_s = nn.Sequential(
            upsample(hyper, HYPER_WIDTH), nn.LeakyReLU(SLOPE), upsample(HYPER_WIDTH, prior), nn.LeakyReLU(SLOPE)
        )
        self.contexts = nn.ModuleList(
            GroupContext(
                size,
                sum(groups[:index]),
                hidden=hidden[index],
                prior=prior,
                gain_steps=gain_steps,
                signed=index < SIGNED_GROUPS,
            )
            for index, size in enumerate(groups)
        )

    @torch.no_grad()
    def start_from(self, deviation: Tensor) -> None:
        """Start at each channel's own spread, (latent), at medium quality."""
        first = 0
        for context, size in zip(self.contexts, self.groups, strict=True):
            context.start_from(deviation[first : first + size], deviation[:first])  # type: ignore[operator]
            first += size

    def forward(
        self, y: Tensor, z: Tensor, quality: Tensor, noise: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Quantised latents with straight-through gradients, and estimated bits (b).

        y (b, latent, h, w) after the gain, z (b, hyper, h / 4, w / 4), quality (b, 1, h, w).
        """
        block_quality = nn.functional.avg_pool2d(quality, HYPER)
        bits = gaussian_bits(_noisy(z, noise), self.z_scale(block_quality)).sum((1, 2, 3))
        prior = self.h_s(_rounded(z))
        anchor = checkerboard(y)
        done: list[Tensor] = []
        for part, context in zip(torch.split(y, list(self.groups), 1), self.contexts, strict=True):
            common = context.common(prior, quality, torch.cat(done, 1) if done else None)  # type: ignore[operator]
            mean_a, scale_a = context(common, None)
            anchors = (_rounded(part - mean_a) + mean_a) * anchor
            mean_b, scale_b = context(common, anchors)
            mean = torch.lerp(mean_b, mean_a, anchor)
            scale = torch.lerp(scale_b, scale_a, anchor)
            done.append(_rounded(part - mean) + mean)
            bits = bits + gaussian_bits(_noisy(part, noise) - mean, scale).sum((1, 2, 3))
        return torch.cat(done, 1), bits


def _rounded(x: Tensor) -> Tensor:
    """Rounding whose gradient is that of the identity."""
    return x + (x.round() - x).detach()


def _noisy(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Add uniform noise in [-0.5, 0.5], the stand-in for rounding in the rate."""
    return x + (torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 0.5)
