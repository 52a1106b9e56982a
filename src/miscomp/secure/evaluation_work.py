"""One picture through a self-destructing codec: compressed, edited and compressed again, beside its controls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.rate import encode_at_bpp
from miscomp.codecs.spec import CodecSpec
from miscomp.detect.reader import TextReader
from miscomp.errors import MiscompError
from miscomp.evaluate.measure import MeasuredRow, measure
from miscomp.images import Picture, Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim
from miscomp.records import Failure
from miscomp.secure.codec import SecureCodec
from miscomp.secure.edits import edit
from miscomp.secure.trials import CodedRow, PictureResult, Subject, TrialRow, compare_again, try_again

RATE_TOLERANCE = 0.01
"""Share within which the base's rate must meet the codec's for their PSNR to be compared; `lucid` has steps of that."""

Keep = Callable[[str, Pixels], None]
"""Called with every picture that a contact sheet may show."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Request:
    """What is measured of every picture."""

    codec: SecureCodec
    base: SecureCodec | None
    edits: tuple[str, ...]
    seed: int
    """Decides, with the picture's content, where edits put foreign content and noise."""
    again_qualities: tuple[float, ...] = ()
    """Other qualities at which x1 is compressed again."""
    curve: tuple[float, ...] = ()
    base_curve: tuple[float, ...] = ()
    reader: TextReader | None = None
    """Reads words, and only in pictures whose first reconstruction has some."""


def measure_picture(picture: Picture, request: Request, keep: Keep = lambda name, pixels: None) -> PictureResult:
    """Compress, edit and compress again.

    `keep` is called with `x`, `x1`, `x2`, and for each edit with its name and `NAME.again`. An edit that cannot be
    made of the picture is listed in the result. Raises `UsageError` for a picture that a codec cannot hold.
    """
    return _Work(picture, request, keep).run()


class _Work:
    def __init__(self, picture: Picture, request: Request, keep: Keep) -> None:
        self._picture, self._request, self._keep = picture, request, keep
        self._name = picture.path.name
        self._failures: list[Failure] = []
        self._reader: TextReader | None = None

    def run(self) -> PictureResult:
        x, codec = self._picture.pixels, self._request.codec
        content = codec.compress(x)
        x1 = codec.decompress(content)
        for name, pixels in (("x", x), ("x1", x1)):
            self._keep(name, pixels)
        reader = self._request.reader
        if reader is not None and any(line.words for line in reader.lines(x1)):
            self._reader = reader
        trials = [self._again(Subject(filename=self._name, pixels=x1, quality=codec.quality), show="x2")]
        control = Subject(filename=self._name, pixels=x, quality=None)
        trials.append(compare_again(control, x1, quality=codec.quality, stream_bytes=len(content)))
        for quality in self._request.again_qualities:
            trials.append(self._again(Subject(filename=self._name, pixels=x1, quality=codec.quality), quality=quality))
        for name in self._request.edits:
            trials += self._edited(name, x, x1)
        trials += self._along_curve(x)
        return PictureResult(
            coded=self._coded(x1, len(content)),
            trials=tuple(trials),
            curve=tuple(self._curve()),
            failures=tuple(self._failures),
        )

    def _again(self, subject: Subject, *, quality: float | None = None, show: str = "") -> TrialRow:
        codec = self._request.codec
        coded = subject.quality is not None
        reader = self._reader if coded else None
        row, p2 = try_again(subject, codec, codec.quality if quality is None else quality, reader=reader)
        if show:
            self._keep(show, p2)
        if coded and self._request.reader is not None and reader is None:
            return replace(row, words=0, words_read_again=0)
        return row

    def _edited(self, name: str, x: Pixels, x1: Pixels) -> Iterator[TrialRow]:
        seed = _seed(self._request.seed, self._picture)
        try:
            of_x1, of_x = edit(name, x1, seed=seed), edit(name, x, seed=seed)
        except MiscompError as error:
            self._failures.append(Failure(name=self._name, reason=f"{name}: {error}"))
            return
        self._keep(name, of_x1.pixels)
        for one, quality, show in ((of_x1, self._request.codec.quality, f"{name}.again"), (of_x, None, "")):
            subject = Subject(filename=self._name, pixels=one.pixels, edit=name, quality=quality, foreign=one.foreign)
            yield self._again(subject, show=show)

    def _coded(self, x1: Pixels, stream_bytes: int) -> CodedRow:
        picture, codec, base = self._picture, self._request.codec, self._request.base
        count = picture.width * picture.height
        row = CodedRow(
            filename=self._name,
            width=picture.width,
            height=picture.height,
            codec=codec.label,
            bpp=8 * stream_bytes / count,
            psnr_db=psnr_pixels(picture.pixels, x1),
            ms_ssim=ms_ssim(picture.pixels, x1),
            note="; ".join(picture.warnings),
        )
        return row if base is None else self._beside(base, row)

    def _beside(self, base: SecureCodec, row: CodedRow) -> CodedRow:
        """Add the base codec at its own quality, and at the codec's rate if it has that rate."""
        x, count = self._picture.pixels, row.width * row.height
        content = base.compress(x)
        x_hat = base.decompress(content)
        row = replace(
            row,
            base=base.label,
            base_bpp=8 * len(content) / count,
            base_psnr_db=psnr_pixels(x, x_hat),
            base_ms_ssim=ms_ssim(x, x_hat),
        )
        row_of_base = CODECS[base.codec.name]
        if row_of_base.architecture:
            why = "the base codec's other qualities are other weights, so it was not run at the same rate"
            return replace(row, note="; ".join(filter(None, (row.note, why))))
        found = encode_at_bpp(base.codec, row_of_base, x, row.bpp, tolerance=RATE_TOLERANCE)
        if not found.reached:
            return replace(row, note="; ".join(filter(None, (row.note, f"base codec: {found.note}"))))
        return replace(
            row,
            base_rate_quality=found.quality,
            base_rate_bpp=found.bpp,
            base_rate_psnr_db=psnr_pixels(x, base.decompress(found.content)),
        )

    def _along_curve(self, x: Pixels) -> Iterator[TrialRow]:
        """Compressed and compressed again at each quality of the curve but the codec's own, which is there."""
        codec = self._request.codec
        for quality in self._request.curve:
            if quality != codec.quality:
                x1 = codec.decompress(codec.codec.compress(x, quality))
                yield self._again(Subject(filename=self._name, pixels=x1, quality=quality), quality=quality)

    def _curve(self) -> Iterator[MeasuredRow]:
        for side, qualities in (
            (self._request.codec, self._request.curve),
            (self._request.base, self._request.base_curve),
        ):
            if side is not None:
                for quality in qualities:
                    yield measure(self._picture, CodecSpec(side.codec.name, quality=quality), side.codec).row


def _seed(seed: int, picture: Picture) -> int:
    """Another for each picture, so that foreign regions do not lie at the same place in all; below 2^32."""
    text = f"{seed} {picture.pixel_sha256}"
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:4], "big")
