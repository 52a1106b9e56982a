"""Labelers one by one, and how well they agree, as tables (SCLIC 3.2.4, appendix Table 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from miscomp.benchmark.bootstrap import Figure
from miscomp.stats.agreement import Agreement, AgreementRow, agree
from miscomp.stats.cells import CellShare
from miscomp.stats.counted import Counted, by_nobody
from miscomp.stats.describe import by_photograph
from miscomp.stats.material import Pair
from miscomp.stats.tabular import Cell, Column, StatTable

_COLUMNS = (
    Column(key="labeler", title="Labeler"),
    Column(key="viewed", title="Viewed", about="Reconstructions that the labeler has seen"),
    Column(key="shared", title="Shared", about="Of those, reconstructions that another labeler has seen too"),
    Column(key="annotated", title="Miscompressed", about="Reconstructions with at least one box of the labeler"),
    Column(
        key="share_annotated",
        title="Miscompressed of viewed",
        about="Share of the labeler's viewed reconstructions with at least one of the labeler's boxes; n viewed",
        unit="%",
        decimals=1,
    ),
    Column(key="boxes", title="Boxes"),
)
_NOTE = (
    "Labelers who saw different reconstructions differ for that alone: their shares do not say who is right, nor how "
    "well they agree. 95 % Wilson intervals, in which reconstructions of one photograph count as far as they vary like "
    "independent ones."
)
_KINDS = (
    ("c_neg", "c-neg", "nobody annotated the unit"),
    ("c_pos", "c-pos", "everybody did"),
    ("p_pos", "p-pos", "more than half did, not all"),
    ("p_neg", "p-neg", "some did, no more than half"),
    ("c_total", "c-total", "nobody or everybody did"),
)
_COEFFICIENTS = (
    ("alpha", "Alpha", "Krippendorff's, nominal; n units"),
    ("ac1", "AC1", "Gwet's; n units"),
    ("fleiss", "Fleiss' kappa", "Undefined where not all reconstructions were seen by as many labelers; n units"),
)
_AGREEMENT = (
    Column(key="per_side", title="Units per side", about="1 is whole images"),
    Column(key="tiles", title="Units an image"),
    Column(key="n", title="Units", about="Of all reconstructions that at least two labelers have seen"),
    Column(key="unassigned", title="Boxes in no unit", about="Boxes that make no unit annotated"),
    *(
        Column(key=key, title=title, about=f"Share of units: {about}; n units", unit="%", decimals=2)
        for key, title, about in _KINDS
    ),
    *(Column(key=key, title=title, about=about, decimals=3) for key, title, about in _COEFFICIENTS),
)
_AGREEMENT_NOTE = (
    "A unit is annotated where it holds more than half of a box. Intervals have 95 % and draw photographs with "
    "replacement. Wald intervals, as SCLIC's appendix gives them, take units for independent and are too narrow; they "
    "are in what the command agree prints."
)


def labeler_table(counted: Counted) -> StatTable:
    """What each labeler saw and drew; viewed and shares are undefined where nothing says what was viewed."""
    material = counted.everyones
    seen: dict[str, list[Pair]] = {name: [] for name in material.labelers}
    shared: Counter[str] = Counter()
    viewers = material.seen_by() if counted.viewed is not None else {}
    for pair, who in viewers.items():
        for name in who:
            seen[name].append(pair)
            shared[name] += len(who) > 1
    drawn: dict[str, Counter[Pair]] = {name: Counter() for name in material.labelers}
    for one in material.annotations:
        drawn[one.labeler][one.image_sha1, one.model] += 1
    known = counted.viewed is not None
    rows = tuple(
        {
            "labeler": Cell(value=name),
            "viewed": Cell(value=len(seen[name]) if known else None),
            "shared": Cell(value=shared[name] if known else None),
            "annotated": Cell(value=len(drawn[name])),
            "share_annotated": by_photograph([(pair[0], pair in drawn[name]) for pair in seen[name]])
            if known
            else Cell(value=None),
            "boxes": Cell(value=drawn[name].total()),
        }
        for name in material.labelers
    )
    note = f"{by_nobody(material.annotations)} {_NOTE}".lstrip()
    return StatTable(name="labelers", title="Labelers", note=note, columns=_COLUMNS, rows=rows)


def agreement_table(counted: Counted, *, resamples: int, seed: int) -> StatTable | None:
    """Appendix Table 4 with alpha, of all labelers that count; none where no two have seen the same."""
    material = counted.everyones
    if counted.viewed is None or not counted.several:
        return None
    found: Agreement = agree(material, resamples=max(resamples, 1), seed=seed)
    head = f"{found.images} reconstructions of {found.photographs} photographs that two or more labelers have seen. "
    return StatTable(
        name="agreement",
        title="Agreement of labelers",
        note=" ".join([head + _AGREEMENT_NOTE, *found.notes]),
        columns=_AGREEMENT,
        rows=tuple(_row(one) for one in found.rows),
    )


def _row(row: AgreementRow) -> Mapping[str, Cell]:
    shares: dict[str, CellShare] = {key: getattr(row.cells, key) for key, _, _ in _KINDS}
    figures: dict[str, Figure] = {key: getattr(row, key) for key, _, _ in _COEFFICIENTS}
    return {
        "per_side": Cell(value=row.per_side),
        "tiles": Cell(value=row.tiles),
        "n": Cell(value=row.n),
        "unassigned": Cell(value=row.unassigned_boxes),
        **{key: Cell.of(Figure(value=one.value, interval=one.cluster.interval), row.n) for key, one in shares.items()},
        **{key: Cell.of(one, row.n) for key, one in figures.items()},
    }
