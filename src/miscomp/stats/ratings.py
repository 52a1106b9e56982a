"""Who called which unit annotated: the one form in which agreement is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MISSING = -1
"""A labeler who has not seen the unit's image."""

Ints8 = npt.NDArray[np.int8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ratings:
    """Units by labelers: 1 annotated, 0 seen and not annotated, -1 not seen.

    Units of an image (a photograph with all its reconstructions, which show the same places) lie one behind the other;
    an image is what a resample draws.
    """

    values: Ints8
    """(units, labelers)."""
    image: Indices
    """(units,): which image each unit is of, 0, 1, 2 ... in order, none left out."""
    labelers: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape != (len(self.image), len(self.labelers)):
            raise ValueError(f"ratings need (units, labelers), got {self.values.shape}")
        if self.values.size and not np.isin(np.unique(self.values), (MISSING, 0, 1)).all():
            raise ValueError("a rating is -1, 0 or 1")
        steps = np.diff(self.image, prepend=0)
        if len(self.image) and (self.image[0] != 0 or not np.isin(np.unique(steps), (0, 1)).all()):
            raise ValueError("units must lie image by image, numbered from 0 without a gap")

    @property
    def images(self) -> int:
        """How many images the units are of."""
        return int(self.image[-1]) + 1 if len(self.image) else 0
