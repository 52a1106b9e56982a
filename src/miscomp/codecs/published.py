"""Published neural codecs with real files: their authors' networks, this package's entropy coding and container.

A picture is padded to whole hyper-latents, taken through the transforms block by block (`miscomp.codecs.blockwise`),
and its latents are coded in tiles of at most `TILE` pixels a side, each with a payload of its own. The entropy model
works in whole numbers (`miscomp.codecs.exact`), so that a file decodes to the same latents on any machine; a checksum
over them tells where it does not. Pixels come from them in floating point: on another kind of machine some may differ
by one.
"""

from __future__ import annotations

import copy
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.blockwise import NotFinite, analyse, synthesise
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.entropy import SymbolCounter, SymbolDecoder, SymbolEncoder
from miscomp.codecs.latent_ports import DecodingPort, EncodingPort
from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.fast import fast_convolutions
from miscomp.codecs.published_weights import Loaded, WeightsOfRow, load_network, state_sha256
from miscomp.codecs.rows import CodecRow
from miscomp.codecs.tiles import Tile, check_decoded, check_rgb, padded, tiles_of
from miscomp.errors import StreamError, WeightsError
from miscomp.images import Pixels

TILE = 2048
"""Most pixels a side that share a payload; part of the format."""

OWN = 0
"""Stands in a stream for the quality of weights that are the user's own."""

_CRC = struct.Struct("<I")
_STEPS = struct.Struct("<BH")


class Published:
    """A row's codec; keeps the networks that it loaded last."""

    def __init__(self, row: CodecRow, *, file: Path | None = None, seed: int = 0) -> None:
        """Use the row's checkpoints, or one file of the user's; `seed` is for codecs that decode at random."""
        self._row, self._seed, self._own = row, seed, file is not None
        self._weights = WeightsOfRow(row, file)
        self._dtype = torch.float32

    @classmethod
    def of_network(cls, name: str, network: Network) -> Published:
        """The codec `name` with networks at hand, such as those in training, in evaluation mode."""
        codec = cls(CODECS[name])
        codec._own = True
        codec._weights = WeightsOfRow(codec._row, given=load_network("networks", network, state_sha256(network)))
        return codec

    @property
    def name(self) -> str:
        """The registry row's."""
        return self._row.name

    def with_seed(self, seed: int) -> Published:
        """As `miscomp.codecs.base.TakesSeed` says; shares the loaded networks."""
        other = copy.copy(self)
        other._seed = seed
        return other

    def with_synthesis(self, dtype: torch.dtype) -> Published:
        """The same codec whose synthesis works in another precision: faster on some machines, other pixels."""
        other = copy.copy(self)
        other._dtype = dtype
        return other

    def prepare(self, quality: float | None) -> None:
        """As `miscomp.codecs.base.HasCheckpoints` says."""
        self._weights.check(None if quality is None else int(quality))

    def weights_sha256(self, quality: float | None) -> str:
        """As `miscomp.codecs.base.HasCheckpoints` says."""
        return self._weights.sha256(None if quality is None else int(quality))

    def compress(self, pixels: Pixels, quality: float, *, pixel_checksum: bool = False) -> bytes:
        """Encode 8-bit RGB of shape (h, w, 3) at one of the row's qualities.

        `pixel_checksum` adds 9 bytes that let the decoder prove that its picture is the encoder's, bit by bit; such a
        file is refused where the transforms round otherwise. Raises `UsageError` and `WeightsError`.
        """
        return self.compress_batch([pixels], quality, pixel_checksum=pixel_checksum)[0]

    def compress_batch(
        self, pictures: Sequence[Pixels], quality: float, *, pixel_checksum: bool = False
    ) -> list[bytes]:
        """As `compress`, for pictures of one size that go through the analysis together; each gets a file of its own.

        Raises `ValueError` for sizes that differ.
        """
        if len({pixels.shape for pixels in pictures}) != 1:
            raise ValueError("a batch needs pictures of one size, at least one")
        for pixels in pictures:
            self._check(pixels, quality)
        loaded = self._weights.at(int(quality))
        y = self._analysed(loaded, pictures)
        height, width = pictures[0].shape[:2]
        files = []
        for latents in y.split(1):
            stream = self._stream(loaded, latents, quality, height=height, width=width)
            if pixel_checksum:
                x_hat = self.decompress(container.pack(stream), max_megapixels=math.inf)
                stream = replace(stream, pixels_crc32=zlib.crc32(x_hat.data))
            files.append(container.pack(stream))
        return files

    def estimate_bits(self, pixels: Pixels, quality: float) -> float:
        """Bits that the entropy model gives to what `compress` codes, without container. Raises as `compress`."""
        self._check(pixels, quality)
        loaded = self._weights.at(int(quality))
        y = self._analysed(loaded, [pixels])
        counter = SymbolCounter(loaded.tables)
        for tile in _tiles(loaded.network, *y.shape[2:]):
            _coded(self.name, loaded, EncodingPort(counter), y[:, :, tile.rows, tile.columns])
        return counter.bits

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode. Raises `StreamError` for anything but an intact stream, `WeightsError` where its weights are missing.

        What it takes in time follows from the size in pixels, and for a seeded codec from the steps, which are bounded.
        """
        stream = container.unpack(content, max_megapixels=max_megapixels)
        loaded = self._of_stream(stream)
        rows, columns = _grid(loaded.network, stream.height, stream.width)
        tiles = list(_tiles(loaded.network, rows, columns))
        if len(stream.payloads) != len(tiles):
            found = f"{len(stream.payloads)} payloads for {len(tiles)} tiles"
            raise StreamError("stream", f"it has {found}; its writer is broken")
        y_hat = torch.empty(1, loaded.network.latent_channels, rows, columns)
        crcs = []
        for tile, payload in zip(tiles, stream.payloads, strict=True):
            part = _decoded(loaded, payload, tile)
            y_hat[:, :, tile.rows, tile.columns] = part
            crcs.append(_crc(part))
        if _whole_crc(crcs, height=stream.height, width=stream.width) != stream.latent_crc32:
            raise StreamError(
                "stream",
                "its latents decode to others than were coded: it is damaged, or another release of miscomp, machine "
                "or library that computes otherwise made it; fetch it again, or decode it there",
            )
        pixels = self._synthesised(loaded, y_hat, height=stream.height, width=stream.width, seed=stream.seed or 0)
        check_decoded(stream, pixels)
        return pixels

    def _check(self, pixels: Pixels, quality: float) -> None:
        """Refuse what cannot be coded."""
        check_rgb(pixels)
        self._row.qualities.check(self.name, quality)
        self._row.check_size(pixels.shape[1], pixels.shape[0])

    def _of_stream(self, stream: container.Stream) -> Loaded:
        """The networks of a stream, after what they could not decode was refused."""
        if stream.format_id != self._row.format_id:
            raise StreamError("stream", f"it has the format id {stream.format_id}, which is not that of {self.name}")
        if max(stream.width, stream.height) > (self._row.max_side or container.MAX_SIDE):
            found = f"{stream.width} x {stream.height} pixels"
            raise StreamError("stream", f"{found}; {self.name} has at most {self._row.max_side} a side")
        seeded = self._row.seeded
        length = _STEPS.size if seeded else 1
        if len(stream.quality) != length or (stream.seed is None) == seeded or stream.quality_map is not None:
            raise StreamError("stream", f"its parameters are not those of {self.name}; its writer is broken")
        loaded = self._weights.of_stream(stream.weights, stream.quality[0])
        if stream.quality[0] != OWN and not self._row.qualities.low <= stream.quality[0] <= self._row.qualities.high:
            raise StreamError("stream", f"its quality is {stream.quality[0]}, which {self.name} has not; damaged")
        if seeded:
            _, steps = _STEPS.unpack(stream.quality)
            if not 1 <= steps <= loaded.network.most_steps:
                most = loaded.network.most_steps
                raise StreamError("stream", f"it asks for {steps} decoding steps; allowed are 1 to {most}")
            loaded = replace(loaded, network=_with_steps(loaded.network, steps))
        return loaded

    def _parameters(self, network: Network, quality: float) -> bytes:
        number = OWN if self._own else int(quality)
        return _STEPS.pack(number, network.steps) if network.seeded else bytes((number,))

    def _stream(self, loaded: Loaded, y: Tensor, quality: float, *, height: int, width: int) -> container.Stream:
        payloads, crcs = [], []
        for tile in _tiles(loaded.network, *y.shape[2:]):
            encoder = SymbolEncoder(loaded.tables)
            crcs.append(_crc(_coded(self.name, loaded, EncodingPort(encoder), y[:, :, tile.rows, tile.columns])))
            payloads.append(encoder.finish())
        return container.Stream(
            format_id=self._row.format_id or 0,
            width=width,
            height=height,
            weights=bytes.fromhex(loaded.sha256)[:8],
            latent_crc32=_whole_crc(crcs, height=height, width=width),
            payloads=tuple(payloads),
            quality=self._parameters(loaded.network, quality),
            seed=self._seed if loaded.network.seeded else None,
        )

    @torch.inference_mode()
    def _analysed(self, loaded: Loaded, pictures: Sequence[Pixels]) -> Tensor:
        network = loaded.network
        with fast_convolutions():
            y = analyse(network, [padded(pixels, network.stride * network.hyper) for pixels in pictures])
        if not bool(torch.isfinite(y).all()):
            raise _broken(self.name)
        return y

    @torch.inference_mode()
    def _synthesised(self, loaded: Loaded, y_hat: Tensor, *, height: int, width: int, seed: int) -> Pixels:
        network = loaded.network
        if self._dtype != torch.float32:
            network = copy.deepcopy(network).to(self._dtype)
        try:
            with fast_convolutions():
                return synthesise(network, y_hat, height=height, width=width, seed=seed)
        except NotFinite as error:
            raise _broken(self.name) from error


def _with_steps(network: Network, steps: int) -> Network:
    """The same networks, whose synthesis takes so many steps."""
    other = copy.copy(network)
    other.steps = steps
    return other


def _broken(name: str) -> WeightsError:
    return WeightsError(f"{name}'s weights", "give values that are not finite; they are broken, use others")


@torch.inference_mode()
def _coded(name: str, loaded: Loaded, port: EncodingPort, y: Tensor) -> Tensor:
    try:
        return loaded.coder.run(port, y.shape[2], y.shape[3], y)
    except ValueError as error:  # of hyper-latents; y was looked at before
        raise _broken(name) from error


@torch.inference_mode()
def _decoded(loaded: Loaded, payload: bytes, tile: Tile) -> Tensor:
    height, width = (side.stop - side.start for side in tile)
    try:
        source = SymbolDecoder(loaded.tables, payload)
        y_hat = loaded.coder.run(DecodingPort(source), height, width, None)
        source.finish()
    except ValueError as error:
        raise StreamError("stream", f"damaged: {error}; fetch it again") from error
    return y_hat


def _crc(y_hat: Tensor) -> int:
    """Over the latents as little-endian float32: what the synthesis starts from."""
    return zlib.crc32(np.ascontiguousarray(y_hat.numpy(), dtype="<f4").data)


def _whole_crc(crcs: Sequence[int], *, height: int, width: int) -> int:
    """With the size, without which the same numbers are another picture."""
    return zlib.crc32(b"".join(_CRC.pack(number) for number in (height, width, *crcs)))


def _grid(network: Network, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of latents, with padding."""
    multiple = network.stride * network.hyper
    return -(-height // multiple) * network.hyper, -(-width // multiple) * network.hyper


def _tiles(network: Network, rows: int, columns: int) -> Iterator[Tile]:
    """Tiles of latents, row by row."""
    return tiles_of(rows, columns, most=TILE // network.stride, multiple=network.hyper)
