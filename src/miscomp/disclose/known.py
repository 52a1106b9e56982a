"""How often a detector errs, where that was measured: the figures of `assets/error_rates.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from miscomp.disclose.statement import Detector


def describe_detector(name: str, version: str, settings: Mapping[str, Any]) -> Detector:
    """A detector with its error rates, if this version was measured with these settings of an audit; else without.

    The figures hold for one least score and with text read. Whatever else is asked of a detector, its error rates are
    not known.
    """
    known = _figures()
    row = known["detectors"].get(version)
    as_measured = (
        settings.get("detect.text", True) is True and settings.get("detect.minimum_score") == known["minimum_score"]
    )
    if row is None or not as_measured:
        return Detector(name=name, version=version)
    return Detector(
        name=name,
        version=version,
        recall=row["recall"],
        false_per_image=round(row["false_per_megapixel"] * known["pixels"] / 1e6, 2),
        measured_on=known["measured_on"],
    )


@cache
def _figures() -> dict[str, Any]:
    path = files("miscomp.disclose") / "assets" / "error_rates.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
