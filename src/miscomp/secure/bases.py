"""Codecs to make self-destructing: what training needs of any of them.

To add a kind of base: one more row of `KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from miscomp.codecs.lucid import NAMES
from miscomp.codecs.spec import parse_spec
from miscomp.errors import UsageError
from miscomp.registry import Registry, load
from miscomp.training.crops import CropSource


class FirstPass(NamedTuple):
    """The first compression of images: x_hat (b, 3, h, w), not clamped, and estimated bits (b)."""

    x_hat: Tensor
    bits: Tensor


class Base(nn.Module, ABC):
    """A codec's networks in training. Sides of pictures are multiples of 64."""

    @abstractmethod
    def first(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> FirstPass:
        """Compress x (b, 3, h, w) in [0, 1]; quality (b, 1, h / 16, w / 16)."""

    @abstractmethod
    def again(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> Tensor:
        """x_hat (b, 3, h, w), not clamped, without its rate: a second compression may cost what it likes."""

    @abstractmethod
    def lmbda(self, quality: Tensor) -> Tensor:
        """Rate-distortion weight of a quality, for squared errors of values up to 255; same shape."""

    @abstractmethod
    def qualities(self, low: float, high: float) -> tuple[float, float]:
        """The range of qualities that is trained, for the one that was asked for."""

    @abstractmethod
    def export(self, out: Path, source: CropSource, *, first: int, batches: int) -> str:
        """Write the weights as the codec loads them, its tables fitted to `batches` batches; returns the SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseKind:
    """A way to make a base of a codec."""

    name: str
    """A codec's name, or `published` for every codec with an architecture of `codecs.networks`."""
    build: str
    """`module:function` of a spec as written, the weights file to begin with (or none) and the rate-distortion weight
    (0: the base's own), to a `Base`."""


KINDS: Registry[BaseKind] = Registry(
    "base",
    [
        BaseKind(name="lucid", build="miscomp.secure.lucid_base:open_base"),
        BaseKind(name="published", build="miscomp.secure.published_base:open_base"),
    ],
)


def open_base(spec: str, start: Path | None = None, *, lmbda: float = 0.0) -> Base:
    """The networks of a codec as it is written (`lucid`, `mbt2018@q8`), with the weights of `start` if given.

    `lmbda` is the rate-distortion weight to train for; 0: the base's own. Raises `UsageError` for a codec that cannot
    be trained, and `WeightsError`.
    """
    name = spec.partition("@")[0]
    if name in NAMES:
        kind = KINDS["lucid"]
    else:
        parse_spec(spec)  # says what is wrong with it
        kind = KINDS["published"]
    base: Base = load(kind.build)(spec, start, lmbda)
    if not any(parameter.requires_grad for parameter in base.parameters()):
        raise UsageError(f"{spec} has no weights that could be trained")
    return base
