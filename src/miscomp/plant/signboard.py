"""Rendered signs put into photographs: one of any sort for a plant, or one with a known word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant.boards import Board, make_board
from miscomp.plant.composite import Placing, Point, box_around, place
from miscomp.plant.edits import Free
from miscomp.plant.fonts import Face
from miscomp.plant.styles import STYLES, pick_face, pick_style
from miscomp.records import Box

LEAST_LETTER, MOST_LETTER = 10, 60
"""Height of a capital in pixels of the photograph."""
TEXT_LIMIT = 40
"""Most letters of a known word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Written:
    """A known word that was put into a photograph."""

    region: Box
    after: Pixels
    """What the photograph shows within `region` once the sign is in it."""
    word: Box
    """The tight box of the letters in the photograph."""
    quad: tuple[Point, Point, Point, Point]
    """The letters' corners (x, y) in the photograph, clockwise from the text's top left."""
    text: str


def put_word(
    pixels: Pixels,
    text: str,
    letter_height: float,
    rng: np.random.Generator,
    *,
    free: Free,
    own_faces: Sequence[Face] = (),
) -> Written | None:
    """Put one line of text on a sign into a photograph; none where no place was found.

    `letter_height` is the height of a capital in pixels. Raises `UsageError` for an empty or very long text and for
    one with letters that no face has.
    """
    if not text.strip() or len(text) > TEXT_LIMIT or letter_height < 1:
        raise UsageError(
            f"a word to be put into a photograph has 1 to {TEXT_LIMIT} letters of at least 1 pixel, got {text!r} of "
            f"{letter_height:g}"
        )
    order = rng.permutation(len(STYLES))
    chosen = ((STYLES[number], pick_face(STYLES[number], text, rng, own_faces)) for number in order)
    for style, face in chosen:
        if face is not None:
            board = make_board(style, face, [text], letter_height, rng)
            break
    else:
        raise UsageError(f"no face at hand has every letter of {text!r}")
    placing = place(pixels, board.wanted(), rng, free=free)
    if placing is None:
        return None
    quad = placing.corners(board.letters_box())
    return Written(
        region=placing.region,
        after=placing.show(board.draw()),
        word=box_around(quad, placing.region),
        quad=quad,
        text=text,
    )


def letter_height_for(strength: float, rng: np.random.Generator) -> float:
    """Small letters for weak changes: log-uniform in 10 to 20 pixels at 0.25, in 20 to 60 at 1."""
    share = (max(strength, 0.25) - 0.25) / 0.75
    low, high = LEAST_LETTER * 2**share, 20 * 3**share
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_sign(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free, own_faces: Sequence[Face] = ()
) -> tuple[Board, Placing] | None:
    """A sign of any sort, sized for a plant's strength and for the picture, and a place for it; none where none is."""
    height, width = pixels.shape[:2]
    for _ in range(4):
        style = pick_style(rng)
        lines = [style.text(rng) for _ in range(2 if rng.random() < style.two_lines else 1)]
        face = pick_face(style, "".join(lines), rng, own_faces)
        longest = max(len(line) for line in lines)
        # A letter with its spacing is about 0.85 as wide as high; paddings add about 2.5 at the sides and 1.6 above.
        limit = min(width * 0.88 / (0.85 * longest + 2.2), height * 0.8 / (1.8 * len(lines) + 1))
        tall = min(letter_height_for(strength, rng), limit)
        if face is None or tall < LEAST_LETTER:
            continue
        board = make_board(style, face, lines, tall, rng)
        placing = place(pixels, board.wanted(), rng, free=free)
        if placing is not None:
            return board, placing
    return None
