"""What the neural codecs' files share beside the container: padding, tiles, and what is refused on either side."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from miscomp.codecs.container import Stream
from miscomp.errors import StreamError
from miscomp.images import Pixels


class Tile(NamedTuple):
    """A rectangle of latents."""

    rows: slice
    columns: slice


def tiles_of(rows: int, columns: int, *, most: int, multiple: int) -> Iterator[Tile]:
    """Tiles of latents, row by row: as few as possible with at most `most` a side, nearly equal, whole multiples."""
    for row in _cuts(rows, most, multiple):
        for column in _cuts(columns, most, multiple):
            yield Tile(row, column)


def _cuts(length: int, most: int, multiple: int) -> list[slice]:
    pieces = -(-length // most)
    size = -(-length // (pieces * multiple)) * multiple
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def padded(pixels: Pixels, multiple: int) -> Pixels:
    """The picture with its last row and column repeated until both sides are multiples."""
    below, right = (-side % multiple for side in pixels.shape[:2])
    if not below and not right:
        return pixels
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")


def check_rgb(pixels: Pixels) -> None:
    """Raise `ValueError` for anything but 8-bit RGB of shape (h, w, 3) with at least one pixel."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}")


def check_decoded(stream: Stream, pixels: Pixels) -> None:
    """Raise `StreamError` for a picture that is not the one that the stream's writer vouched for."""
    if stream.pixels_crc32 not in (None, zlib.crc32(pixels.data)):
        raise StreamError(
            "stream",
            "its pixels decode to others than its writer saw and vouched for: this machine or its libraries "
            "round differently; decode it where it was made",
        )
