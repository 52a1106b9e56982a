"""`lucid`, the built-in neural codec: real bytes for any size and rate from one small set of weights.

A picture larger than `TILE` pixels a side is cut into tiles of nearly equal size, each coded by itself
(payloads row by row), so that memory stays bounded: about 450 MB beside the pixels. Neighbouring tiles do
not see each other: the outermost pixels on either side of a seam err more than others, as those along a
picture's border do, and at the lowest rates that can show as a faint line.

Streams carry version 0: after a change of the weights, those made before cannot be decoded.
See `miscomp.codecs.lucid_latents` for why latents decode exactly or not at all. Pixels come from them in
float32, and in one thread, because sums over several round otherwise: on one machine the same file gives the
same picture, on another kind of machine some values may differ by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.lucid_latents import LatentCoder
from miscomp.codecs.lucid_model import STRIDE, LucidModel
from miscomp.codecs.lucid_weights import LucidWeights, of_model, read_weights, shipped_weights
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels
from miscomp.tensors import pad_replicate, to_pixels, to_tensor

TILE = 2048
"""Most pixels a side that are coded at once; part of the format, as it decides how a picture is cut."""

MAX_SIDE = 65536
"""Most pixels a side; bounds what padding can add to a long and thin picture."""

QUALITY_STEPS = 255
"""A stream names one of 256 qualities: neighbours differ by about 1 % in rate."""

_LATENT = 16


class _Tile(NamedTuple):
    rows: slice
    columns: slice

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width as coded."""
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work in one thread, and give back what was set."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Lucid:
    """The codec with its weights loaded; runs on the CPU and keeps nothing between calls."""

    name = "lucid"

    def __init__(self, weights: Path | LucidWeights | None = None) -> None:
        """Use the shipped weights, or those of a file or at hand. Raises `WeightsError`."""
        if weights is None:
            row = CODECS[self.name].weights
            weights = read_weights(shipped_weights(), sha256=row.sha256 if row else "")
        elif isinstance(weights, Path):
            weights = read_weights(weights)
        self._sha256 = weights.sha256
        self._model = weights.model
        self._latents = LatentCoder(weights.model.entropy)

    @classmethod
    def from_model(cls, model: LucidModel) -> Lucid:
        """Use a copy of networks at hand, such as those in training."""
        return cls(of_model(model))

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights' file, 64 hex digits."""
        return self._sha256

    @_one_thread()
    def compress(self, pixels: Pixels, quality: float, *, pixel_checksum: bool = False) -> bytes:
        """Encode 8-bit RGB of shape (h, w, 3) at a quality in [0, 1], rounded to one of 256 steps.

        `pixel_checksum` adds 9 bytes that let the decoder prove that its picture is the encoder's, bit by bit;
        such a file is refused where the transforms round otherwise. Raises `UsageError`.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"pixels must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}")
        row = CODECS[self.name]
        row.qualities.check(self.name, quality)
        height, width = pixels.shape[:2]
        if max(height, width) > MAX_SIDE:
            raise UsageError(f"lucid holds at most {MAX_SIDE} pixels a side, the image has {width} x {height}")
        step = round(quality * QUALITY_STEPS)
        payloads: list[bytes] = []
        crc = 0
        decoded = np.empty_like(pixels) if pixel_checksum else None
        for tile in _tiles(height, width):
            payload, crc, y_hat = self._encode_tile(pixels[tile.rows, tile.columns], step / QUALITY_STEPS, crc)
            payloads.append(payload)
            if decoded is not None:
                self._paint(decoded, tile, y_hat, step / QUALITY_STEPS)
        return container.pack(
            container.Stream(
                format_id=row.format_id or 0,
                width=width,
                height=height,
                weights=bytes.fromhex(self._sha256)[:8],
                latent_crc32=crc,
                payloads=tuple(payloads),
                quality=bytes((step,)),
                pixels_crc32=None if decoded is None else zlib.crc32(decoded.data),
            )
        )

    @_one_thread()
    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode. Raises `StreamError` for anything but an intact stream of these weights that decodes here.

        Takes about a second per megapixel and core; nothing in a stream but its size in pixels makes it longer.
        """
        stream = container.unpack(content, max_megapixels=max_megapixels)
        tiles = self._check(stream)
        quality = stream.quality[0] / QUALITY_STEPS
        pixels: Pixels = np.empty((stream.height, stream.width, 3), dtype=np.uint8)
        crc = 0
        for tile, payload in zip(tiles, stream.payloads, strict=True):
            height, width = tile.padded
            try:
                with torch.inference_mode():
                    size = (height // _LATENT, width // _LATENT)
                    y_hat, crc = self._latents.decode(payload, size, quality, crc)
            except ValueError as error:
                raise StreamError("stream", f"damaged: {error}; fetch it again") from error
            if tile is tiles[-1] and crc != stream.latent_crc32:
                raise StreamError(
                    "stream",
                    "its latents decode to others than were coded: it was made on a machine that rounds differently, "
                    "or by a broken writer; decode it where it was made",
                )
            self._paint(pixels, tile, y_hat, quality)
        if stream.pixels_crc32 not in (None, zlib.crc32(pixels.data)):
            raise StreamError(
                "stream",
                "its pixels decode to others than its writer saw and vouched for: this machine or its libraries "
                "round differently; decode it where it was made",
            )
        return pixels

    def _check(self, stream: container.Stream) -> list[_Tile]:
        """Refuse what these weights cannot decode, before anything is spent on it."""
        if stream.format_id != CODECS[self.name].format_id:
            raise StreamError("stream", f"it has the format id {stream.format_id}, which is not lucid's")
        if stream.weights.hex() != self._sha256[:16]:
            raise StreamError(
                "stream",
                f"made with other weights ({stream.weights.hex()}), this version has {self._sha256[:16]}; "
                "streams of version 0 carry no promise: use the version that made it, or encode again",
            )
        if len(stream.quality) != 1 or stream.seed is not None:
            raise StreamError("stream", "its parameters are not those of lucid; its writer is broken")
        if max(stream.width, stream.height) > MAX_SIDE:
            raise StreamError("stream", f"{stream.width} x {stream.height} pixels; lucid has at most {MAX_SIDE} a side")
        tiles = list(_tiles(stream.height, stream.width))
        if len(stream.payloads) != len(tiles):
            found = f"{len(stream.payloads)} payloads for {len(tiles)} tiles"
            raise StreamError("stream", f"it has {found}; its writer is broken")
        return tiles

    @torch.inference_mode()
    def _encode_tile(self, pixels: Pixels, quality: float, crc: int) -> tuple[bytes, int, Tensor]:
        model = self._model
        x = pad_replicate(to_tensor(pixels), STRIDE).contiguous(memory_format=torch.channels_last)
        y = model.analyse(x) * model.gain(torch.tensor([quality]))
        return self._latents.encode(y, model.summarise(y), quality, crc)

    @torch.inference_mode()
    def _paint(self, pixels: Pixels, tile: _Tile, y_hat: Tensor, quality: float) -> None:
        """Write a tile's reconstruction into the picture."""
        model = self._model
        y = y_hat.float().contiguous(memory_format=torch.channels_last)
        x_hat = model.synthesise(y * model.inverse_gain(torch.tensor([quality])))
        part = pixels[tile.rows, tile.columns]
        part[:] = to_pixels(x_hat[:, :, : part.shape[0], : part.shape[1]])


def _tiles(height: int, width: int) -> Iterator[_Tile]:
    """Tiles row by row."""
    for rows in _cuts(height):
        for columns in _cuts(width):
            yield _Tile(rows, columns)


def _cuts(length: int) -> list[slice]:
    """As few pieces of at most `TILE` as possible, nearly equal, all but the last multiples of `STRIDE`."""
    pieces = -(-length // TILE)
    size = -(-length // (pieces * STRIDE)) * STRIDE
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
