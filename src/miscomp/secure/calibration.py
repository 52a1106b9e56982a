"""Where `verify` and `locate` draw their lines, and how often these are wrong: measured, for one set of weights.

`miscomp.secure.calibrate` makes the file; the one of the shipped weights is part of the package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from miscomp.codecs.base import HasCheckpoints
from miscomp.codecs.lucid import Lucid
from miscomp.errors import InputError
from miscomp.folders import write_text
from miscomp.secure.codec import SecureCodec

SHIPPED = "slic_calibration.json"
SCHEMA = 1

_KIND = "miscomp_secure_calibration"
_MOST_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The lines."""

    survives_below: float
    """Score of a block (log10 of its mean squared error for values in [0, 1]) below which it survives."""
    destroyed_above: float
    """Score above which it is destroyed."""
    least_share: float
    """Share of destroyed blocks, of those that are judged, from which on a picture carries the perturbation."""
    least_region: int
    """Blocks of the smallest connected region of survivors that counts as one."""
    reach: int
    """Pixels by which the surroundings destroy what is foreign, so that the mask is grown back by them."""

    def __post_init__(self) -> None:
        numbers = (self.survives_below, self.destroyed_above, self.least_share)
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
            raise ValueError("thresholds are finite numbers")
        if self.survives_below > self.destroyed_above:
            raise ValueError("survives_below is at most destroyed_above")
        if not 0 < self.least_share <= 1:
            raise ValueError("least_share lies above 0 and is at most 1")
        for name, least in (("least_region", 1), ("reach", 0)):
            if type(value := getattr(self, name)) is not int or value < least:
                raise ValueError(f"{name} is a whole number of at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Thresholds and what they were measured for."""

    codec: str
    """As results call it: `slic@q0.65`."""
    quality: float
    weights_sha256: str
    """Of the weights' file; empty for a codec without."""
    thresholds: Thresholds
    rates: Mapping[str, Any] = field(default_factory=dict)
    """What the thresholds were chosen on, and their error rates elsewhere, as `miscomp.secure.calibrate` writes it."""

    def problem(self, secure: SecureCodec) -> str:
        """What keeps the thresholds from being those of a codec, in words; empty where nothing does."""
        if self.weights_sha256 != weights_sha256(secure):
            return f"thresholds were measured for other weights ({self.codec}); calibrate these: error rates unknown"
        if self.quality != secure.quality:
            return f"thresholds were measured at quality {self.quality:g}, not {secure.quality:g}: error rates unknown"
        return ""


def weights_sha256(secure: SecureCodec) -> str:
    """SHA-256 of a codec's weights at its quality; empty for a codec without weights."""
    codec = secure.codec
    if isinstance(codec, HasCheckpoints):
        return codec.weights_sha256(secure.quality)
    return codec.weights_sha256 if isinstance(codec, Lucid) else ""


def shipped_calibration() -> Path:
    """Where the package keeps the calibration of its own weights."""
    return Path(str(resources.files("miscomp.secure") / "assets" / SHIPPED))


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write the file in one step; the same calibration gives the same bytes."""
    write_text(path, json.dumps({_KIND: SCHEMA, **asdict(calibration)}, indent=1) + "\n")


def read_calibration(path: Path | None = None) -> Calibration:
    """Read a calibration, or the package's own. Raises `InputError` for a file that is missing or none."""
    path = path or shipped_calibration()
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return _calibration(json.loads(content))
    except (OSError, ValueError, TypeError, RecursionError, OverflowError) as error:
        problem = f"is no calibration ({error}); `miscomp secure calibrate` makes one"
        raise InputError(path, problem) from error


def _calibration(record: Any) -> Calibration:
    if not isinstance(record, dict) or record.pop(_KIND, None) != SCHEMA:
        raise ValueError(f"{_KIND} is not {SCHEMA}")
    wanted = {one.name for one in fields(Calibration)}
    if set(record) != wanted or not isinstance(record["rates"], dict) or not isinstance(record["thresholds"], dict):
        raise ValueError(f"it needs {', '.join(sorted(wanted))}")
    if not all(isinstance(record[name], str) for name in ("codec", "weights_sha256")):
        raise ValueError("codec and weights_sha256 are texts")
    if not isinstance(record["quality"], int | float) or not math.isfinite(record["quality"]):
        raise ValueError("quality is a finite number")
    return Calibration(**{**record, "thresholds": Thresholds(**record["thresholds"])})
