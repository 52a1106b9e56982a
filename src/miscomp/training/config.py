"""What a training run is told: a frozen record, read from TOML, saved beside the result."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from miscomp.errors import InputError, UsageError

_NO_LIMITS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of the one training loop, whatever is trained.

    The learning rate warms up, stays, and falls linearly to zero over the last `decay` share of the steps.
    A run can therefore be lengthened while it is in its constant part: give more steps and resume. Besides, it
    drops by `drop_factor` at each share of the steps in `drops`.
    """

    steps: int = 30_000
    batch_size: int = 4
    crop: int = 192
    """Side of the square training crops in pixels; a multiple of 64."""
    learning_rate: float = 5e-4
    warmup: int = 200
    decay: float = 0.3
    drops: tuple[float, ...] = ()
    """Shares of the steps, each above the one before."""
    drop_factor: float = 0.1
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.999
    """Decay of the moving average of the weights; 0 keeps none."""
    precision: str = "bf16"
    """`bf16`, `fp16` (on GPUs only) or `no` (float32), as in accelerate."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    seed: int = 0
    save_every: int = 1000
    log_every: int = 50
    start: str = ""
    """Weights file to begin with; empty begins anew: lucid with principal components, other networks at random."""
    valid: str = ""
    """Folder of pictures to validate on; empty does not validate."""
    valid_pictures: int = 16
    """Most pictures of that folder that are used, spread over its sorted names."""
    validate_every: int = 1000

    def __post_init__(self) -> None:
        at_least = dict.fromkeys(("steps", "batch_size", "crop", "save_every", "log_every"), 1)
        at_least |= {"valid_pictures": 1, "validate_every": 1, "warmup": 0, "seed": 0}
        self._need_limits(at_least=at_least)
        # Beyond these, memory or a number of 64 bits overflows, and 32-bit floats do.
        self._need_limits(at_most={"batch_size": 4096, "seed": 2**32 - 1, "learning_rate": 1.0})
        self._need_positive("learning_rate", "clip")
        self._need(self.crop % 64 == 0, "crop", "a multiple of 64")
        self._need(0 <= self.decay <= 1, "decay", "a number in [0, 1]")
        self._need(0 <= self.ema < 1, "ema", "a number in [0, 1)")
        self._need(0 < self.drop_factor <= 1, "drop_factor", "a number in (0, 1]")
        rising = all(low < high for low, high in pairwise((0, *self.drops, 1)))
        self._need(rising, "drops", "rising shares of the steps between 0 and 1")
        self._need(self.precision in ("bf16", "fp16", "no"), "precision", "'bf16', 'fp16' or 'no'")
        self._need(self.device in ("cpu", "cuda"), "device", "'cpu' or 'cuda'")
        if self.precision == "fp16" and self.device == "cpu":
            raise UsageError("training setting precision 'fp16' needs the device 'cuda'; give 'bf16' or 'no' on a CPU")

    def _need_limits(
        self, *, at_least: Mapping[str, float] = _NO_LIMITS, at_most: Mapping[str, float] = _NO_LIMITS
    ) -> None:
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise UsageError(f"training setting {name} must be at least {least}, got {getattr(self, name)}")
        for name, most in at_most.items():
            if not getattr(self, name) <= most:
                raise UsageError(f"training setting {name} must be at most {most:g}, got {getattr(self, name)}")

    def _need_positive(self, *names: str) -> None:
        for name in names:
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise UsageError(f"training setting {name} must be a number above 0, got {getattr(self, name)}")

    def _need(self, met: bool, name: str, wanted: str) -> None:
        if not met:
            raise UsageError(f"training setting {name} must be {wanted}, got {getattr(self, name)!r}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LoopConfig):
    """Settings of a training of the codec lucid."""

    lmbda_low: float = 0.0002
    """Rate-distortion weight at quality 0."""
    lmbda_high: float = 0.12
    """Rate-distortion weight at quality 1; log-linear in between."""
    fit_batches: int = 200
    """Batches that the range coder's tables are fitted to after the last step; 0 keeps a Gaussian's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_limits(at_least={"fit_batches": 0}, at_most={"lmbda_high": 1e6})
        self._need_positive("lmbda_low", "lmbda_high")
        if self.lmbda_low > self.lmbda_high:
            raise UsageError(f"training needs lmbda_low <= lmbda_high, got {self.lmbda_low}, {self.lmbda_high}")


@dataclass(frozen=True, kw_only=True)
class DetectorConfig(LoopConfig):
    """Settings of a training of the learned detector."""

    steps: int = 6000
    batch_size: int = 4
    crop: int = 512
    """Side of the square training crops in pixels; a multiple of 64."""
    learning_rate: float = 1e-3
    valid_pictures: int = 24
    plants: int = 8
    """Plants in each crop, as far as there is room."""
    negatives: int = 3
    """Hard negatives in each crop."""
    leave_out_kinds: str = ""
    """Kinds of plants that are never shown, separated by commas: to learn what is found of the unknown."""
    leave_out_codecs: str = ""
    """Codecs that are never shown, separated by commas."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_limits(at_least={"plants": 1, "negatives": 0}, at_most={"plants": 16, "negatives": 16})


@dataclass(frozen=True, kw_only=True)
class JpegSimConfig(LoopConfig):
    """Settings of a training of UNetJPEG, the network that simulates JPEG."""

    steps: int = 20_000
    batch_size: int = 8
    crop: int = 128
    """Side of the square training crops in pixels; a multiple of 64."""
    learning_rate: float = 1e-3
    width: int = 16
    """Channels of the first stage; the paper's 64 want a GPU."""
    residual: bool = False
    """Add the picture to what the network gives, which the paper does not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_limits(at_least={"width": 1}, at_most={"width": 96})


ConfigT = TypeVar("ConfigT", bound=LoopConfig)

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list of numbers",
    bool: "true or false",
}


def load_config(path: Path, kind: type[ConfigT], overrides: dict[str, Any] | None = None) -> ConfigT:
    """Read settings of a `kind` from a TOML file; an unknown key or a wrong type is an `InputError` naming it.

    `overrides` stand above the file. A value out of its range is a `UsageError`.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}; give a TOML file of settings") from error
    except (ValueError, RecursionError) as error:  # also for numbers too long to read
        raise InputError(path, f"is not TOML: {error}") from error
    kinds = {f.name: type(f.default) for f in fields(kind)}
    for name, value in values.items():
        if name not in kinds:
            raise InputError(path, f"unknown setting {name!r}; known: {', '.join(kinds)}")
        if not _is_a(value, kinds[name]):
            raise InputError(path, f"setting {name} needs {_KINDS[kinds[name]]}, got {value!r}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**{**values, **(overrides or {})})


def _is_a(value: object, kind: type) -> bool:
    """Whether a value of TOML can be a setting of this type; a bool is no number."""
    if kind is tuple:
        return isinstance(value, list) and all(_is_a(one, float) for one in value)
    return type(value) is kind or (kind is float and type(value) is int)
