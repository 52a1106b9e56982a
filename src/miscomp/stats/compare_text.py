"""A comparison of codecs as a table and in sentences: what the data support, and what they do not."""

from __future__ import annotations

from miscomp.stats.compare import Common, Comparison, ComparisonRow
from miscomp.stats.resample import FEW
from miscomp.stats.tabular import Cell, Column, StatTable

LEVEL = 0.05
"""Corrected p-values below it are called a difference."""
_POINTS = 100
_WORDING = {
    "annotated": ("a labeler finds something more often", " percentage points", _POINTS),
    "boxes": ("there are more boxes a picture", "", 1),
    "area": ("a larger part of the picture is annotated", " percentage points", _POINTS),
}
_SUBJECT = {
    "annotated": "how often a labeler finds something",
    "boxes": "boxes a picture",
    "area": "the annotated part of the picture",
}
_STANDING = (
    "Every codec here is one training at a few settings, and differs from the others in more than its architecture: "
    "nothing here compares architectures.",
    "Each row is about the photographs that both of its codecs have, which are others in each row: rows do not chain, "
    "and no ranking follows.",
    "Between a codec's rates the outcome is taken to be linear in the logarithm of the rate. The further apart the "
    "rates of a codec, the more that assumption decides.",
    "Photographs that a codec did not bring to both sides of the target are left out. They are not like the others.",
)


def sentence(row: ComparisonRow) -> str:
    """What the data say on one outcome of two codecs, in words."""
    common = row.common
    pair = f"{common.first} and {common.second}"
    if not common.photographs:
        why = (
            f"{common.outside} have both, but one of the two does not reach that rate from below and from above"
            if common.outside
            else "no photograph has been seen of both"
        )
        return f"Nothing can be said of {pair} at {common.target:g} bpp: {why}."
    text = f"{_verdict(row)} {_labelers(common)}"
    if common.photographs < FEW:
        text += f" {_photographs(common.photographs).capitalize()}: so few decide nothing."
    return text


def _verdict(row: ComparisonRow) -> str:
    common, value = row.common, row.difference.value or 0.0
    on = f"On {_photographs(common.photographs)} at {common.target:g} bpp"
    words, unit, scale = _WORDING[row.outcome]
    if row.p_holm is None or row.p_holm >= LEVEL or common.photographs < FEW:
        measured = f"{_number(value * scale, sign=True)}{unit} ({_evidence(row, scale, turned=False)})"
        return (
            f"{on}, these data do not tell {common.first} from {common.second} by {_SUBJECT[row.outcome]}: "
            f"{common.first} minus {common.second} is {measured}. That does not show that they are alike."
        )
    more, less = (common.first, common.second) if value > 0 else (common.second, common.first)
    by = f"{_number(abs(value) * scale)}{unit} ({_evidence(row, scale, turned=value < 0)})"
    return f"{on}, {words} with {more} than with {less}, by {by}."


def _photographs(count: int) -> str:
    return "1 photograph" if count == 1 else f"{count} photographs"


def _evidence(row: ComparisonRow, scale: float, *, turned: bool) -> str:
    low, high = row.difference.interval or (None, None)
    if low is None or high is None:
        interval = "no interval"
    else:
        ends = sorted((-low, -high)) if turned else (low, high)
        interval = " to ".join(_number(end * scale) for end in ends)
        interval = f"95 % {interval}"
    return f"{interval}, Holm p {_p(row.p_holm)}"


def _number(value: float, *, sign: bool = False) -> str:
    """Two decimals, or two digits of what would vanish so."""
    text = f"{value:.2f}" if value == 0 or abs(value) >= 0.005 else f"{value:.2g}"
    return f"+{text}" if sign and value > 0 else text


def _p(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _labelers(common: Common) -> str:
    if common.same_labelers == 1:
        return "The same people saw both in every one of them."
    share, overlap = common.same_labelers or 0.0, common.overlap or 0.0
    return (
        f"The same people saw both in {100 * share:.0f} % of them, and the labelers' shares of the views overlap by "
        f"{100 * overlap:.0f} %: labelers can make such a difference, and hide one."
    )


def cautions(comparison: Comparison) -> tuple[str, ...]:
    """What a reader of any row must know, what always holds first."""
    found = list(_STANDING)
    some = [row.common for row in comparison.rows if row.common.photographs]
    if any((one.same_labelers or 0) < 1 for one in some):
        found.append(
            "Labelers differ in how much they find. Where different people saw the two codecs, their difference and "
            "the codecs' cannot be told apart."
        )
    if any(row.common.alone for row in comparison.rows):
        found.append("Not every photograph was seen of every codec: a codec's photographs are not all codecs'.")
    if not comparison.views_known:
        found.append(
            "Nothing says who has seen what. Everybody counts as having seen every image, which makes shares and "
            "boxes smaller than they were."
        )
    if comparison.tests / (comparison.resamples + 1) >= LEVEL:
        found.append(
            f"With {comparison.resamples} resamples and {comparison.tests} tests no corrected p-value can be below "
            f"{LEVEL:g}: ask for more resamples, or compare less."
        )
    left_out = ((comparison.unseen, "that nobody has seen"), (comparison.without_rate, "of unknown rate"))
    found += [f"{count} reconstruction(s) {what} are left out." for count, what in left_out if count]
    return tuple(found)


def comparison_table(comparison: Comparison) -> StatTable:
    """One row for every two codecs, target and outcome; rows about no photograph are kept, and say so."""
    return StatTable(
        name="comparison",
        title="Codecs on the same photographs at the same rate",
        note="Mean over photographs of the first codec's outcome minus the second's, both interpolated to the target "
        "rate between reconstructions of the same photograph; nothing is extrapolated. Outcomes are per labeler who "
        f"saw the reconstruction. Intervals (95 %) draw photographs with replacement; p from {comparison.resamples} "
        "random flips of the differences' signs, and corrected (Holm) for all "
        f"{comparison.tests} tests in this table; such p are too small where a few photographs make most of the "
        "difference. " + " ".join(cautions(comparison)),
        columns=_COLUMNS,
        rows=tuple(_row(row) for row in comparison.rows),
    )


_COLUMNS = (
    Column(key="first", title="codec"),
    Column(key="second", title="and"),
    Column(key="target_bpp", title="at", unit="bpp", decimals=2),
    Column(
        key="outcome",
        title="outcome",
        about="annotated: share of those who saw it that drew a box. boxes: boxes a labeler. area: share of pixels "
        "under any box of a labeler. Means over those who saw it; shares lie in 0 to 1.",
    ),
    Column(key="photographs", title="photographs", about="Common to both codecs at the target rate."),
    Column(key="outside", title="outside", about="Seen of both, but the target is not between the rates of one."),
    Column(key="alone", title="of one only", about="Photographs seen of one of the two codecs alone."),
    Column(key="rates_first", title="its rates", about="Geometric mean of the rates on either side.", unit="bpp"),
    Column(key="rates_second", title="the other's", about="The same of the second codec.", unit="bpp"),
    Column(key="mean_first", title="first", about="Mean over the photographs.", decimals=3),
    Column(key="mean_second", title="second", about="Mean over the photographs.", decimals=3),
    Column(key="difference", title="difference", about="First minus second; n counts photographs.", decimals=3),
    Column(key="more_first", title="more in first", about="Photographs in which the first has more."),
    Column(key="more_second", title="more in second", about="Photographs in which the second has more."),
    Column(key="p", title="p", about="Two-sided, uncorrected.", decimals=4),
    Column(key="p_holm", title="p (Holm)", about="Corrected for all tests in the table.", decimals=4),
    Column(
        key="same_labelers",
        title="same labelers",
        about="Share of the photographs in which the same people saw both.",
        unit="%",
    ),
    Column(key="overlap", title="overlap", about="What the labelers' shares of the views have in common.", unit="%"),
    Column(key="says", title="what the data say"),
)


def _row(row: ComparisonRow) -> dict[str, Cell]:
    common, n = row.common, row.common.photographs
    return {
        "first": Cell(value=common.first),
        "second": Cell(value=common.second),
        "target_bpp": Cell(value=common.target),
        "outcome": Cell(value=row.outcome),
        "photographs": Cell(value=n),
        "outside": Cell(value=common.outside),
        "alone": Cell(value=common.alone),
        "rates_first": Cell(value=_span(common.rates_first)),
        "rates_second": Cell(value=_span(common.rates_second)),
        "mean_first": Cell(value=row.mean_first, n=n),
        "mean_second": Cell(value=row.mean_second, n=n),
        "difference": Cell.of(row.difference, n),
        "more_first": Cell(value=row.more_first),
        "more_second": Cell(value=row.more_second),
        "p": Cell(value=row.p, n=n),
        "p_holm": Cell(value=row.p_holm, n=n),
        "same_labelers": Cell(value=common.same_labelers, n=n),
        "overlap": Cell(value=common.overlap, n=n),
        "says": Cell(value=sentence(row)),
    }


def _span(rates: tuple[float, float] | None) -> str | None:
    return None if rates is None else f"{rates[0]:.2f} to {rates[1]:.2f}"
