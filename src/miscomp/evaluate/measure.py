"""One picture through one codec: real bytes, pixels back, what they cost and how long they took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from miscomp.codecs.base import MAX_MEGAPIXELS, Codec, EstimatesBits
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.rate import encode_at_bpp
from miscomp.codecs.spec import CodecSpec
from miscomp.errors import UsageError
from miscomp.images import Picture, Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRow:
    """One image at one setting of one codec."""

    filename: str
    width: int
    height: int
    codec: str
    setting: str
    """What stands behind the `@`: `q75`, `0.25bpp`."""
    quality: float
    """On the codec's own scale; for a target rate the one that came closest."""
    bpp: float
    """Real: 8 * bytes of the whole file / pixels."""
    estimated_bpp: float | None
    """By the codec's own probabilities, without container; none for a codec that has none."""
    psnr_db: float
    """Of 8-bit RGB; infinite for identical pictures."""
    ssim: float
    ms_ssim: float | None
    """None for a side below 161 pixels."""
    encode_s: float
    """Wall time of one encoding at `quality`; a search for a rate is not in it."""
    decode_s: float
    note: str = ""
    """Why a target rate was not reached, and what reading the picture changed."""

    @property
    def megapixels_per_s(self) -> tuple[float, float]:
        """Speed of encoding and of decoding."""
        # A clock that did not move between two calls has moved by less than it shows.
        millions = self.width * self.height / 1e6
        return millions / max(self.encode_s, 1e-9), millions / max(self.decode_s, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRow:
    """One image after being compressed several times over, each time at the quality of the first."""

    filename: str
    codec: str
    setting: str
    quality: float
    generation: int
    """1 is the original compressed once."""
    bpp: float
    """Real, of this generation's file."""
    psnr_db: float
    """To the original."""
    psnr_previous_db: float
    """To the picture that was compressed; infinite where nothing changes any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything about one image at one setting."""

    row: MeasuredRow
    generations: tuple[GenerationRow, ...] = ()


def measure(picture: Picture, spec: CodecSpec, codec: Codec, *, generations: int = 0) -> Measurement:
    """Compress and decompress at a quality or a rate; then, for `generations` above 0, that many times over.

    Raises `UsageError` for a picture that the codec's format cannot hold.
    """
    pixels, row = picture.pixels, CODECS[spec.name]
    row.check_size(picture.width, picture.height)
    quality, note = spec.fixed_quality, ""
    if quality is None:
        if spec.bpp is None:
            raise UsageError(f"{spec} has no quality and no rate of its own; name one")
        found = encode_at_bpp(codec, row, pixels, spec.bpp)
        quality, note = found.quality, found.note
    begin = time.perf_counter()
    content = codec.compress(pixels, quality)
    between = time.perf_counter()
    x_hat = _decompress(codec, content, pixels)
    end = time.perf_counter()
    count = picture.width * picture.height
    estimated = codec.estimate_bits(pixels, quality) / count if isinstance(codec, EstimatesBits) else None
    measured = MeasuredRow(
        filename=picture.path.name,
        width=picture.width,
        height=picture.height,
        codec=spec.name,
        setting=spec.setting,
        quality=quality,
        bpp=8 * len(content) / count,
        estimated_bpp=estimated,
        psnr_db=psnr_pixels(pixels, x_hat),
        ssim=ssim(pixels, x_hat),
        ms_ssim=ms_ssim(pixels, x_hat),
        encode_s=between - begin,
        decode_s=end - between,
        note="; ".join(filter(None, (*picture.warnings, note))),
    )
    drift = _generations(codec, measured, pixels=pixels, first=x_hat, count=generations)
    return Measurement(row=measured, generations=drift)


def warm_up(codec: Codec, pixels: Pixels, quality: float) -> None:
    """Compress and decompress a corner of a picture, so that what a codec does once is not timed."""
    corner = pixels[:64, :64]
    _decompress(codec, codec.compress(corner, quality), corner)


def _decompress(codec: Codec, content: bytes, pixels: Pixels) -> Pixels:
    # The stream was made here from a picture that was accepted: no other limit applies.
    return codec.decompress(content, max_megapixels=max(MAX_MEGAPIXELS, pixels.size / 3e6 + 1))


def _generations(
    codec: Codec, row: MeasuredRow, *, pixels: Pixels, first: Pixels, count: int
) -> tuple[GenerationRow, ...]:
    rows: list[GenerationRow] = []
    previous, x_hat, bpp = pixels, first, row.bpp
    for generation in range(1, count + 1):
        if generation > 1:
            content = codec.compress(x_hat, row.quality)
            previous, x_hat = x_hat, _decompress(codec, content, pixels)
            bpp = 8 * len(content) / (row.width * row.height)
        rows.append(
            GenerationRow(
                filename=row.filename,
                codec=row.codec,
                setting=row.setting,
                quality=row.quality,
                generation=generation,
                bpp=bpp,
                psnr_db=psnr_pixels(pixels, x_hat),
                psnr_previous_db=psnr_pixels(previous, x_hat),
            )
        )
    return tuple(rows)
