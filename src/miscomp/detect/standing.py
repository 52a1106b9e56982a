"""How well a detector scored where the truth is known, for the reports that show what it found.

`assets/standing.json` is written after a benchmark; a version that was not scored has no entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure from a sample of pictures, with its 95 % bootstrap interval over them."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a benchmark said about one version of a detector."""

    version: str
    benchmark: str
    """Which pictures, plants and codecs, in words."""
    average_precision: Estimate
    recall_at_ten: Estimate
    """Share of the planted changes that are among the ten best findings of their picture."""
    false_alarms: tuple[tuple[float, float], ...]
    """Scores, and how many findings of at least that score a megapixel of the controls has; rising scores."""
    false_alarms_coded: tuple[tuple[float, float], ...]
    """The same for those controls that only went through a codec at a high rate."""
    control_megapixels: float
    """How much the false alarms were counted on."""

    def alarms_per_megapixel(self, score: float) -> float | None:
        """False alarms per megapixel of the coded controls at the highest tabulated score that is not above this one.

        None below the first of the table.
        """
        return next((alarms for least, alarms in reversed(self.false_alarms_coded) if least <= score + 1e-9), None)


def standing_of(version: str) -> Standing | None:
    """How the detector of this version scored; none where that version was not scored."""
    return _all().get(version)


@cache
def _all() -> dict[str, Standing]:
    path = resources.files("miscomp.detect") / "assets" / "standing.json"
    if not path.is_file():
        return {}
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return {record["version"]: _standing(record) for record in records}


def _standing(record: dict[str, Any]) -> Standing:
    alarms, coded = (
        tuple(sorted((float(score), float(count)) for score, count in record[name]))
        for name in ("false_alarms", "false_alarms_coded")
    )
    return Standing(
        version=str(record["version"]),
        benchmark=str(record["benchmark"]),
        average_precision=_estimate(record["average_precision"]),
        recall_at_ten=_estimate(record["recall_at_ten"]),
        false_alarms=alarms,
        false_alarms_coded=coded,
        control_megapixels=float(record["control_megapixels"]),
    )


def _estimate(record: dict[str, Any]) -> Estimate:
    return Estimate(value=float(record["value"]), low=float(record["low"]), high=float(record["high"]))
