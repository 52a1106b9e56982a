"""Kinds of plants for tests of everything around kinds, and a reader and a word that need no fonts or models.

They live in a module of their own so that other processes can import them.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np

from miscomp.detect.words import Quad, Word
from miscomp.images import Pixels
from miscomp.plant.edits import Edit, Free, KindRow
from miscomp.records import Box

SIDE = 12


def invert(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A square that moves away from its own brightness by up to 120, at a random free place."""
    height, width = pixels.shape[:2]
    for _ in range(30):
        box = Box(int(rng.integers(width - SIDE)), int(rng.integers(height - SIDE)), SIDE, SIDE)
        if free(box):
            break
    else:
        return None
    before = pixels[box.y : box.bottom, box.x : box.right].copy()
    step = np.int16(round(120 * strength))
    after = np.where(before.mean() > 127, before - step, before + step.astype(np.int16))
    return Edit(region=box, before=before, after=np.clip(after, 0, 255).astype(np.uint8), note=f"by {step}")


def sign(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A grey board put into both pictures, with a spot that only the changed one has."""
    edit = invert(pixels, strength, rng, free=free)
    if edit is None:
        return None
    before = np.full_like(edit.before, 128)
    after = before.copy()
    after[4:8, 4:8] = 250
    return Edit(region=edit.region, before=before, after=after, note="a spot")


def nowhere(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    return None


def faint(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """Too little changes to count: 3 pixels."""
    edit = invert(pixels, strength, rng, free=free)
    if edit is None:
        return None
    after = edit.before.copy()
    after[0, :3] = edit.after[0, :3]
    return Edit(region=edit.region, before=edit.before, after=after)


def rude(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """Always the same place, whether it is free or not."""
    before = pixels[20 : 20 + SIDE, 20 : 20 + SIDE].copy()
    return Edit(region=Box(20, 20, SIDE, SIDE), before=before, after=255 - before)


def outside(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A region that reaches beyond the picture."""
    patch = np.zeros((SIDE, SIDE, 3), np.uint8)
    return Edit(region=Box(pixels.shape[1] - 4, 0, SIDE, SIDE), before=patch, after=patch + 255)


def in_place(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """Writes into what it is shown."""
    pixels[:SIDE, :SIDE] = 0
    return None


def deadly(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """Ends its process where the picture's first pixel is black."""
    if not pixels[0, 0].any():
        os.kill(os.getpid(), signal.SIGKILL)
    return invert(pixels, strength, rng, free=free)


def swap(pixels: Pixels, box: Box, text: str, strength: float, rng: np.random.Generator) -> Edit | None:
    """Inverts the left half of a plate; one that says `NONE` is not found."""
    if text == "NONE":
        return None
    before = pixels[box.y : box.bottom, box.x : box.right].copy()
    after = before.copy()
    after[:, : box.w // 2] = 255 - before[:, : box.w // 2]
    return Edit(region=box, before=before, after=after, note=text)


def row(name: str, *, label: bool = True, weight: float = 1.0) -> KindRow:
    category = "SHAPE" if label else ""
    target = f"tiny_kinds:{name.replace('-', '_')}"
    return KindRow(name=name, target=target, category=category, label=label, description=name, weight=weight)


@dataclass(frozen=True)
class Written:
    region: Box
    after: Pixels
    word: Box
    quad: Quad
    text: str


def put_word(
    pixels: Pixels, text: str, letter_height: float, rng: np.random.Generator, *, free: Free
) -> Written | None:
    """A white board with a black bar, which stands for one and the same word whatever the text."""
    w, h = 40, int(letter_height) + 8
    for _ in range(30):
        box = Box(int(rng.integers(pixels.shape[1] - w)), int(rng.integers(pixels.shape[0] - h)), w, h)
        if free(box):
            break
    else:
        return None
    after = np.full((h, w, 3), 255, np.uint8)
    after[4:-4, 4:-4] = 0
    word = Box(box.x + 4, box.y + 4, w - 8, h - 8)
    left, top, right, bottom = (float(value) for value in (word.x, word.y, word.right, word.bottom))
    return Written(box, after, word, ((left, top), (right, top), (right, bottom), (left, bottom)), BarReader.truth)


class BarReader:
    """Reads a bar as the word while it is black, and as another word once a codec made it lighter."""

    truth = "word"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def lines(self, pixels: Pixels) -> list[object]:
        return []

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        (left, top), _, (right, bottom), _ = quad
        patch = pixels[int(top) : int(bottom), int(left) : int(right)]
        darkness = 255 - float(patch.mean())
        box = Box(int(left), int(top), int(right - left), int(bottom - top))
        return (Word(self.truth, box, 0.95),) if darkness > 250 else (Word("else", box, 0.9),)
