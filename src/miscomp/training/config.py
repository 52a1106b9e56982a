"""What a training run is told: a frozen record, read from TOML, saved beside the result."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from miscomp.errors import InputError, UsageError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the one training loop.

    The learning rate warms up, stays, and falls linearly to zero over the last `decay` share of the steps.
    A run can therefore be lengthened while it is in its constant part: give more steps and resume.
    """

    steps: int = 30_000
    batch_size: int = 8
    crop: int = 128
    """Side of the square training crops in pixels; a multiple of 64."""
    learning_rate: float = 5e-4
    warmup: int = 200
    decay: float = 0.3
    clip: float = 1.0
    """Largest gradient norm."""
    lmbda_low: float = 0.0004
    """Rate-distortion weight at quality 0."""
    lmbda_high: float = 0.04
    """Rate-distortion weight at quality 1; log-linear in between."""
    precision: str = "bf16"
    """`bf16` or `no` (float32), as in accelerate."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    seed: int = 0
    save_every: int = 1000
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "crop", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"training setting {name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"training setting {name} must not be negative, got {getattr(self, name)}")
        for name in ("learning_rate", "clip", "lmbda_low", "lmbda_high"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise UsageError(f"training setting {name} must be a number above 0, got {getattr(self, name)}")
        if self.crop % 64:
            raise UsageError(f"training setting crop must be a multiple of 64, got {self.crop}")
        if not 0 <= self.decay <= 1:
            raise UsageError(f"training setting decay must lie in [0, 1], got {self.decay}")
        if self.lmbda_low > self.lmbda_high:
            raise UsageError(f"training needs lmbda_low <= lmbda_high, got {self.lmbda_low}, {self.lmbda_high}")
        if self.precision not in ("bf16", "no"):
            raise UsageError(f"training setting precision must be 'bf16' or 'no', got {self.precision!r}")
        if self.device not in ("cpu", "cuda"):
            raise UsageError(f"training setting device must be 'cpu' or 'cuda', got {self.device!r}")

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


_KINDS = {int: "a whole number", float: "a number", str: "a text"}


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read settings from a TOML file; an unknown key or a wrong type is an `InputError` naming it.

    `overrides` stand above the file. A value out of its range is a `UsageError`.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}; give a TOML file of settings") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(path, f"is not TOML: {error}") from error
    kinds = {f.name: type(f.default) for f in fields(TrainConfig)}
    for name, value in values.items():
        if name not in kinds:
            raise InputError(path, f"unknown setting {name!r}; known: {', '.join(kinds)}")
        if type(value) is not kinds[name] and not (kinds[name] is float and type(value) is int):
            raise InputError(path, f"setting {name} needs {_KINDS[kinds[name]]}, got {value!r}")
    return TrainConfig(**{**values, **(overrides or {})})
