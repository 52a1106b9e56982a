"""A statement from a compressed file: which codec wrote it, at which real rate, and which pixels it decodes to."""

from __future__ import annotations

from pathlib import Path

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS, HasCheckpoints
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.codecs.rows import CodecRow
from miscomp.disclose.kinds import kind_of
from miscomp.disclose.sources import picture_of
from miscomp.disclose.statement import Codec, Statement
from miscomp.errors import StreamError, WeightsError
from miscomp.images import Pixels, read_file


def from_stream(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS, stated: str = "") -> tuple[Statement, Pixels]:
    """What a compressed file says about itself, and the picture in it; nothing was compared.

    The file is decoded, because only its pixels bind the statement to a picture. Which program wrote it, and when, no
    such file tells. Raises `StreamError` for a file of no known codec and for one that cannot be decoded, here also
    for want of weights, and `ImageError` for a path that is no readable file.
    """
    content = read_file(path)
    name = detect_codec(content, path)
    row = CODECS[name]
    stream = container.unpack(content, path, max_megapixels=max_megapixels) if container.is_stream(content) else None
    pixels = _decoded(row, content, path, max_megapixels)
    height, width = pixels.shape[:2]
    codec = Codec(
        name=name,
        kind=kind_of(name),
        weights_sha256="" if stream is None else _weights(row, stream.weights),
        seed=None if stream is None else stream.seed,
    )
    bpp = 8 * len(content) / (width * height)
    statement = Statement(codec=codec, picture=picture_of(pixels), bpp=bpp, compared=False, stated=stated)
    return statement, pixels


def other_codec(statement: Statement, content: bytes, where: object) -> str:
    """The codec of a `.misc` stream where a statement names another one; empty where they agree, or for pictures."""
    if not container.is_stream(content) or not statement.codec.name:
        return ""
    name = detect_codec(content, where)
    return "" if name == statement.codec.name else name


def _decoded(row: CodecRow, content: bytes, path: Path, limit: float) -> Pixels:
    try:
        return open_codec(row.name).decompress(content, max_megapixels=limit)
    except StreamError as error:
        raise StreamError(path, error.problem) from error
    except WeightsError as error:
        raise StreamError(path, f"is of {row.name}, which cannot decode it here: {error}") from error


def _weights(row: CodecRow, begin: bytes) -> str:
    """The whole hash of the weights whose first bytes a stream has; empty where it cannot be told."""
    if row.weights is not None:
        return row.weights.sha256 if bytes.fromhex(row.weights.sha256).startswith(begin) else ""
    codec = open_codec(row.name)
    if not isinstance(codec, HasCheckpoints):
        return ""
    for quality in range(int(row.qualities.low), int(row.qualities.high) + 1):
        try:
            whole = codec.weights_sha256(quality)
        except WeightsError:  # those of another quality may be missing
            continue
        if bytes.fromhex(whole).startswith(begin):
            return whole
    return ""
