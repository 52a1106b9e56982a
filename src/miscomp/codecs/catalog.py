"""The one registry of codecs: each row says everything about a name; its code is imported on first use."""

from __future__ import annotations

from functools import cache

from miscomp.codecs import container
from miscomp.codecs.base import Codec
from miscomp.codecs.external_rows import EXTERNAL
from miscomp.codecs.published_rows import PUBLISHED
from miscomp.codecs.rows import CodecRow, Qualities, Weights
from miscomp.errors import StreamError
from miscomp.registry import Registry, load

_CLASSICAL = "miscomp.codecs.classical"

CODECS: Registry[CodecRow] = Registry(
    "codec",
    [
        CodecRow(
            name="jpeg",
            build=f"{_CLASSICAL}:jpeg",
            qualities=Qualities(low=1, high=100, default=75, integer=True),
            suffix=".jpg",
            media="image/jpeg",
            description="JPEG by libjpeg-turbo: baseline, optimised Huffman tables, 4:2:0",
            licence="libjpeg-turbo: IJG, BSD-3-Clause",
            max_side=65500,
        ),
        CodecRow(
            name="webp",
            build=f"{_CLASSICAL}:webp",
            qualities=Qualities(low=0, high=100, default=75),
            suffix=".webp",
            media="image/webp",
            description="WebP by libwebp: lossy, method 6 (slowest, smallest)",
            licence="libwebp: BSD-3-Clause",
            max_side=16383,
        ),
        CodecRow(
            name="avif",
            build=f"{_CLASSICAL}:avif",
            qualities=Qualities(low=0, high=100, default=60, integer=True),
            suffix=".avif",
            media="image/avif",
            description="AVIF by libavif's default encoder (libaom in Pillow's wheels): 4:2:0, speed 6, one thread",
            licence="libavif and libaom: BSD-2-Clause",
            max_side=32768,
        ),
        CodecRow(
            name="jpeg-xl",
            build=f"{_CLASSICAL}:jpeg_xl",
            qualities=Qualities(low=0, high=99, default=75),
            suffix=".jxl",
            media="image/jxl",
            description="JPEG XL by libjxl: lossy VarDCT, effort 7, one thread; libjxl's JPEG-like scale",
            licence="libjxl: BSD-3-Clause; pillow-jxl-plugin: GPL-3.0-or-later",
            extra="jxl",
        ),
        CodecRow(
            name="jpeg2000",
            build=f"{_CLASSICAL}:jpeg2000",
            qualities=Qualities(low=15, high=60, default=35, unit="dB"),
            suffix=".jp2",
            media="image/jp2",
            description="JPEG 2000 by OpenJPEG: irreversible 9/7, colour transform, one layer; quality: aimed PSNR",
            licence="OpenJPEG: BSD-2-Clause",
        ),
        CodecRow(
            name="lucid",
            build="miscomp.codecs.lucid:Lucid",
            qualities=Qualities(low=0, high=1, default=0.4),
            suffix=".misc",
            media="application/octet-stream",
            description="the built-in neural codec: one small network for all rates",
            licence="Apache-2.0",
            format_id=1,
            default_bpp=0.25,
            max_side=65536,
            weights=Weights(
                source="shipped with the package, trained by this project",
                licence="Apache-2.0",
                sha256="95cf074daa7454d461ee4387b99c3e74d62405d9d45215ee9cf53775169bfcfd",
            ),
            quality_map=True,
        ),
        CodecRow(
            name="slic",
            build="miscomp.codecs.lucid:slic",
            qualities=Qualities(low=0.5, high=0.8, default=0.65),
            suffix=".misc",
            media="application/octet-stream",
            description="lucid trained so that its pictures destroy themselves when they are compressed again",
            licence="Apache-2.0",
            format_id=18,
            max_side=65536,
            weights=Weights(
                source="shipped with the package, trained by this project",
                licence="Apache-2.0",
                sha256="75a2fd7d6a87ae2b220e8f053fe8100aca685114b3dfa9107636baadb8e7dc66",
            ),
        ),
        *PUBLISHED,
        *EXTERNAL,
    ],
)


@cache
def open_codec(name: str) -> Codec:
    """Return the codec, ready to run; opened once per process. Raises `UnknownName` or `WeightsError`."""
    row = CODECS[name]
    codec: Codec = load(row.build)(row) if row.takes_row else load(row.build)()
    return codec


def detect_codec(content: bytes, where: object = "stream") -> str:
    """Return which codec wrote a file, by its first bytes; raises `StreamError` for bytes of none."""
    if container.is_stream(content):
        format_id = container.peek_format_id(content, where)
        for row in CODECS:
            if row.format_id == format_id:
                return row.name
        raise StreamError(where, f"format id {format_id} is unknown to this release; use a newer one")
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[4:8] == b"ftyp" and _brands(content) & {b"avif", b"avis"}:
        return "avif"
    if content.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "jpeg-xl"
    if content.startswith((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n")):
        return "jpeg2000"
    for reader in dict.fromkeys(row.recognise for row in CODECS if row.recognise):
        found: str | None = load(reader)(content)
        if found is not None:
            return found
    begin = f"it begins with {content[:8].hex(' ')}" if content else "it is empty"
    raise StreamError(where, f"not a file of a known codec (`miscomp codecs` lists them): {begin}")


def _brands(content: bytes) -> set[bytes]:
    """The brands of an ISO base media file; the second word is a version, no brand."""
    end = min(int.from_bytes(content[:4]), 256)
    return {content[i : i + 4] for i in (8, *range(16, end, 4))}
