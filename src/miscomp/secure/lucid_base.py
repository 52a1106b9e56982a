"""`lucid` as a base: one set of networks for all its qualities."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from miscomp.codecs.lucid_model import LucidModel
from miscomp.codecs.lucid_weights import read_weights, shipped_weights, write_weights
from miscomp.errors import UsageError
from miscomp.secure.bases import Base, FirstPass
from miscomp.training.calibration import Fit
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource
from miscomp.training.losses import RateDistortion


class LucidBase(Base):
    """Networks of `lucid`, trained over a range of its qualities."""

    def __init__(self, model: LucidModel) -> None:
        super().__init__()
        self.model = model
        scale = TrainConfig()
        self._loss = RateDistortion(lmbda_low=scale.lmbda_low, lmbda_high=scale.lmbda_high)

    def first(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> FirstPass:
        return FirstPass(*self.model(x, quality, noise))

    def again(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> Tensor:
        model = self.model
        y = model.g_a(x, quality).float() * model.gain(quality)
        # The entropy networks only say around which means is rounded; uniform noise stands for rounding around any.
        y = y + (torch.rand(y.shape, generator=noise, device=y.device) - 0.5)
        x_hat: Tensor = model.g_s(y * model.inverse_gain(quality), quality)
        return x_hat.float()

    def lmbda(self, quality: Tensor) -> Tensor:
        return self._loss.lmbda(quality)

    def qualities(self, low: float, high: float) -> tuple[float, float]:
        return low, high

    def export(self, out: Path, source: CropSource, *, first: int, batches: int) -> str:
        model = self.model.cpu().float().eval()
        frequencies = Fit(source, first, batches).frequencies(model) if batches else None
        return write_weights(model, out, frequencies=frequencies, dtype=torch.float16)


def open_base(spec: str, start: Path | None, lmbda: float = 0.0) -> LucidBase:
    """With the weights of a file, or the shipped ones of `lucid` or `slic`. Raises `UsageError`, `WeightsError`."""
    if "@" in spec:
        raise UsageError(f"the base {spec!r} needs no setting: lucid is trained over quality_low to quality_high")
    if lmbda:
        raise UsageError(f"the base {spec} takes no lmbda: its weights follow from quality_low to quality_high")
    return LucidBase(read_weights(start or shipped_weights(spec)).model.requires_grad_(True))
