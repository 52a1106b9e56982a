"""Agreement as JSON, and as tables in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from miscomp.benchmark.bootstrap import Figure
from miscomp.report.wording import one_line
from miscomp.stats.agreement import Agreement, AgreementRow, Labeler
from miscomp.stats.boxmatch import BoxAgreement
from miscomp.stats.cells import CellShare
from miscomp.stats.units import Rule

KINDS = ("c_neg", "c_pos", "p_pos", "p_neg", "c_total")
"""In the order of the appendix' Table 4."""
_RULES = {
    Rule.MAJORITY: "majority: a tile counts where it holds more than half of a box",
    Rule.LARGEST: "largest: a tile counts where it holds more of a box than any other tile",
}


def agreement_record(found: Agreement) -> dict[str, Any]:
    """For JSON; what is undefined is null. Shares are in 0 to 1, with Wald intervals as in the appendix' Table 4.

    `cluster` holds the same shares with intervals by drawing photographs.
    """
    return {
        "rows": [_row_record(row) for row in found.rows],
        "labelers": [asdict(one) for one in found.labelers],
        "images": found.images,
        "photographs": found.photographs,
        "boxes": found.boxes,
        "seen_by_one": found.seen_by_one,
        "unseen": found.unseen,
        "resamples": found.resamples,
        "seed": found.seed,
        "method": found.method,
        "box_agreement": [_boxes_record(one) for one in found.on_boxes],
        "notes": list(found.notes),
    }


def _row_record(row: AgreementRow) -> dict[str, Any]:
    shares = {kind: _share(row, kind) for kind in KINDS}
    return {
        "per_side": row.per_side,
        "tiles": row.tiles,
        "n": row.n,
        "rule": row.rule.value,
        "unassigned_boxes": row.unassigned_boxes,
        **{kind: _ends(one.value, one.wald) for kind, one in shares.items()},
        "alpha": _figure(row.alpha),
        "cluster": {kind: _figure(one.cluster) for kind, one in shares.items()},
        "ties": row.cells.ties,
        "ac1": _figure(row.ac1),
        "fleiss": _figure(row.fleiss),
        "cohen": [
            {"first": one.first, "second": one.second, "photographs": one.images, "n": one.units, **_figure(one.kappa)}
            for one in row.cohen
        ],
    }


def _boxes_record(one: BoxAgreement) -> dict[str, Any]:
    record = {
        key: getattr(one, key)
        for key in (
            "first",
            "second",
            "images",
            "photographs",
            "both_empty",
            "one_empty",
            "boxes_first",
            "boxes_second",
        )
    }
    at = [
        {
            "threshold": level.threshold,
            "matched": level.matched,
            "f1": _figure(level.f1),
            "mean_iou": _figure(level.mean_iou),
        }
        for level in one.at
    ]
    return {**record, "at": at, "hit_first": _figure(one.hit_first), "hit_second": _figure(one.hit_second)}


def _share(row: AgreementRow, kind: str) -> CellShare:
    share: CellShare = getattr(row.cells, kind)
    return share


def _figure(figure: Figure) -> dict[str, float | None]:
    return _ends(figure.value, figure.interval)


def _ends(value: float | None, interval: tuple[float | None, float | None] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {"value": value, "low": low, "high": high}


def agreement_text(found: Agreement) -> str:
    """For people: who, Table 4, the coefficients, single boxes, notes."""
    parts = [_head(found), _shares_text(found), _coefficients_text(found)]
    if found.on_boxes:
        parts.append(_boxes_text(found.on_boxes))
    if found.notes:
        parts.append("\n".join(["Notes", *(_note(one_line(note)) for note in found.notes)]))
    return "\n\n".join(parts)


def _note(note: str) -> str:
    return textwrap.fill(note, 110, initial_indent="- ", subsequent_indent="  ", break_long_words=False)


def _head(found: Agreement) -> str:
    head = (
        f"{len(found.labelers)} labelers; {found.images} reconstructions that two or more of them have seen, of "
        f"{found.photographs} photographs; {found.boxes} boxes"
    )
    return "\n".join([head, *(f"  {_labeler(one)}" for one in found.labelers)])


def _labeler(one: Labeler) -> str:
    kind = " (detector)" if one.detector else ""
    return f"{one_line(one.name)}{kind}: saw {one.images}, drew {one.boxes}"


def _shares_text(found: Agreement) -> str:
    header = ("per side", "tiles", "n", "no tile", "c-neg", "c-pos", "p-pos", "p-neg", "c-total")
    rows: list[tuple[str, ...]] = [header]
    for row in found.rows:
        shares = [_share(row, kind) for kind in KINDS]
        counts = (row.per_side, row.tiles, row.n, row.unassigned_boxes)
        rows.append((*map(str, counts), *(_percent(one.value) for one in shares)))
        rows.append(("Wald", "", "", "", *(_percents(one.wald) for one in shares)))
        rows.append(("drawn", "", "", "", *(_percents(one.cluster.interval) for one in shares)))
    return "\n".join(
        [
            f"Percent of the n units (tiles of all images); {_RULES[found.rows[0].rule]}.",
            "c-neg: nobody annotated it; c-pos: all; p-pos: more than half, not all; p-neg: some, no more than half;",
            "c-total: c-neg and c-pos. no tile: boxes that count in no tile.",
            "95 % intervals: Wald, as published, takes tiles for independent and is mostly too narrow; drawn:",
            f"percentile, {found.resamples} resamples of photographs, seed {found.seed}.",
            *_table(rows),
        ]
    )


def _coefficients_text(found: Agreement) -> str:
    rows: list[tuple[str, ...]] = [("", *(f"{row.per_side} per side" for row in found.rows))]
    rows += _over_rows("alpha", [row.alpha for row in found.rows])
    rows += _over_rows("AC1", [row.ac1 for row in found.rows])
    rows += _over_rows("Fleiss", [row.fleiss for row in found.rows])
    for place, pair in enumerate(found.rows[0].cohen):
        names = f"Cohen {one_line(pair.first)}, {one_line(pair.second)}"
        rows += _over_rows(names, [row.cohen[place].kappa for row in found.rows])
    return "\n".join(
        [
            "Beyond chance (1 perfect, 0 chance): Krippendorff's alpha, Gwet's AC1, Fleiss' kappa, Cohen's of two.",
            f"95 % intervals: {found.method}, the same resamples.",
            *_table(rows),
        ]
    )


def _over_rows(name: str, figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    return [
        (name, *(_coefficient(one.value) for one in figures)),
        ("drawn", *(_interval(one.interval) for one in figures)),
    ]


def _boxes_text(pairs: Sequence[BoxAgreement]) -> str:
    rows: list[tuple[str, ...]] = [("labelers", "images", "both empty", "boxes", "IoU >=", "matched", "F1", "mean IoU")]
    for pair in pairs:
        for at in pair.at:
            counts = (f"{pair.images}", f"{pair.both_empty}", f"{pair.boxes_first} + {pair.boxes_second}")
            measures = (_with_interval(at.f1), _with_interval(at.mean_iou))
            names = f"{one_line(pair.first)}, {one_line(pair.second)}"
            rows.append((names, *counts, f"{at.threshold:g}", str(at.matched), *measures))
    return "\n".join(
        [
            "Single boxes of two labelers, matched one to one by intersection over union (IoU). F1 is corrected for no",
            "chance and says nothing of images that both left empty; mean IoU is of the matched.",
            *_table(rows),
        ]
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _percents(ends: tuple[float | None, float | None] | None) -> str:
    return "-" if ends is None else " to ".join(map(_percent, ends))


def _coefficient(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # no minus before 0.000


def _interval(ends: tuple[float | None, float | None] | None) -> str:
    return "-" if ends is None else " to ".join(map(_coefficient, ends))


def _with_interval(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    return _coefficient(figure.value) + (f" ({_interval(figure.interval)})" if figure.interval else "")


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
