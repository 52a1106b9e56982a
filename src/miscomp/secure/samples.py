"""What a calibration looks at: photographs coded by the codec and not, each as it is and after edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miscomp.images import Pixels, read
from miscomp.secure.codec import SecureCodec, through
from miscomp.secure.edits import EDITS, edit
from miscomp.secure.forgeries import region, splice
from miscomp.secure.survival import BLOCK, Flags, Plane, Survival, compare, recompress

MOST_SIDE = 512
"""Pixels a side of the middle of a photograph that is looked at."""

WINDOW = 16
"""Blocks a side of a window: 256 pixels."""

EDIT_NAMES = tuple(row.name for row in EDITS if row.name not in ("splice", "inpaint"))
"""Edits of the whole picture."""

PAPER = tuple(row.name for row in EDITS if row.paper)

UNEDITED = ("decoded", "shifted")
"""Kinds of coded pictures that nothing was done to but cutting."""

OTHERS = (("jpeg", 50), ("jpeg", 75), ("jpeg", 90), ("webp", 80), ("lucid", 0.65))
"""Codecs that uncoded photographs also go through."""

SPLICE_SHARES = (0.03, 0.08, 0.2)

_EDITS_OF_UNCODED = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """256 x 256 pixels of a picture and its re-compression."""

    photograph: int
    kind: str
    """What was done: `decoded`, `shifted` (cut by up to 15 pixels at the top and left), the name of an edit;
    `original`, `jpeg@75` ..., `edited`."""
    coded: bool
    scores: Plane
    """Of its blocks."""
    uniform: Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splice:
    """A coded photograph with a part of another one in it."""

    survival: Survival
    mask: Flags


def windows_of(number: int, photograph: Path, secure: SecureCodec, *, edits: bool) -> Iterator[Window]:
    """Every kind of one photograph, in windows, those of `EDIT_NAMES` only with `edits`.

    `number` decides how far the `shifted` and all uncoded ones are cut, and about the edits of the uncoded one.
    """
    x = cut_out(photograph)
    coded = secure.again(x)
    kinds = [(kind, True, pixels) for kind, pixels in _coded(number, coded, EDIT_NAMES if edits else ())]
    for kind, is_coded, pixels in (*kinds, *((kind, False, pixels) for kind, pixels in _uncoded(number, x))):
        survival = compare(pixels, *recompress(pixels, secure.again))
        yield from _windows(survival, number, kind, is_coded)


def splice_of(number: int, photograph: Path, donor: Path, secure: SecureCodec) -> Splice:
    """One splice; its share and shape go by turns."""
    pixels = secure.again(cut_out(photograph))
    kinds = ("blob", "ellipse", "rectangle")
    share = SPLICE_SHARES[number % len(SPLICE_SHARES)]
    kind = kinds[number // len(SPLICE_SHARES) % len(kinds)]
    mask = region(*pixels.shape[:2], share=share, seed=number, kind=kind)  # type: ignore[arg-type]
    forged = splice(pixels, cut_out(donor), mask)
    return Splice(survival=compare(forged, *recompress(forged, secure.again)), mask=mask)


def cut_out(photograph: Path) -> Pixels:
    """The middle of a photograph, at most 512 pixels a side."""
    pixels = read(photograph).pixels
    height, width = (min(side, MOST_SIDE) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _coded(number: int, coded: Pixels, edits: Sequence[str]) -> Iterator[tuple[str, Pixels]]:
    yield "decoded", coded
    yield "shifted", _shifted(number, coded)
    for name in edits:
        yield name, edit(name, coded, seed=number).pixels


def _uncoded(number: int, x: Pixels) -> Iterator[tuple[str, Pixels]]:
    cut = _shifted(number, x)
    yield "original", cut
    for name, quality in OTHERS:
        yield f"{name}@{quality:g}", through(name, cut, quality)
    for turn in range(_EDITS_OF_UNCODED):
        name = EDIT_NAMES[(number * _EDITS_OF_UNCODED + turn) % len(EDIT_NAMES)]
        yield "edited", edit(name, cut, seed=number).pixels


def _shifted(number: int, pixels: Pixels) -> Pixels:
    top, left = np.random.default_rng(number).integers(1, BLOCK, 2)
    return np.ascontiguousarray(pixels[top:, left:])


def _windows(survival: Survival, number: int, kind: str, coded: bool) -> Iterator[Window]:
    scores = survival.block_scores()
    for top in range(0, scores.shape[0] - WINDOW + 1, WINDOW):
        for left in range(0, scores.shape[1] - WINDOW + 1, WINDOW):
            place = slice(top, top + WINDOW), slice(left, left + WINDOW)
            yield Window(
                photograph=number,
                kind=kind,
                coded=coded,
                scores=scores[place].copy(),
                uniform=survival.uniform[place].copy(),
            )
