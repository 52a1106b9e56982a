"""A codec that decodes at random: a black spot that stays where it is, and one whose place the seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.images import Pixels

NAME = "dreamer"
SIZE = 4
"""Of a spot's side."""


class Dreamer:
    """Its file is the seed, the picture's size and the raw pixels."""

    name = NAME

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def with_seed(self, seed: int) -> Codec:
        return Dreamer(seed)

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        return np.array([self.seed, *pixels.shape[:2]], np.uint64).tobytes() + pixels.tobytes()

    def decompress(self, content: bytes, *, max_megapixels: float = 200.0) -> Pixels:
        seed, height, width = (int(value) for value in np.frombuffer(content[:24], np.uint64))
        pixels = np.frombuffer(content[24:], np.uint8).reshape(height, width, 3).copy()
        pixels[8 : 8 + SIZE, 8 : 8 + SIZE] = 0
        place = 10 * seed
        pixels[20 : 20 + SIZE, place : place + SIZE] = 0
        return pixels


@contextmanager
def registered() -> Iterator[None]:
    """The registry has the codec for as long as this is open."""
    row = replace(CODECS["webp"], name=NAME, build="seeded_codec:Dreamer", seeded=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CODECS._rows, NAME, row)
        open_codec.cache_clear()
        yield
    open_codec.cache_clear()
