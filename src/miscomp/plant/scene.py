"""A photograph in which several things changed their meaning, each at a place of its own, and what was done where.

Everything random comes from the generator, so a scene depends on the pixels, the request and the seed alone. Beside
the kinds' own work there is little: two copies of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant.edits import GAP, STRENGTHS, Edit, KindRow, check_strength
from miscomp.records import Box
from miscomp.registry import load

TRIES = 6
"""Attempts at one plant: a third with its kind, a third with kinds of its sort, the others with any."""

USUAL_PIXELS = 768 * 512
"""Pixels of the picture that numbers of plants are told for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """One plant: an edit that was made and passed its checks."""

    row: KindRow
    strength: float
    seed: int
    """Of the generator that the kind was given."""
    edit: Edit
    box: Box
    """Tight around what changed, in the picture's frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A picture before and after its plants; `original` differs from the photograph where signs were put into both."""

    original: Pixels
    changed: Pixels
    plants: tuple[Planted, ...]
    missing: tuple[str, ...] = ()
    """For each plant that found no place the kind that was tried first."""

    @property
    def labels(self) -> tuple[Planted, ...]:
        """The plants that change meaning."""
        return tuple(plant for plant in self.plants if plant.row.label)

    def free(self, box: Box) -> bool:
        """Whether a box lies inside the picture and at least `GAP` away from everything that was planted."""
        return is_free(box, [plant.edit.region for plant in self.plants], self.original)


def is_free(box: Box, taken: Sequence[Box], pixels: Pixels) -> bool:
    """Whether a box lies inside the picture and at least `GAP` away from every box of `taken`."""
    height, width = pixels.shape[:2]
    if box.right > width or box.bottom > height:
        return False
    return not any(box.intersection(other.grown(GAP, width, height)) for other in taken)


def number_for(usual: int, pixels: Pixels) -> int:
    """How many of something a picture gets where one of `USUAL_PIXELS` gets `usual`: as the square root of its area.

    At least one, unless `usual` is 0.
    """
    scale = math.sqrt(pixels.shape[0] * pixels.shape[1] / USUAL_PIXELS)
    return max(round(usual * scale), 1) if usual else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A plant to be made."""

    row: KindRow
    others: tuple[KindRow, ...]
    """Kinds that may take its place."""
    strength: float
    seed: int

    def attempts(self, tries: int) -> list[tuple[KindRow, int]]:
        """Kinds and seeds to try, in order."""
        rng = np.random.default_rng(self.seed)
        # Signs find a place nearly everywhere and things do not: without this, signs would crowd out things.
        same = [row for row in self.others if row.symbol == self.row.symbol]
        third = math.ceil(tries / 3)
        rows = [self.row] * third + [_draw(same, rng) for _ in range(third)]
        rows += [_draw(self.others, rng) for _ in range(tries - len(rows))]
        return [(row, self.seed + number) for number, row in enumerate(rows[:tries])]


class Ground:
    """A picture that is being planted."""

    def __init__(self, pixels: Pixels) -> None:
        self._original, self._changed = pixels.copy(), pixels.copy()
        self._plants: list[Planted] = []
        # What kinds see cannot be written to: a kind that edits in place fails instead of changing what lies outside.
        self._view = self._original.view()
        self._view.setflags(write=False)

    @property
    def pixels(self) -> Pixels:
        """The original as it stands, read-only."""
        return self._view

    def free(self, box: Box) -> bool:
        """See `is_free`."""
        return is_free(box, [plant.edit.region for plant in self._plants], self._original)

    def accept(self, row: KindRow, strength: float, seed: int, edit: Edit | None) -> bool:
        """Make an edit; refused where too little changed, or it leaves the picture or touches another."""
        if edit is None or (box := edit.box) is None or not self.free(edit.region):
            return False
        region = edit.region
        rows, columns = slice(region.y, region.bottom), slice(region.x, region.right)
        self._original[rows, columns], self._changed[rows, columns] = edit.before, edit.after
        self._plants.append(Planted(row=row, strength=strength, seed=seed, edit=edit, box=box))
        return True

    def scene(self, missing: Sequence[str] = ()) -> Scene:
        """What was made so far."""
        self._original.setflags(write=False)
        self._changed.setflags(write=False)
        return Scene(original=self._original, changed=self._changed, plants=tuple(self._plants), missing=tuple(missing))


def make_scene(
    pixels: Pixels,
    *,
    rng: np.random.Generator,
    count: int,
    kinds: Sequence[KindRow],
    strengths: Sequence[float] = STRENGTHS,
    negatives: int = 0,
    tries: int = TRIES,
) -> Scene:
    """Plant up to `count` labels and `negatives` hard negatives in a picture (h, w, 3); `pixels` stay as they are.

    Kinds are drawn by their weights; strengths come equally often. A kind that finds no place gives way to others,
    first of its sort (signs, things), `tries` attempts in all. Raises `UsageError` for strengths outside (0, 1] and
    where none are given.
    """
    if not strengths:
        raise UsageError("a scene needs strengths, such as 0.5 and 1")
    checked = [check_strength(strength) for strength in strengths]
    wishes = _wishes([row for row in kinds if row.label], count, checked, rng)
    wishes += _wishes([row for row in kinds if not row.label], negatives, checked, rng)
    ground, missing = Ground(pixels), []
    # Mixed, so that labels do not always come to the best places and hard negatives to what is left.
    for index in rng.permutation(len(wishes)).tolist():
        if not _fulfil(ground, wishes[index], tries):
            missing.append(wishes[index].row.name)
    return ground.scene(missing)


def _wishes(rows: Sequence[KindRow], count: int, strengths: Sequence[float], rng: np.random.Generator) -> list[_Wish]:
    if not rows:
        return []
    rounds = [rng.permutation(len(strengths)).tolist() for _ in range(math.ceil(count / len(strengths)))]
    order = [strengths[index] for one in rounds for index in one]
    return [
        _Wish(row=_draw(rows, rng), others=tuple(rows), strength=strength, seed=int(rng.integers(2**31)))
        for strength in order[:count]
    ]


def _draw(rows: Sequence[KindRow], rng: np.random.Generator) -> KindRow:
    weights = np.array([row.weight for row in rows], dtype=np.float64)
    return rows[int(rng.choice(len(rows), p=weights / weights.sum()))]


def _fulfil(ground: Ground, wish: _Wish, tries: int) -> bool:
    for row, seed in wish.attempts(tries):
        kind: Callable[..., Edit | None] = load(row.target)
        edit = kind(ground.pixels, wish.strength, np.random.default_rng(seed), free=ground.free)
        if ground.accept(row, wish.strength, seed, edit):
            return True
    return False
