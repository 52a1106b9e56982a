"""A picture compressed again: what is measured of it, and the records that hold it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from miscomp.detect.reader import TextReader
from miscomp.evaluate.measure import MeasuredRow
from miscomp.images import Pixels
from miscomp.records import Failure
from miscomp.secure.codec import SecureCodec
from miscomp.secure.forgeries import Mask
from miscomp.secure.measure import measure
from miscomp.secure.survival import BLOCK, Flags, compare

CODED, UNCODED = "coded", "uncoded"
"""What was compressed again: the codec's own reconstruction, or as a control the picture that it never saw."""

NO_EDIT = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedRow:
    """A picture's first compression, and what the base codec makes of the same picture."""

    filename: str
    width: int
    height: int
    codec: str
    bpp: float
    """Real: 8 * bytes of the whole file / pixels."""
    psnr_db: float
    """Of 8-bit RGB; inf for identical pictures."""
    ms_ssim: float | None
    """None for a side below 161 pixels."""
    base: str | None = None
    """None where there is no base codec; so for all that begins with `base`."""
    base_bpp: float | None = None
    """At the quality that `base` names."""
    base_psnr_db: float | None = None
    base_ms_ssim: float | None = None
    base_rate_quality: float | None = None
    """At which the base's rate meets the codec's to one percent; none where it has no such quality."""
    base_rate_bpp: float | None = None
    base_rate_psnr_db: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A picture p beside its re-compression p2; lower figures are more destruction, but higher ones of `lost`."""

    filename: str
    picture: str
    """`coded` or `uncoded`: whether p comes from the codec."""
    edit: str
    """What was done to it before it was compressed again, or `none`."""
    quality: float | None
    """Of the first compression; none for an uncoded picture."""
    again_quality: float
    """Of the re-compression."""
    again_bpp: float
    """Real rate of the re-compression."""
    psnr_db: float
    normalised_psnr_db: float
    fitted_psnr_db: float
    flat_psnr_db: float
    local_correlation: float
    lost: float | None
    """Share of the blocks of 16 x 16 pixels below 15 dB, in [0, 1]; those with foreign pixels are not counted."""
    lost_foreign: float | None
    """The same share of the blocks that an edit put there; none where there is none."""
    words: int | None = None
    """Read surely in p; 0 for pictures whose first reconstruction has none, none where nothing was read."""
    words_read_again: int | None = None

    @property
    def over_flat_db(self) -> float:
        """What the fit finds beyond a flat colour, 0 or more; 0 for a picture that is one."""
        return 0.0 if math.isinf(self.flat_psnr_db) else self.fitted_psnr_db - self.flat_psnr_db


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureResult:
    """Everything about one picture."""

    coded: CodedRow
    trials: tuple[TrialRow, ...]
    curve: tuple[MeasuredRow, ...] = ()
    """The codec and the base at the qualities of the curve."""
    failures: tuple[Failure, ...] = ()
    """Edits that could not be made of this picture."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subject:
    """A picture that is to be compressed again, and where it comes from."""

    filename: str
    pixels: Pixels
    edit: str = NO_EDIT
    quality: float | None
    """Of the first compression; none for an uncoded picture."""
    foreign: Mask | None = None


def try_again(
    subject: Subject, codec: SecureCodec, quality: float, *, reader: TextReader | None = None
) -> tuple[TrialRow, Pixels]:
    """Compress a picture again at a quality and measure what is left; returns p2 too."""
    content = codec.codec.compress(subject.pixels, quality)
    p2 = codec.decompress(content)
    return compare_again(subject, p2, quality=quality, stream_bytes=len(content), reader=reader), p2


def compare_again(
    subject: Subject, p2: Pixels, *, quality: float, stream_bytes: int, reader: TextReader | None = None
) -> TrialRow:
    """The row of a picture whose re-compression p2 is known."""
    p = subject.pixels
    found = measure(p, p2, reader=reader)
    lost, lost_foreign = lost_shares(p, p2, subject.foreign)
    return TrialRow(
        filename=subject.filename,
        picture=UNCODED if subject.quality is None else CODED,
        edit=subject.edit,
        quality=subject.quality,
        again_quality=quality,
        again_bpp=8 * stream_bytes / (p.shape[0] * p.shape[1]),
        psnr_db=found.psnr_db,
        normalised_psnr_db=found.normalised_psnr_db,
        fitted_psnr_db=found.fitted_psnr_db,
        flat_psnr_db=found.flat_psnr_db,
        local_correlation=found.local_correlation,
        lost=lost,
        lost_foreign=lost_foreign,
        words=found.words,
        words_read_again=found.words_read_again,
    )


def lost_shares(p: Pixels, p2: Pixels, foreign: Mask | None) -> tuple[float | None, float | None]:
    """Share of lost blocks among those without a foreign pixel and among those of foreign ones alone.

    None where there is no such block. Raises `SizeMismatch`.
    """
    lost = compare(p, p2).lost_blocks()
    if foreign is None:
        return _share(lost), None
    rows, columns = (np.arange(0, side, BLOCK) for side in foreign.shape)
    some, whole = (
        every.reduceat(every.reduceat(foreign, rows, 0), columns, 1) for every in (np.logical_or, np.logical_and)
    )
    return _share(lost[~some]), _share(lost[whole])


def _share(lost: Flags) -> float | None:
    return float(lost.mean()) if lost.size else None
