"""An evaluation of a self-destructing codec as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from miscomp.report.summary import Mean
from miscomp.report.wording import number, one_line
from miscomp.secure.evaluation import Coding, Group, SecureEvaluation, published_of
from miscomp.secure.published import SOURCE, WARNING
from miscomp.secure.trials import CODED, UNCODED

_LEGEND = (
    "Figures compare what was compressed again with what came out; lower is more destroyed, for lost blocks higher.",
    "normalised: after each of the two was stretched to the full range. fitted: after the best affine fit of each",
    "channel; over flat: that less what a flat colour reaches. correlation: mean absolute local correlation, 0 to 1.",
    "lost: blocks of 16 x 16 pixels below 15 dB; least: of the picture that lost fewest, since a mean hides patches",
    "that survive. best kept: the highest PSNR of a picture. Brackets: 95 % intervals over images (bootstrap).",
    "control: the same edits of the pictures before the codec ever saw them; they should survive.",
)


def evaluation_text(evaluation: SecureEvaluation) -> str:
    """The first compression and its cost, what is left after each edit, and what was published."""
    parts = []
    if evaluation.coding is not None:
        parts.append("\n".join(_coding_lines(evaluation.coding, evaluation)))
        parts.append("\n".join([*_table(_trial_rows(evaluation)), *_LEGEND]))
    if evaluation.published:
        parts.append("\n".join(_published_lines(evaluation)))
    parts += map(one_line, evaluation.notes)
    return "\n\n".join(parts) + "\n"


def _coding_lines(coding: Coding, evaluation: SecureEvaluation) -> list[str]:
    control = evaluation.find(UNCODED)
    similar = "" if coding.ms_ssim is None else f", MS-SSIM {_mean(coding.ms_ssim, 4)}"
    lines = [
        f"{one_line(coding.codec)}, first compression, means over {len(evaluation.results)} image(s): "
        f"{_mean(coding.bpp, 3)} real bpp, PSNR {_mean(coding.psnr_db, 2)} dB{similar}"
    ]
    if coding.base is not None and coding.rate_percent is not None:
        lines.append(
            f"base {one_line(coding.base)}: {_mean(coding.base_bpp, 3)} real bpp, PSNR {_mean(coding.base_psnr_db, 2)} "
            f"dB; the codec's rate differs by {_mean(coding.rate_percent, 1, sign='+')} %"
        )
    if coding.same_rate_psnr_db is not None:
        lines.append(
            f"base at the codec's rate ({coding.same_rate_psnr_db.n} image(s)): PSNR "
            f"{_mean(coding.same_rate_base_psnr_db, 2)} dB; the codec's differs by "
            f"{_mean(coding.same_rate_psnr_db, 2, sign='+')} dB"
        )
    for one in evaluation.comparisons:
        value = one.rate.reason if one.rate.value is None else f"{one.rate.value:+.1f} %"
        lines.append(f"BD-rate of {one.test} against {one.anchor} over the curve: {value}")
    if control is not None and (lost := control.means["lost"]) is not None:
        lines.append(f"blocks lost in the first compression itself: {100 * lost.value:.2f} %")
    return lines


def _trial_rows(evaluation: SecureEvaluation) -> list[tuple[str, ...]]:
    figures = ("PSNR dB", "best kept", "normalised", "fitted", "over flat", "correlation", "lost %", "least", "words")
    rows: list[tuple[str, ...]] = [("compressed again", "n", *figures, "control dB", "lost %")]
    for group in evaluation.groups:
        if group.picture == CODED:
            control = evaluation.find(UNCODED, group.edit) if group.as_asked else None
            rows.append((group.title, str(group.pictures), *_figures(group), *_control(control)))
    return rows


def _figures(group: Group) -> tuple[str, ...]:
    means = group.means
    return (
        _mean(means["psnr_db"], 2),
        number(group.highest_psnr[0]),
        _mean(means["normalised_psnr_db"], 2, interval=False),
        _mean(means["fitted_psnr_db"], 2, interval=False),
        _mean(means["over_flat_db"], 2, interval=False),
        _mean(means["local_correlation"], 3, interval=False),
        _percent(means["lost"]),
        "-" if group.least_lost is None else f"{100 * group.least_lost[0]:.1f}",
        "-" if group.words is None else f"{group.words_read_again} of {group.words}",
    )


def _control(control: Group | None) -> tuple[str, str]:
    if control is None:
        return "-", "-"
    return _mean(control.means["psnr_db"], 2, interval=False), _percent(control.means["lost"])


def _percent(mean: Mean | None) -> str:
    return "-" if mean is None else f"{100 * mean.value:.1f}"


def _published_lines(evaluation: SecureEvaluation) -> list[str]:
    coding, published = evaluation.coding, evaluation.published
    names = [one.name for one in published]
    ours = "-" if coding is None else number(coding.psnr_db.value)
    rows = [("PSNR dB", "here", "normalised", *names)]
    rows.append(("First compression to the original", ours, "-", *(number(one.psnr_db) for one in published)))
    for group in evaluation.groups:
        theirs = dict(published_of(group, published))
        if theirs:
            here = [_mean(group.means[name], 2, interval=False) for name in ("psnr_db", "normalised_psnr_db")]
            rows.append((group.title, *here, *(number(theirs.get(name)) for name in names)))
    return [f"Published ({SOURCE}):", *_table(rows), WARNING]


def _mean(mean: Mean | None, digits: int, *, interval: bool = True, sign: str = "") -> str:
    if mean is None:
        return "-"
    text = f"{mean.value:{sign}.{digits}f}"
    if mean.interval is None or not interval:
        return text
    return f"{text} [{mean.interval[0]:{sign}.{digits}f}, {mean.interval[1]:{sign}.{digits}f}]"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
