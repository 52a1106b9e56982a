"""The loss that makes a codec destroy its own pictures when it compresses them again.

SLIC, equations 5 and 6: L = R + lambda * D + alpha * (relu(tau - P(x1, x2)) + relu(tau - P(u(x1), G(u(x1))))).
Ours beside it: content that was never coded has to survive next to what is destroyed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from miscomp.metrics.psnr import psnr
from miscomp.secure.attacks import Attacked, Attacker
from miscomp.secure.bases import Base
from miscomp.secure.config import SecureConfig
from miscomp.tensors import eight_bit

LMBDAS = (0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18)
"""CompressAI's rate-distortion weights of its qualities 1 to 8."""

ALPHAS = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.75, 2.5)
"""Table 1: weights of the adversarial loss at these qualities."""

KEPT_SPAN = 20.0
"""Decibels below `survive_db` that count as a loss of 1."""

_ERODE = 24
"""Pixels inside a splice's border that may go with their surroundings: one and a half blocks of latents."""

_LEAST_MSE = 1e-6

Attack = Callable[[Tensor], Attacked]


def alpha_of(lmbda: float) -> float:
    """Table 1's alpha, interpolated between the logarithms of the rate-distortion weights; its ends hold beyond."""
    if lmbda <= LMBDAS[0]:
        return ALPHAS[0]
    for (low, high), (least, most) in zip(pairwise(LMBDAS), pairwise(ALPHAS), strict=True):
        if lmbda <= high:
            share = math.log(lmbda / low) / math.log(high / low)
            return math.exp(math.log(least) + share * math.log(most / least))
    return ALPHAS[-1]


class Passes(NamedTuple):
    """What one step looks at; pictures (b, 3, h, w)."""

    x_hat: Tensor
    """Of the first compression, not clamped."""
    bits: Tensor
    """(b), estimated, of the first compression."""
    x1: Tensor
    """x_hat as 8 bits hold it."""
    x2: Tensor
    """Its re-compression, not clamped."""
    attacked: Attacked
    attacked_again: Tensor
    """Re-compression of the edited picture, not clamped."""


class SelfDestructing(nn.Module):
    """A base in training. One forward goes through all compressions of a step, as several processes need it."""

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: Tensor, qualities: tuple[Tensor, Tensor], noise: torch.Generator, attack: Attack) -> Passes:
        """Compress x at the first of the qualities, and what comes out at the second, as it is and edited."""
        first, second = qualities
        x_hat, bits = self.base.first(x, first, noise)
        x1 = eight_bit(x_hat)
        attacked = attack(x1)
        # Both at once: on a CPU twice the batch costs less than two passes.
        x2, again = self.base.again(torch.cat([x1, attacked.pixels]), torch.cat([second, second]), noise).chunk(2)
        return Passes(x_hat, bits, x1, x2, attacked, again)


class SelfDestruction:
    """The loss of the training loop."""

    def __init__(self, metric: nn.Module, attacker: Attacker, config: SecureConfig, base: Base) -> None:
        self._metric = metric
        self._attacker = attacker
        self._config = config
        self._lmbda = base.lmbda
        self._range = base.qualities(config.quality_low, config.quality_high)

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean loss over the batch, and what to log; x (b, 3, h, w), quality (b, 1, h / 16, w / 16) in [0, 1].

        Quality 0 and 1 stand for the ends of the range that is trained.
        """
        rng = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=noise, device=noise.device)))
        low, high = self._range
        first = self.quality(quality)
        # The forger's second compression need not have the quality of the first.
        second = torch.full_like(first, low + (high - low) * float(torch.rand((), generator=rng)))

        def attack(x1: Tensor) -> Attacked:
            return self._attacker(x1, x, rng)

        out: Passes = model(x, (first, second), noise, attack)
        cost, figures = self._rate_distortion(x, out, first)
        adversarial, more = self._adversarial(out)
        return cost + adversarial, {**figures, **more}

    def quality(self, place: Tensor) -> Tensor:
        """The codec's qualities for places in [0, 1] within the range that is trained."""
        low, high = self._range
        return low + (high - low) * place

    def _rate_distortion(self, x: Tensor, out: Passes, quality: Tensor) -> tuple[Tensor, dict[str, float]]:
        bpp = out.bits / (x.shape[-1] * x.shape[-2])
        lmbda = nn.functional.interpolate(self._lmbda(quality), x.shape[-2:])
        distortion = 255**2 * (lmbda * (out.x_hat - x).square().mean(1, keepdim=True)).mean((1, 2, 3))
        figures = {"estimated_bpp": bpp.detach().mean(), "psnr_db": psnr(x, out.x_hat.detach()).mean()}
        return (bpp + distortion).mean(), {name: float(value) for name, value in figures.items()}

    def _adversarial(self, out: Passes) -> tuple[Tensor, dict[str, float]]:
        """Weighted by alpha; the PSNR of re-compressions in the figures are of what is not foreign."""
        low, high = self._range
        middle = torch.tensor((low + high) / 2)
        alpha = self._config.alpha or alpha_of(float(self._lmbda(middle)))
        loss, figures = self._of_attacked(out.attacked, out.attacked_again)
        total = self._hinge(out.x1, out.x2).mean() + loss
        return alpha * total, {"again_db": _db(out.x1, out.x2), **figures, "adversarial": float(total.detach())}

    def _of_attacked(self, attacked: Attacked, again: Tensor) -> tuple[Tensor, dict[str, float]]:
        picture, foreign = attacked.pixels, attacked.foreign
        if foreign is None:
            return self._hinge(picture, again).mean(), {f"{attacked.kind}_db": _db(picture, again)}
        inside = _eroded(foreign)
        kept = _psnr_inside(picture, again, inside)
        loss = self._config.survive * ((self._config.survive_db - kept).clamp_min(0) / KEPT_SPAN).mean()
        figures = {f"{attacked.kind}_kept_db": float(kept.detach().mean())}
        # Where all is foreign, nothing has to be destroyed.
        if bool(foreign.amin() == 0):
            near = _dilated(foreign)
            outside = _psnr_inside(picture, again, 1 - near)
            loss = loss + self._hinge(_covered(picture, near), _covered(again.clamp(0, 1), near)).mean()
            figures[f"{attacked.kind}_db"] = float(outside.detach().mean())
        return loss, figures

    def _hinge(self, picture: Tensor, again: Tensor) -> Tensor:
        """relu(tau - P) per picture."""
        value: Tensor = self._metric(picture, again.float().clamp(0, 1))
        return (self._config.tau - value).clamp_min(0)


def _covered(picture: Tensor, mask: Tensor) -> Tensor:
    """The picture, inside the mask in the mean colour of the rest: flat, so that next to nothing there is judged."""
    outside = 1 - mask
    mean = (picture * outside).sum((2, 3), keepdim=True) / outside.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(mask > 0, mean, picture)


def _db(picture: Tensor, again: Tensor) -> float:
    return float(psnr(picture.detach().float(), again.detach().float().clamp(0, 1)).clamp_max(60).mean())


def _psnr_inside(picture: Tensor, again: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB (b) where the mask (b, 1, h, w) is 1; 60 for an empty mask."""
    error = (picture - again.float().clamp(0, 1)).square().mean(1, keepdim=True) * mask
    mse = error.sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp_min(1)
    return -10 * (mse + _LEAST_MSE).log10()


def _dilated(mask: Tensor) -> Tensor:
    # One direction after the other: a square window would take ten times as long.
    side = 2 * _ERODE + 1
    across = nn.functional.max_pool2d(mask, (1, side), 1, (0, _ERODE))
    return nn.functional.max_pool2d(across, (side, 1), 1, (_ERODE, 0))


def _eroded(mask: Tensor) -> Tensor:
    # Beyond the picture's border nothing surrounds it.
    return 1 - _dilated(1 - mask)
