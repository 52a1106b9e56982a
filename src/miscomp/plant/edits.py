"""What the kinds of plants share: the edit, what is asked of a kind, and places that are still free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.taxonomy import split_categories

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
"""From barely visible at full size to plain."""

LEAST_CHANGED = 12
"""Fewest pixels that a plant changes by more than `LEAST_STEP` in some channel."""

LEAST_STEP = 8

GAP = 8
"""Fewest pixels between the boxes of two plants."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edit:
    """One change of meaning in one picture.

    Within `region`, `before` is what the original shows and `after` what the changed picture shows. `before` differs
    from the photograph where a sign was put into both; then `region` is larger than the change.
    """

    region: Box
    before: Pixels
    """(region.h, region.w, 3) uint8 sRGB."""
    after: Pixels
    note: str = ""
    """In plain words, such as `8 became 6`."""

    def __post_init__(self) -> None:
        wanted = (self.region.h, self.region.w, 3)
        for name in ("before", "after"):
            patch = getattr(self, name)
            if patch.shape != wanted or patch.dtype != np.uint8:
                raise ValueError(f"{name} needs uint8 of shape {wanted}, got {patch.dtype} of {patch.shape}")

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        """Where the two differ by more than `LEAST_STEP` in some channel, (region.h, region.w)."""
        difference = np.abs(self.before.astype(np.int16) - self.after)
        visible: npt.NDArray[np.bool_] = difference.max(2) > LEAST_STEP
        return visible

    @property
    def box(self) -> Box | None:
        """The tight box around what changed, in the picture's frame; none where too little did."""
        mask = self.changed
        if int(mask.sum()) < LEAST_CHANGED:
            return None
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        top, left = int(rows[0]), int(columns[0])
        w, h = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
        return Box(self.region.x + left, self.region.y + top, w, h)


Free = Callable[[Box], bool]
"""Whether a box may be used: inside the picture, and away from what was planted before."""


class Kind(Protocol):
    """Makes one change at a place of its own choice."""

    def __call__(self, pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
        """An edit of `pixels` (h, w, 3), or none where no place was found.

        `strength` in (0, 1] says how plain the change is. Everything random comes from `rng`. The whole `region` of
        the edit is `free`. `pixels` are not changed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """Everything about a kind of plant."""

    name: str
    target: str
    """`module:function`, a `Kind`."""
    category: str
    """As in the tables; empty for hard negatives."""
    description: str
    symbol: bool = False
    label: bool = True
    """Whether the change alters meaning; else it is a hard negative."""
    weight: float = 1.0
    """How often it is drawn, relative to the others."""

    def __post_init__(self) -> None:
        split_categories(self.category)
        if self.label != bool(self.category):
            raise ValueError(f"kind {self.name}: a label has a category and a hard negative has none")


def check_strength(strength: float) -> float:
    """Return a strength in (0, 1]; raises `UsageError` otherwise."""
    if not 0 < strength <= 1:
        raise UsageError(f"a plant's strength lies above 0 and is at most 1, got {strength:g}")
    return strength
