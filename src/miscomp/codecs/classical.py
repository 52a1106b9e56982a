"""Classical codecs through Pillow: native files, no metadata; one thread, so that equal input gives equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.catalog import CODECS, detect_codec
from miscomp.errors import ImageError, MissingExtra, StreamError, UsageError
from miscomp.images import Pixels, decode


@dataclass(frozen=True, slots=True)
class Classical:
    """One of Pillow's encoders with fixed options; the picture is read back as any image file is."""

    name: str
    pillow_format: str
    options: Callable[[float], Mapping[str, object]]
    """Pillow's save options for a quality."""

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        """Encode 8-bit RGB, shape (h, w, 3). Raises `UsageError` for a quality or size that the format lacks."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (h, w, 3), got {pixels.dtype} {pixels.shape}")
        row = CODECS[self.name]
        height, width = pixels.shape[:2]
        row.qualities.check(self.name, quality)
        row.check_size(width, height)
        file = io.BytesIO()
        try:
            Image.fromarray(pixels).save(file, format=self.pillow_format, **self.options(quality))
        except (OSError, ValueError, RuntimeError) as error:
            what = f"{width} x {height} pixels at quality {quality:g}"
            raise UsageError(f"{self.name} cannot encode {what}: {error}; try another codec") from error
        return file.getvalue()

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Read a file of this codec, by its content. Raises `StreamError` for anything else."""
        found = detect_codec(content)
        if found != self.name:
            raise StreamError("stream", f"it is a file of {found}, not of {self.name}; open it with {found}")
        try:
            pixels, _ = decode(content, "stream", max_megapixels=max_megapixels)
        except ImageError as error:
            raise StreamError(error.where, error.problem) from error
        return pixels


def jpeg() -> Classical:
    """Baseline, optimised Huffman tables, 4:2:0, the standard's tables scaled as libjpeg does."""
    return Classical(
        "jpeg", "JPEG", lambda quality: {"quality": int(quality), "optimize": True, "subsampling": "4:2:0"}
    )


def webp() -> Classical:
    """Lossy WebP, method 6."""
    _need("webp")
    return Classical("webp", "WEBP", lambda quality: {"quality": quality, "method": 6})


def avif() -> Classical:
    """AVIF, 4:2:0, speed 6. More threads or tiles would change the bytes from machine to machine."""
    _need("avif")
    fixed = {"subsampling": "4:2:0", "speed": 6, "max_threads": 1, "autotiling": False}
    return Classical("avif", "AVIF", lambda quality: {"quality": int(quality), **fixed})


def jpeg_xl() -> Classical:
    """Lossy JPEG XL, effort 7. Quality is mapped to libjxl's distance by libjxl itself."""
    try:
        import pillow_jxl  # noqa: F401  (registers the format with Pillow)
    except ImportError:
        raise MissingExtra("pillow-jxl-plugin", "jxl", "jpeg-xl") from None
    return Classical("jpeg-xl", "JXL", lambda quality: {"quality": quality, "effort": 7, "num_threads": 1})


def jpeg2000() -> Classical:
    """Irreversible wavelet with the colour transform; quality is the PSNR in dB that OpenJPEG aims at."""
    _need("jpg_2000")
    fixed = {"quality_mode": "dB", "irreversible": True, "mct": 1}
    return Classical("jpeg2000", "JPEG2000", lambda quality: {"quality_layers": [quality], **fixed})


def _need(feature: str) -> None:
    if not features.check(feature):
        raise UsageError(f"this Pillow was built without {feature}; install Pillow's own wheel: pip install Pillow")
