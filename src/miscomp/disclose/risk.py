"""One figure for how much of what a picture means may have been changed: `miscomp-risk-1`.

In the spirit of the figure that Kee and Farid (PNAS 2011) gave to retouched photographs: one number per picture that
can stand in a caption. It is built from a detector's findings alone.

    extent  = sqrt(area of the finding / area of the picture)
    weight  = 0.25 + 0.75 * (1 - exp(-extent / 0.05))         of a symbol: (1 + weight) / 2
    total   = sum over findings of score * weight
    risk    = total / (1 + total)                              rounded to 4 decimals

- One finding as sure as can be that covers much of the picture gives 0.5; so do two of half that weight.
- Small things count too: a changed digit is small. So the weight begins at a quarter, for symbols at more than half.
- A finding without a score (a person's label) counts as score 1.
- Another finding, a higher score, a larger area, or being a symbol never lowers it.
- Scaling picture and findings alike leaves it as it is. A detector's limit of findings does grow with the pixels.

It is no probability. It knows only what the detector found: 0 says that no candidate was found, not that there is
nothing. Figures of other detectors, or of other versions of one, are not
comparable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from miscomp.disclose.statement import Place

RISK_FORM = "miscomp-risk-1"
"""Name of this definition; another formula gets another name."""

_LEAST = 0.25
_EXTENT = 0.05


def weight(place: Place, *, width: int, height: int) -> float:
    """How much a finding of score 1 adds to the total, 0.25 to 1, in a picture of `width` x `height` pixels."""
    extent = math.sqrt(min(place.w * place.h / (width * height), 1.0))
    plain = _LEAST + (1 - _LEAST) * -math.expm1(-extent / _EXTENT)
    return (1 + plain) / 2 if place.symbol else plain


def risk(places: Iterable[Place], *, width: int, height: int) -> float:
    """The figure for all findings of a picture of `width` x `height` pixels, in any order: 0 (none) to 1.

    Give it every finding, not the first 500 that a statement lists. Raises `ValueError` for a picture without pixels.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least one pixel, got {width} x {height}")
    total = math.fsum(
        (1.0 if one.score is None else one.score) * weight(one, width=width, height=height) for one in places
    )
    # Not total / (1 + total): of two totals a rounding apart, that can give the greater one the smaller figure.
    return round(1 - 1 / (1 + total), 4)
