"""How often something is annotated, against the rate that was really spent: by bins of the same width in octaves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from miscomp.records import ImageRow
from miscomp.report.wording import count as spelt
from miscomp.stats.counted import Counted
from miscomp.stats.describe import by_photograph
from miscomp.stats.tabular import Cell, Column, StatTable

PER_OCTAVE = 2
"""Bins from one rate to its double; their borders are powers of two, 0.125, 0.177, 0.25 bpp ... in every corpus."""

_COLUMNS = (
    Column(key="codec", title="Codec"),
    Column(key="bpp_from", title="From", about="Real rate of a reconstruction, at least", unit="bpp", decimals=3),
    Column(key="bpp_to", title="Below", about="Real rate of a reconstruction, less than", unit="bpp", decimals=3),
    Column(
        key="bpp", title="Median rate", about="Of the reconstructions in the bin; n of them", unit="bpp", decimals=3
    ),
    Column(key="photographs", title="Photographs", about="Different photographs that they are of"),
    Column(key="viewed", title="Viewed", about="Viewed reconstructions in the bin"),
    Column(
        key="share_annotated",
        title="Miscompressed of viewed",
        about="Share of them with at least one box; n viewed",
        unit="%",
        decimals=1,
    ),
)
_NOTE = (
    "Viewed reconstructions by the rate each really has. Which photographs lie in a bin depends on the codec: at one "
    "setting, simple photographs take few bits and detailed ones many, so that bins of a codec differ in content as "
    "well as in rate. 95 % Wilson intervals, in which reconstructions of one photograph count as far as they vary like "
    "independent ones."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The viewed reconstructions of a codec, or of `all`, whose rates lie in [low, high) bpp."""

    codec: str
    low: float
    high: float
    rows: tuple[ImageRow, ...]

    @property
    def median_bpp(self) -> float:
        """Of the reconstructions in it."""
        return statistics.median(one.bpp for one in self.rows if one.bpp is not None)

    @property
    def share(self) -> Cell:
        """With at least one box, its interval, and how many were viewed."""
        return by_photograph([(one.image_sha1, one.annotations > 0) for one in self.rows])


def rate_bins(counted: Counted) -> list[Bin]:
    """The bins that hold something, by codec (`all` first) and rate; none where nothing says what was viewed."""
    found: dict[tuple[str, int], list[ImageRow]] = {}
    for one in counted.material.images:
        if one.bpp is not None and (one.image_sha1, one.model) in (counted.viewed or ()):
            number = math.floor(PER_OCTAVE * math.log2(one.bpp))
            for codec in ("", counted.material.codec_of(one.model)):
                found.setdefault((codec, number), []).append(one)
    return [
        Bin(
            codec=codec or "all",
            low=2 ** (number / PER_OCTAVE),
            high=2 ** ((number + 1) / PER_OCTAVE),
            rows=tuple(rows),
        )
        for (codec, number), rows in sorted(found.items())
    ]


def prevalence_table(counted: Counted) -> StatTable:
    """Share of viewed reconstructions with a box, by codec and real rate."""
    viewed = counted.viewed or frozenset()
    unknown = sum(one.bpp is None and (one.image_sha1, one.model) in viewed for one in counted.material.images)
    left = f" Left out because their rate is unknown: {spelt(unknown, 'viewed reconstruction')}." if unknown else ""
    return StatTable(
        name="prevalence",
        title="Prevalence by real bit rate",
        note=f"{counted.note} {_NOTE}{left}",
        columns=_COLUMNS,
        rows=tuple(_row(one) for one in rate_bins(counted)),
    )


def _row(one: Bin) -> Mapping[str, Cell]:
    return {
        "codec": Cell(value=one.codec),
        "bpp_from": Cell(value=one.low),
        "bpp_to": Cell(value=one.high),
        "bpp": Cell(value=one.median_bpp, n=len(one.rows)),
        "photographs": Cell(value=len({row.image_sha1 for row in one.rows})),
        "viewed": Cell(value=len(one.rows)),
        "share_annotated": one.share,
    }
