"""Descriptive statistics of annotated miscompressions by model (SCLIC, Table 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.bootstrap import Floats
from miscomp.records import Annotation, ImageRow
from miscomp.stats.counted import Counted, Group, groups
from miscomp.stats.intervals import ratio, resampled, share_cell
from miscomp.stats.tabular import Cell, Column, StatTable

_COLUMNS = (
    Column(key="model", title="Model"),
    Column(key="codec", title="Codec"),
    Column(key="rate", title="Rate"),
    Column(key="images", title="Reconstructions", about="All there are, viewed or not"),
    Column(key="viewed", title="Viewed", about="Reconstructions that a labeler has seen"),
    Column(key="annotated", title="Miscompressed", about="Reconstructions with at least one box"),
    Column(
        key="share_annotated",
        title="Miscompressed of viewed",
        about="Share of the viewed reconstructions that have at least one box; n viewed",
        unit="%",
        decimals=1,
    ),
    Column(
        key="mean_boxes",
        title="Boxes in those",
        about="Mean number of boxes in reconstructions with at least one; n such reconstructions",
        decimals=2,
    ),
    Column(
        key="share_multi",
        title="Multi of miscompressed",
        about="Share of the miscompressed reconstructions in which multi-miscompressions are flagged, on a box or on "
        "the whole; n miscompressed",
        unit="%",
        decimals=1,
    ),
    Column(
        key="side_geometric",
        title="Side, sqrt(wh)",
        about="Mean over boxes of the side of a square with the same area; n boxes",
        unit="px",
        decimals=1,
    ),
    Column(
        key="side_arithmetic",
        title="Side, (w+h)/2",
        about="Mean over boxes of the mean of width and height; n boxes",
        unit="px",
        decimals=1,
    ),
    Column(key="boxes", title="Boxes", about="Boxes that count here"),
    Column(key="boxes_drawn", title="Boxes of all", about="Boxes that all the labelers drew, also where several did"),
)
_NOTE = (
    "Intervals have 95 %. Shares: Wilson intervals; in rows of several models the reconstructions of a photograph "
    "count as far as they vary like independent ones. Means: bootstrap over photographs, too narrow where fewer than "
    "20 have a box. SCLIC does not say which side length its Table 2 has; both are here. "
    "Where labelers draw only the first few of many alike, numbers of boxes are "
    "lower bounds. Rates of codecs differ, so that rows do not rank architectures."
)
_SUMS = 4
"""Columns of sums that a group needs: annotated reconstructions, boxes, and both side lengths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A reconstruction as a row counts it."""

    row: ImageRow
    boxes: Sequence[Annotation]
    viewed: bool

    @property
    def sums(self) -> tuple[float, float, float, float]:
        return (
            float(bool(self.boxes)),
            float(len(self.boxes)),
            math.fsum(math.sqrt(one.w * one.h) for one in self.boxes),
            math.fsum((one.w + one.h) / 2 for one in self.boxes),
        )


def table2(counted: Counted, *, resamples: int = 1000, seed: int = 0) -> StatTable:
    """Table 2 of any corpus; rows of each model, of each rate, and of all.

    Where nothing says what was viewed, numbers viewed and shares of them are undefined, and the rest stands.
    """
    cases, wanted = _cases(counted), groups(counted.material)
    sums = _resampled(cases, wanted, resamples, seed)
    rows = tuple(
        _row(one, [case for case in cases if case.row.model in one.models], counted, sums[:, _SUMS * at :][:, :_SUMS])
        for at, one in enumerate(wanted)
    )
    title = "Annotated miscompressions by model"
    return StatTable(name="table2", title=title, note=f"{counted.note} {_NOTE}", columns=_COLUMNS, rows=rows)


def _cases(counted: Counted) -> list[_Case]:
    boxes: dict[tuple[str, str], list[Annotation]] = {}
    for one in counted.material.annotations:
        boxes.setdefault((one.image_sha1, one.model), []).append(one)
    cases = []
    for row in counted.material.images:
        found = boxes.get((row.image_sha1, row.model), [])
        viewed = counted.viewed is not None and (row.image_sha1, row.model) in counted.viewed
        cases.append(_Case(row=row, boxes=found, viewed=viewed))
    return cases


def _resampled(cases: Sequence[_Case], wanted: Sequence[Group], resamples: int, seed: int) -> Floats:
    """Sums (1 + resamples, groups * 4) over the photographs that were viewed or boxed."""
    sources = sorted({case.row.image_sha1 for case in cases if case.viewed or case.boxes})
    place = {sha1: number for number, sha1 in enumerate(sources)}
    columns: dict[str, list[int]] = {}
    for at, one in enumerate(wanted):
        for name in one.models:
            columns.setdefault(name, []).append(at)
    values = np.zeros((len(sources), len(wanted), _SUMS))
    for case in cases:
        if case.boxes:
            values[place[case.row.image_sha1], columns[case.row.model]] += case.sums
    return resampled(values.reshape(len(sources), len(wanted) * _SUMS), resamples, seed)


def _row(group: Group, cases: Sequence[_Case], counted: Counted, sums: Floats) -> Mapping[str, Cell]:
    annotated = [case for case in cases if case.boxes]
    sources = len({case.row.image_sha1 for case in annotated})
    boxes = sum(len(case.boxes) for case in annotated)
    known = counted.viewed is not None
    some, number, geometric, arithmetic = sums.T
    return {
        "model": Cell(value=group.model),
        "codec": Cell(value=group.codec),
        "rate": Cell(value=group.rate),
        "images": Cell(value=len(cases)),
        "viewed": Cell(value=sum(case.viewed for case in cases) if known else None),
        "annotated": Cell(value=len(annotated)),
        "share_annotated": by_photograph([(case.row.image_sha1, bool(case.boxes)) for case in cases if case.viewed])
        if known
        else Cell(value=None),
        "mean_boxes": Cell.of(ratio(number, some, sources), len(annotated)),
        "share_multi": by_photograph([(case.row.image_sha1, case.row.multi) for case in annotated]),
        "side_geometric": Cell.of(ratio(geometric, number, sources), boxes),
        "side_arithmetic": Cell.of(ratio(arithmetic, number, sources), boxes),
        "boxes": Cell(value=boxes),
        "boxes_drawn": Cell(value=sum(counted.drawn[name] for name in group.models)),
    }


def by_photograph(outcomes: Sequence[tuple[str, bool]]) -> Cell:
    """The share of true outcomes, given with the photograph that each is of."""
    hits: dict[str, int] = {}
    totals: dict[str, int] = {}
    for sha1, outcome in outcomes:
        hits[sha1] = hits.get(sha1, 0) + outcome
        totals[sha1] = totals.get(sha1, 0) + 1
    return share_cell(list(hits.values()), list(totals.values()))
