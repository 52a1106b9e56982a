"""What kind of change was annotated: categories and symbols (SCLIC 3.2; the taxonomy of WIFS 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from miscomp.records import Annotation
from miscomp.stats.counted import Counted, groups
from miscomp.stats.describe import by_photograph
from miscomp.stats.tabular import Cell, Column, StatTable
from miscomp.taxonomy import Category

_COLUMNS = (
    Column(key="model", title="Model"),
    Column(key="codec", title="Codec"),
    Column(key="rate", title="Rate"),
    Column(key="boxes", title="Boxes"),
    Column(key="without", title="Without category", about="Boxes that nobody has given a category"),
    *(
        Column(
            key=one.value.lower(),
            title=one.value.capitalize(),
            about=f"Share whose main category is {one.value}; n boxes with a category",
            unit="%",
            decimals=1,
        )
        for one in Category
    ),
    Column(
        key="symbol",
        title="Symbol",
        about="Share of all boxes marked as a symbol; n boxes. Unmarked can mean no symbol or not asked.",
        unit="%",
        decimals=1,
    ),
)
_NOTE = (
    "A box counts under the first of its categories. 95 % Wilson intervals, in which boxes of one photograph count as "
    "far as they vary like independent ones. Boxes without a category are in no share of categories: where few have "
    "one, the shares describe those few."
)


def kind_table(counted: Counted) -> StatTable:
    """Shares of categories and of symbols, by model."""
    boxes: dict[str, list[Annotation]] = {}
    for one in counted.material.annotations:
        boxes.setdefault(one.model, []).append(one)
    rows = tuple(
        {
            "model": Cell(value=group.model),
            "codec": Cell(value=group.codec),
            "rate": Cell(value=group.rate),
            **_shares([one for name in sorted(group.models) for one in boxes.get(name, ())]),
        }
        for group in groups(counted.material)
    )
    title, note = "Categories and symbols by model", f"{counted.note} {_NOTE}"
    return StatTable(name="categories", title=title, note=note, columns=_COLUMNS, rows=rows)


def _shares(boxes: Sequence[Annotation]) -> Mapping[str, Cell]:
    main = [(one.image_sha1, one.categories[0]) for one in boxes if one.category]
    return {
        "boxes": Cell(value=len(boxes)),
        "without": Cell(value=len(boxes) - len(main)),
        **{
            wanted.value.lower(): by_photograph([(sha1, found == wanted) for sha1, found in main])
            for wanted in Category
        },
        "symbol": by_photograph([(one.image_sha1, one.symbol) for one in boxes]),
    }
