"""Two codecs without any mathematics: one whose pictures invert when they are compressed again, and an honest one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.images import Pixels
from miscomp.secure.codec import SecureCodec

MARK = (1, 2, 3)
"""First pixel of a picture that was compressed."""


@dataclass
class Inverting:
    """Marks a picture; a marked one becomes its negative. A file is all pixels and 300 bytes for each quality step."""

    name: str = "jpeg"
    calls: list[float] = field(default_factory=list)
    """Quality of each compression."""

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        self.calls.append(quality)
        return struct.pack(">HH", *pixels.shape[:2]) + pixels.tobytes() + bytes(300 * int(quality))

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        height, width = struct.unpack(">HH", content[:4])
        stored = np.frombuffer(content, np.uint8, height * width * 3, 4).reshape(height, width, 3)
        if tuple(stored[0, 0]) == MARK:
            return 255 - stored
        marked = stored.copy()
        marked[0, 0] = MARK
        return marked


@dataclass
class Honest:
    """Adds 1 to every value, however often. A file holds all pixels and `more` and 300 bytes for each quality step."""

    more: int = 0
    name: str = "webp"

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        return struct.pack(">HH", *pixels.shape[:2]) + pixels.tobytes() + bytes(self.more + 300 * int(quality))

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        height, width = struct.unpack(">HH", content[:4])
        stored = np.frombuffer(content, np.uint8, height * width * 3, 4).reshape(height, width, 3)
        raised: Pixels = np.minimum(stored.astype(np.int16) + 1, 255).astype(np.uint8)
        return raised


def inverting() -> SecureCodec:
    """The inverting codec at quality 40."""
    return SecureCodec(Inverting(), 40, "inverting@q40")


def honest(*, more: int = 0) -> SecureCodec:
    """The honest codec at quality 70."""
    return SecureCodec(Honest(more), 70, "honest@q70")
