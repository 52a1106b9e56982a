"""Changes of writing on rendered signs: another letter, letters gone, letters smeared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miscomp.images import Pixels
from miscomp.plant.boards import Board
from miscomp.plant.edits import Edit, Free, check_strength
from miscomp.plant.fonts import Face, unlikeness
from miscomp.plant.signboard import random_sign

LEAST_UNLIKE = 0.1
"""Letters that look more alike than this (O and 0 in some faces) are no change of meaning."""

_CLASSES = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ACROSS = {"8": "B", "B": "8", "0": "OCGDQ", "O": "0", "1": "I", "I": "1", "5": "S", "S": "5", "2": "Z", "Z": "2"}
"""Digits and letters that are taken for each other; only where both stand on the sign anyway."""
_MOST_WIDER = 0.25


def character(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free, own_faces: Sequence[Face] = ()
) -> Edit | None:
    """One letter or digit becomes another: a look-alike on small letters when weak, any other on large when plain."""
    found = random_sign(pixels, check_strength(strength), rng, free=free, own_faces=own_faces)
    if found is None:
        return None
    board, placing = found
    for number in rng.permutation(len(board.slots)):
        letter = replacement(board, int(number), strength, rng)
        if letter is not None:
            wrong = board.with_letter(int(number), letter)
            note = f"{board.slots[number].letter} became {letter} on a {board.style}"
            return placing.edit(board.draw(), wrong.draw(), note)
    return None


def replacement(board: Board, number: int, strength: float, rng: np.random.Generator) -> str | None:
    """A letter of about the same width for a slot; the weaker, the more alike. None for punctuation."""
    old, face = board.slots[number].letter, board.face
    ranked = sorted(
        (unlikeness(face, old, new), new)
        for new in _alternatives(board, old)
        if face.has(new) and _as_wide(board, old, new)
    )
    ranked = [pair for pair in ranked if pair[0] >= LEAST_UNLIKE]
    if not ranked:
        return None
    # The third that the strength points at: the most alike at 0.25 and below, the least alike at 1.
    share = (max(strength, 0.25) - 0.25) / 0.75
    window = max(len(ranked) // 3, 1)
    first = round(share * (len(ranked) - window))
    return ranked[first + int(rng.integers(window))][1]


def _alternatives(board: Board, old: str) -> str:
    same = next((letters for letters in _CLASSES if old in letters), "")
    standing = {slot.letter for slot in board.slots}
    mixed = any(one in _CLASSES[0] for one in standing) and any(one in _CLASSES[1] for one in standing)
    return (same + (_ACROSS.get(old, "") if mixed else "")).replace(old, "")


def _as_wide(board: Board, old: str, new: str) -> bool:
    a, b = (board.face.glyph(letter, board.cap).mask.shape[1] for letter in (old, new))
    return bool(abs(a - b) <= _MOST_WIDER * max(a, b))


def text_erased(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free, own_faces: Sequence[Face] = ()
) -> Edit | None:
    """A line or some of its letters fade into the sign: 0.62 gone at strength 0.25, fully at 1."""
    found = random_sign(pixels, check_strength(strength), rng, free=free, own_faces=own_faces)
    if found is None:
        return None
    board, placing = found
    chosen = _run_of_letters(board, rng)
    gone = dict.fromkeys(chosen, 0.5 + 0.5 * strength)
    return placing.edit(board.draw(), board.draw(fading=gone), f"{_spelt(board, chosen)} faded on a {board.style}")


def text_blurred(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free, own_faces: Sequence[Face] = ()
) -> Edit | None:
    """A line or some of its letters are smeared by a blur of 0.11 of their height at strength 0.25, 0.22 at 1."""
    found = random_sign(pixels, check_strength(strength), rng, free=free, own_faces=own_faces)
    if found is None:
        return None
    board, placing = found
    chosen = _run_of_letters(board, rng)
    smeared = dict.fromkeys(chosen, (0.07 + 0.15 * strength) * board.cap)
    return placing.edit(
        board.draw(), board.draw(smearing=smeared), f"{_spelt(board, chosen)} smeared on a {board.style}"
    )


def _run_of_letters(board: Board, rng: np.random.Generator) -> list[int]:
    """The numbers of a whole line, or of at least two neighbours in it (one where the line has only one)."""
    line = int(rng.choice(sorted({slot.line for slot in board.slots})))
    numbers = [number for number, slot in enumerate(board.slots) if slot.line == line]
    if len(numbers) <= 2 or rng.random() < 0.5:
        return numbers
    count = int(rng.integers(2, len(numbers)))
    first = int(rng.integers(len(numbers) - count + 1))
    return numbers[first : first + count]


def _spelt(board: Board, chosen: Sequence[int]) -> str:
    return "".join(board.slots[number].letter for number in chosen)
