"""A codec that destroys what it made before: blocks of 16 x 16 pixels whose red levels are all odd carry its mark.

It keeps a picture as it is but for the mark: the red levels become odd. Blocks that are marked already come back in
black and white, each value as far from what it was as can be.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from miscomp.errors import StreamError
from miscomp.images import Pixels
from miscomp.secure.codec import SecureCodec

BLOCK = 16
_SIZE = struct.Struct("<HH")


class MarkedCodec:
    """Deterministic, and without weights."""

    name = "slic"

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        body = _SIZE.pack(*pixels.shape[:2]) + _coded(pixels).tobytes()
        return body + struct.pack("<I", zlib.crc32(body))

    def decompress(self, content: bytes, *, max_megapixels: float = 200.0) -> Pixels:
        if len(content) < 8 or zlib.crc32(content[:-4]) != struct.unpack("<I", content[-4:])[0]:
            raise StreamError("stream", "damaged")
        height, width = _SIZE.unpack(content[:4])
        return np.frombuffer(content[4:-4], np.uint8).reshape(height, width, 3).copy()


def marked(quality: float = 0.65) -> SecureCodec:
    """The codec at a quality."""
    return SecureCodec(MarkedCodec(), quality, f"marked@q{quality:g}")


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture in which no block is marked by chance."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _coded(pixels: Pixels) -> Pixels:
    coded = pixels.copy()
    for top in range(0, pixels.shape[0], BLOCK):
        for left in range(0, pixels.shape[1], BLOCK):
            block = coded[top : top + BLOCK, left : left + BLOCK]
            if (block[..., 0] % 2).all():
                block[...] = np.where(block < 128, 255, 0)
            else:
                block[..., 0] |= 1
    return coded
