"""Results of single pictures become means with intervals, beside what was published."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from miscomp.benchmark.bootstrap import Floats, draws, figure
from miscomp.evaluate.compare import Comparison
from miscomp.evaluate.results import Curve, finite, mean_record
from miscomp.records import Failure
from miscomp.report.summary import Mean
from miscomp.secure.edits import EDITS
from miscomp.secure.published import SOURCE, WARNING, PublishedSlic
from miscomp.secure.trials import CODED, NO_EDIT, CodedRow, PictureResult, TrialRow

RESAMPLES = 2000
"""Of the bootstrap over pictures."""

MEASURES: tuple[tuple[str, str], ...] = (
    ("psnr_db", "PSNR of p2 to p, dB"),
    ("normalised_psnr_db", "PSNR after each of the two was stretched to the full range, dB"),
    ("fitted_psnr_db", "PSNR after the best affine fit of each channel, dB"),
    ("over_flat_db", "fitted PSNR less that of p's mean colour, dB"),
    ("local_correlation", "mean absolute local correlation"),
    ("lost", "share of blocks below 15 dB, foreign ones not counted"),
    ("lost_foreign", "share of blocks below 15 dB among foreign ones"),
    ("again_bpp", "real bits per pixel of the re-compression"),
)
"""Field of `TrialRow`, and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The same trial of all pictures."""

    picture: str
    edit: str
    quality: float | None
    again_quality: float
    along_curve: bool
    """Whether the first compression was at another quality than the one that was asked for."""
    pictures: int
    means: Mapping[str, Mean | None]
    """By measure; none where no picture has it."""
    highest_psnr: tuple[float, str]
    """The picture that survived best: its PSNR in dB and its file's name."""
    least_lost: tuple[float, str] | None
    """The smallest share of lost blocks of a picture, and its file's name; a mean hides patches that survive."""
    words: int | None
    """Read surely in all pictures together; none where nothing was read."""
    words_read_again: int | None

    @property
    def as_asked(self) -> bool:
        """Whether both compressions are at the quality that was asked for."""
        return not self.along_curve and self.quality in (None, self.again_quality)

    @property
    def title(self) -> str:
        """What was done, in words."""
        if self.edit != NO_EDIT:
            return EDITS[self.edit].title
        if self.along_curve:
            return f"As it is, both times at quality {self.quality:g}"
        if self.quality is None or self.quality == self.again_quality:
            return "As it is"
        return f"As it is, again at quality {self.again_quality:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """The first compression and its cost; every difference is taken picture by picture."""

    codec: str
    bpp: Mean
    psnr_db: Mean
    ms_ssim: Mean | None
    base: str | None
    base_bpp: Mean | None
    base_psnr_db: Mean | None
    base_ms_ssim: Mean | None
    rate_percent: Mean | None
    """How many more bits the codec takes than the base at the base's quality."""
    same_rate_base_psnr_db: Mean | None
    """Of the base at the codec's rate, to one percent, over the pictures that it has that rate for."""
    same_rate_psnr_db: Mean | None
    """The codec's less the base's at that rate; negative: the codec is worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureEvaluation:
    """What was measured and what follows from it."""

    settings: Mapping[str, Any]
    results: tuple[PictureResult, ...]
    coding: Coding | None
    """None where no picture was measured."""
    groups: tuple[Group, ...]
    """Each over all pictures that have it, in the order of the trials."""
    published: tuple[PublishedSlic, ...]
    """Empty unless the pictures are the 24 Kodak images."""
    curves: tuple[Curve, ...]
    comparisons: tuple[Comparison, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()
    drawn: tuple[tuple[str, str], ...] = ()
    """Key and file name of the pictures that small copies were kept of: the first of the results."""

    def find(self, picture: str, edit: str = NO_EDIT) -> Group | None:
        """The group of an edit at the qualities that were asked for."""
        for group in self.groups:
            if (group.picture, group.edit) == (picture, edit) and group.as_asked:
                return group
        return None


def make_groups(results: Sequence[PictureResult]) -> tuple[Group, ...]:
    """Collect the trials of all pictures; the first picture decides about the order."""
    found: dict[tuple[str, str, float | None, float], list[TrialRow]] = {}
    asked = {result.trials[0].quality for result in results}
    for result in results:
        for row in result.trials:
            found.setdefault((row.picture, row.edit, row.quality, row.again_quality), []).append(row)
    return tuple(_group(rows, along_curve=rows[0].quality not in {None, *asked}) for rows in found.values())


def _group(rows: Sequence[TrialRow], *, along_curve: bool) -> Group:
    first = rows[0]
    best = max(rows, key=lambda row: row.psnr_db)
    lost = [(row.lost, row.filename) for row in rows if row.lost is not None]
    read = [(row.words, row.words_read_again) for row in rows if row.words is not None]
    return Group(
        picture=first.picture,
        edit=first.edit,
        quality=first.quality,
        again_quality=first.again_quality,
        along_curve=along_curve,
        pictures=len(rows),
        means={name: mean_of([getattr(row, name) for row in rows]) for name, _ in MEASURES},
        highest_psnr=(best.psnr_db, best.filename),
        least_lost=min(lost, default=None),
        words=sum(known for known, _ in read) if read else None,
        words_read_again=sum(again or 0 for _, again in read) if read else None,
    )


def make_coding(rows: Sequence[CodedRow]) -> Coding | None:
    """The means of the first compression."""
    if not rows:
        return None

    def mean(value: Callable[[CodedRow], float | None]) -> Mean | None:
        return mean_of([value(row) for row in rows])

    bpp, psnr_db = mean(lambda row: row.bpp), mean(lambda row: row.psnr_db)
    if bpp is None or psnr_db is None:  # every row has both
        raise ValueError("rows without a rate or a PSNR")
    return Coding(
        codec=rows[0].codec,
        bpp=bpp,
        psnr_db=psnr_db,
        ms_ssim=mean(lambda row: row.ms_ssim),
        base=rows[0].base,
        base_bpp=mean(lambda row: row.base_bpp),
        base_psnr_db=mean(lambda row: row.base_psnr_db),
        base_ms_ssim=mean(lambda row: row.base_ms_ssim),
        rate_percent=mean(lambda row: None if row.base_bpp is None else 100 * (row.bpp / row.base_bpp - 1)),
        same_rate_base_psnr_db=mean(lambda row: row.base_rate_psnr_db),
        same_rate_psnr_db=mean(_worse),
    )


def _worse(row: CodedRow) -> float | None:
    return None if row.base_rate_psnr_db is None else row.psnr_db - row.base_rate_psnr_db


def mean_of(values: Sequence[float | None]) -> Mean | None:
    """Mean of those that there are, with the 95 % percentile interval of a bootstrap over pictures.

    Undefined values (nan) are left out. Infinite with any infinite value, then without interval.
    """
    known = np.array([value for value in values if value is not None and not math.isnan(value)])
    if not known.size:
        return None
    if np.isinf(known).any():
        return Mean(value=math.inf, n=len(known), interval=None)
    found = figure(_draws(len(known)) @ known / len(known), len(known))
    interval = None
    if found.interval is not None and found.interval[0] is not None and found.interval[1] is not None:
        interval = (found.interval[0], found.interval[1])
    return Mean(value=math.fsum(known) / len(known), n=len(known), interval=interval)


@cache
def _draws(count: int) -> Floats:
    # The same for every mean over as many pictures.
    return draws(count, RESAMPLES, np.random.default_rng(0))


def evaluation_record(evaluation: SecureEvaluation) -> dict[str, Any]:
    """The whole evaluation for a JSON file; null stands for infinite or unknown, every name says what it is."""
    published = evaluation.published
    return {
        "settings": dict(evaluation.settings),
        "images": len(evaluation.results),
        "failures": [{"name": one.name, "reason": one.reason} for one in evaluation.failures],
        "notes": list(evaluation.notes),
        "intervals": f"95 %, bootstrap over images, {RESAMPLES} resamples",
        "measures": dict(MEASURES),
        "first_compression": None if evaluation.coding is None else _coding_record(evaluation.coding),
        "compressed_again": [_group_record(group, published) for group in evaluation.groups],
        "published_source": SOURCE if published else None,
        "published_warning": WARNING if published else None,
        "published_first_compression_psnr_db": {one.name: one.psnr_db for one in published},
        "bd_rate": [
            {
                "test": one.test,
                "anchor": one.anchor,
                "bd_rate_percent": one.rate.value,
                "bd_psnr_db": one.psnr.value,
                "reason": one.rate.reason or one.psnr.reason,
            }
            for one in evaluation.comparisons
        ],
    }


def _coding_record(coding: Coding) -> dict[str, Any]:
    return {
        "codec": coding.codec,
        "real_bpp": mean_record(coding.bpp),
        "psnr_db": mean_record(coding.psnr_db),
        "ms_ssim": mean_record(coding.ms_ssim),
        "base": coding.base,
        "base_real_bpp": mean_record(coding.base_bpp),
        "base_psnr_db": mean_record(coding.base_psnr_db),
        "base_ms_ssim": mean_record(coding.base_ms_ssim),
        "rate_above_base_percent": mean_record(coding.rate_percent),
        "base_psnr_db_at_the_codecs_rate": mean_record(coding.same_rate_base_psnr_db),
        "psnr_above_base_db_at_the_codecs_rate": mean_record(coding.same_rate_psnr_db),
    }


def _group_record(group: Group, published: Sequence[PublishedSlic]) -> dict[str, Any]:
    return {
        "picture": group.picture,
        "edit": group.edit,
        "first_quality": group.quality,
        "again_quality": group.again_quality,
        "images": group.pictures,
        **{name: mean_record(mean) for name, mean in group.means.items()},
        "highest_psnr_db": _named(group.highest_psnr),
        "least_lost": None
        if group.least_lost is None
        else dict(zip(("value", "filename"), group.least_lost, strict=True)),
        "words": group.words,
        "words_read_again": group.words_read_again,
        "published_psnr_db": dict(published_of(group, published)),
    }


def _named(value: tuple[float, str] | None) -> dict[str, Any] | None:
    return None if value is None else {"value": finite(value[0]), "filename": value[1]}


def published_of(group: Group, published: Sequence[PublishedSlic]) -> list[tuple[str, float]]:
    """What the paper reports for such a trial, by its codecs."""
    if group.picture != CODED or not group.as_asked:
        return []
    if group.edit == NO_EDIT:
        return [(one.name, one.again_db) for one in published]
    return [(one.name, one.edits_db[group.edit]) for one in published if group.edit in one.edits_db]
