"""`lucid`, the built-in neural codec: real bytes for any size and rate from one small set of weights.

`slic` is the same codec with other weights: trained so that its pictures destroy themselves when they are compressed
again (`miscomp.secure`).

The transforms go over a picture in blocks that see their surroundings, so nothing shows where they meet. Latents are
coded in tiles of `TILE` pixels a side, each with a payload of its own, row by row. The entropy model works in whole
numbers: a stream decodes to the same latents on any machine. Pixels come from them in float32: on one machine the
same file gives the same picture however many cores there are, on another kind some values may differ by one.

Streams carry version 0: after a change of the weights, those made before cannot be decoded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from miscomp.codecs import container, quality_map
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.blocks import in_parallel, one_thread
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.entropy import CodingTables, SymbolCounter, SymbolDecoder, SymbolEncoder
from miscomp.codecs.latent_ports import Sink
from miscomp.codecs.lucid_entropy import HYPER
from miscomp.codecs.lucid_latents import LatentCoder, Steps
from miscomp.codecs.lucid_model import PATCH, STRIDE, LucidModel
from miscomp.codecs.lucid_transforms import Transforms
from miscomp.codecs.lucid_weights import LucidWeights, of_model, read_weights, shipped_weights
from miscomp.codecs.quality_map import QUALITY_STEPS, FloatArray
from miscomp.codecs.tiles import Tile, check_decoded, check_rgb, tiles_of
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels

TILE = 2048
"""Most pixels a side that share a payload; part of the format."""

NAMES = ("lucid", "slic")
"""The registry's rows that are these networks, each with weights of its own."""

MAX_SIDE = 65536
"""Most pixels a side; bounds what padding can add to a long and thin picture."""

_CRC = struct.Struct("<I")


class _Latents(NamedTuple):
    """y (1, latent, h, w) after the gain, z (1, hyper, h / 4, w / 4) and the local qualities (h, w)."""

    y: Tensor
    z: Tensor
    steps: Steps


class Lucid:
    """The codec with its weights loaded; keeps nothing between calls."""

    def __init__(self, weights: Path | LucidWeights | None = None, *, device: str = "cpu", name: str = "lucid") -> None:
        """Use the shipped weights, or those of a file or at hand. Raises `WeightsError`.

        The transforms run on `device`, a name that torch knows; the entropy networks always on the CPU. `name` is the
        registry's row, whose scale of qualities and format id count.
        """
        self._row = CODECS[name]
        if weights is None:
            row = self._row.weights
            weights = read_weights(shipped_weights(name), sha256=row.sha256 if row else "")
        elif isinstance(weights, Path):
            weights = read_weights(weights)
        self._sha256 = weights.sha256
        self._transforms = Transforms(weights.model, device)
        self._latents = LatentCoder(weights.entropy)
        self._groups = weights.model.config.groups
        self._tables = CodingTables(weights.frequencies)

    @property
    def name(self) -> str:
        """The registry row's name."""
        return self._row.name

    @classmethod
    def from_model(cls, model: LucidModel) -> Lucid:
        """Use a copy of networks at hand, such as those in training."""
        return cls(of_model(model))

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights' file, 64 hex digits."""
        return self._sha256

    @one_thread()
    def compress(
        self,
        pixels: Pixels,
        quality: float,
        *,
        quality_map: FloatArray | None = None,
        pixel_checksum: bool = False,
    ) -> bytes:
        """Encode 8-bit RGB of shape (h, w, 3) at a quality in [0, 1], rounded to one of 256 steps.

        `quality_map` holds offsets in [-1, 1] that are added to the quality, one for each block of 16 x 16 pixels,
        of shape (ceil(h / 16), ceil(w / 16)); its bytes are part of the file. `pixel_checksum` adds 9 bytes that let
        the decoder prove that its picture is the encoder's, bit by bit; such a file is refused where the transforms
        round otherwise. Raises `UsageError`.
        """
        base, offsets = self._asked(pixels, quality, quality_map)
        height, width = pixels.shape[:2]
        latents = self._analysed(pixels, base, offsets)
        encoders = [SymbolEncoder(self._tables) for _ in _tiles(*latents.steps.shape)]
        groups = self._code(latents, encoders)
        payloads = tuple(bytes((n,)) + one.finish() for n, one in zip(groups, encoders, strict=True))
        pixels_crc = None
        if pixel_checksum:
            y_hat = latents.y[:, : self._channels(payloads)]
            pixels_crc = zlib.crc32(self._transforms.synthesise(y_hat, latents.steps, height, width).data)
        return container.pack(
            container.Stream(
                format_id=self._row.format_id or 0,
                width=width,
                height=height,
                weights=bytes.fromhex(self._sha256)[:8],
                latent_crc32=_whole_crc(latents.steps, [one.crc for one in encoders]),
                payloads=payloads,
                quality=bytes((base,)),
                quality_map=None if offsets is None else _encoded(offsets),
                pixels_crc32=pixels_crc,
            )
        )

    @one_thread()
    def estimate_bits(self, pixels: Pixels, quality: float, *, quality_map: FloatArray | None = None) -> float:
        """Bits that the entropy model gives to what `compress` codes, without container and map.

        Raises `UsageError`.
        """
        latents = self._analysed(pixels, *self._asked(pixels, quality, quality_map))
        counters = [SymbolCounter(self._tables) for _ in _tiles(*latents.steps.shape)]
        self._code(latents, counters)
        return sum(counter.bits for counter in counters)

    def _code(self, latents: _Latents, sinks: Sequence[Sink]) -> list[int]:
        """Code each tile into its sink; returns how many channel groups each holds.

        y_hat as a decoder will have it takes the place of y.
        """
        tiles = list(_tiles(*latents.steps.shape))
        groups = [0] * len(tiles)

        def code(index: int) -> None:
            y, z, steps = _part(latents, tiles[index])
            groups[index] = self._latents.active_groups(y)
            decoded = self._latents.encode(y, z, steps, sinks[index], groups=groups[index])
            channels = decoded.shape[1]
            y[:, :channels], y[:, channels:] = decoded, 0

        in_parallel(code, range(len(tiles)))
        return groups

    @one_thread()
    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode. Raises `StreamError` for anything but an intact stream of these weights.

        Takes about 0.6 seconds per megapixel and core; nothing in a stream but its size in pixels makes it longer.
        """
        stream = container.unpack(content, max_megapixels=max_megapixels)
        steps, tiles = self._check(stream)
        y_hat = torch.zeros(1, self._channels(stream.payloads), *steps.shape).contiguous(
            memory_format=torch.channels_last
        )
        crcs = [0] * len(tiles)

        def decode(index: int) -> None:
            tile, payload = tiles[index], stream.payloads[index]
            source = SymbolDecoder(self._tables, payload[1:])
            part = self._latents.decode(source, _steps(steps, tile), groups=payload[0])
            y_hat[:, : part.shape[1], tile.rows, tile.columns] = part
            crcs[index] = source.crc

        try:
            in_parallel(decode, range(len(tiles)))
        except ValueError as error:
            raise StreamError("stream", f"damaged: {error}; fetch it again") from error
        if _whole_crc(steps, crcs) != stream.latent_crc32:
            raise StreamError("stream", "its latents decode to others than were coded; its writer is broken")
        pixels = self._transforms.synthesise(y_hat, steps, stream.height, stream.width)
        check_decoded(stream, pixels)
        return pixels

    def _channels(self, payloads: Iterable[bytes]) -> int:
        """How many channels the synthesis works on: those that any payload holds, and a group where none holds any."""
        return sum(self._groups[: max(1, *(payload[0] for payload in payloads))])

    def _asked(
        self, pixels: Pixels, quality: float, offsets: FloatArray | None
    ) -> tuple[int, quality_map.Offsets | None]:
        """The quality as a step, and the map's offsets, after all that can be wrong was refused."""
        check_rgb(pixels)
        self._row.qualities.check(self.name, quality)
        if offsets is not None and not self._row.quality_map:
            raise UsageError(f"{self.name} takes no quality map: its weights are trained for a part of the scale only")
        height, width = pixels.shape[:2]
        if max(height, width) > MAX_SIDE:
            raise UsageError(f"{self.name} holds at most {MAX_SIDE} pixels a side, the image has {width} x {height}")
        quantised = None if offsets is None else quality_map.quantise(offsets, height=height, width=width)
        return round(quality * QUALITY_STEPS), quantised

    def _analysed(self, pixels: Pixels, base: int, offsets: quality_map.Offsets | None) -> _Latents:
        steps = quality_map.local_steps(base, offsets, *_grid(*pixels.shape[:2]))
        return _Latents(*self._transforms.analyse(pixels, steps), steps)

    def _check(self, stream: container.Stream) -> tuple[Steps, list[Tile]]:
        """Refuse what these weights cannot decode, before anything is spent on it; the local qualities and tiles."""
        if stream.format_id != self._row.format_id:
            raise StreamError("stream", f"it has the format id {stream.format_id}, which is not {self.name}'s")
        if stream.weights.hex() != self._sha256[:16]:
            raise StreamError(
                "stream",
                f"made with other weights ({stream.weights.hex()}), this version has {self._sha256[:16]}; "
                "use the version that made it or its weights (--weights), or encode again: streams of version 0 carry "
                "no promise",
            )
        if len(stream.quality) != 1 or stream.seed is not None:
            raise StreamError("stream", f"its parameters are not those of {self.name}; its writer is broken")
        if max(stream.width, stream.height) > MAX_SIDE:
            size = f"{stream.width} x {stream.height} pixels"
            raise StreamError("stream", f"{size}; {self.name} has at most {MAX_SIDE} a side")
        rows, columns = _grid(stream.height, stream.width)
        tiles = list(_tiles(rows, columns))
        if len(stream.payloads) != len(tiles):
            found = f"{len(stream.payloads)} payloads for {len(tiles)} tiles"
            raise StreamError("stream", f"it has {found}; its writer is broken")
        if not all(payload and payload[0] <= len(self._groups) for payload in stream.payloads):
            raise StreamError("stream", "a payload does not begin with its number of channel groups; damaged")
        try:
            offsets = None
            if stream.quality_map is not None:
                offsets = quality_map.decode(stream.quality_map, *quality_map.block_grid(stream.height, stream.width))
        except ValueError as error:
            raise StreamError("stream", f"damaged: {error}; fetch it again") from error
        return quality_map.local_steps(stream.quality[0], offsets, rows, columns), tiles


def slic() -> Lucid:
    """The codec whose pictures destroy themselves when they are compressed again. Raises `WeightsError`."""
    return Lucid(name="slic")


def _encoded(offsets: quality_map.Offsets) -> bytes | None:
    """The map's bytes; none for one that changes nothing."""
    return quality_map.encode(offsets) or None


def _part(latents: _Latents, tile: Tile) -> _Latents:
    """What a tile holds."""
    rows, columns = (slice(side.start // HYPER, side.stop // HYPER) for side in tile)
    y = latents.y[:, :, tile.rows, tile.columns]
    return _Latents(y, latents.z[:, :, rows, columns], _steps(latents.steps, tile))


def _steps(steps: Steps, tile: Tile) -> Steps:
    return steps[tile.rows, tile.columns]


def _whole_crc(steps: Steps, crcs: list[int]) -> int:
    """One checksum over the local qualities, which latents need to become a picture, and the tiles' own."""
    return zlib.crc32(b"".join(_CRC.pack(crc) for crc in crcs), zlib.crc32(steps.tobytes()))


def _grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of latents, with padding."""
    return -(-height // STRIDE) * HYPER, -(-width // STRIDE) * HYPER


def _tiles(rows: int, columns: int) -> Iterator[Tile]:
    """Tiles of latents, row by row."""
    return tiles_of(rows, columns, most=TILE // PATCH, multiple=HYPER)
