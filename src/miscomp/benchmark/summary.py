"""A benchmark as a record for machines and as a short table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from miscomp.benchmark.bootstrap import Figure
from miscomp.benchmark.curves import curves_of
from miscomp.benchmark.matching import HIGH_RATE_BPP
from miscomp.benchmark.scores import Comparison, NaturalScores, Scores
from miscomp.benchmark.store import Seen
from miscomp.benchmark.tally import Cases, Tally
from miscomp.records import Failure


@dataclass(frozen=True, kw_only=True, eq=False)
class Benchmark:
    """Detectors and how they did."""

    settings: Mapping[str, Any]
    cases: Cases
    """The pairs that every detector has seen; the figures are over these alone."""
    tallies: Mapping[str, Tally]
    """By the detector's name."""
    seen: Mapping[str, Sequence[Seen]]
    """By the detector's name, in the order of the cases' pairs."""
    scores: tuple[Scores, ...]
    comparisons: tuple[Comparison, ...]
    """One for each detector that is no baseline."""
    failures: tuple[Failure, ...]
    natural: Mapping[str, NaturalScores] = field(default_factory=dict)
    """By the detector's name: pairs with known words, which are in no other figure."""

    @property
    def counts(self) -> dict[str, float]:
        """What the figures are over."""
        cases = self.cases
        return {
            "pairs": len(cases.pairs),
            "sources": len(cases.sources),
            "labels": len(cases.label_pair),
            "negatives": len(cases.negative_pair),
            "controls": int(cases.control.sum()),
            "control_megapixels": float(cases.control_megapixels.sum()),
        }

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures must know about these pairs, in sentences."""
        counts, notes = self.counts, []
        if not counts["labels"]:
            notes.append("There are no labels: only false alarms can be told.")
        if not counts["controls"]:
            notes.append("There are no controls: false alarms per megapixel cannot be told.")
        if not counts["pairs"]:
            notes.append("No pair could be scored.")
        elif counts["sources"] < 2:
            notes.append("All pairs are of one photograph: there are no intervals.")
        unreached = [one.name for one in self.scores if one.threshold is not None and not one.reached_target]
        if unreached:
            notes.append(
                f"80 % recall is not reached by {', '.join(unreached)}: their false alarms are those at the highest "
                "recall that they reach, and are no match for others'."
            )
        if self.failures:
            notes.append(f"{len(self.failures)} pair(s) failed and are in no figure.")
        return notes


def record(benchmark: Benchmark) -> dict[str, Any]:
    """Everything, for a JSON file; null stands for undefined or without bound."""
    return {
        "settings": dict(benchmark.settings),
        "high_rate_bpp": HIGH_RATE_BPP,
        "counts": benchmark.counts,
        "notes": benchmark.notes,
        "detectors": [
            _plain(asdict(one)) | {"curves": curves_of(benchmark.tallies[one.name])} for one in benchmark.scores
        ],
        "natural": {name: _plain(asdict(one)) for name, one in benchmark.natural.items()},
        "comparisons": [_plain(asdict(one)) for one in benchmark.comparisons],
        "failures": [asdict(one) for one in benchmark.failures],
    }


def _plain(content: Any) -> Any:
    """Keys as texts, tuples as lists, and a figure's interval called what it is."""
    if isinstance(content, Mapping):
        if set(content) == {"value", "interval"}:
            interval = content["interval"]
            return {"value": content["value"], "interval_95": None if interval is None else list(interval)}
        return {str(key): _plain(value) for key, value in content.items()}
    return [_plain(one) for one in content] if isinstance(content, list | tuple) else content


def shown(figure: Figure, digits: int = 2, *, interval: bool = True) -> str:
    """A figure with its interval, such as `0.61 (0.55 to 0.66)`; a dash for undefined, a sign for without bound."""
    if figure.value is None:
        return "-"
    text = f"{figure.value:.{digits}f}"
    if figure.interval is None or not interval:
        return text
    low, high = ("∞" if end is None else f"{end:.{digits}f}" for end in figure.interval)
    return f"{text} ({low} to {high})"


def summary_text(benchmark: Benchmark) -> str:
    """A table with a line per detector, best first, then comparisons and notes."""
    head = (
        "detector",
        "AP (95 %)",
        "AP strict",
        "recall@1",
        "@3",
        "@10",
        "recall",
        "false/MP (95 %)",
        "ROC area",
        "MP/s",
    )
    ordered = sorted(benchmark.scores, key=lambda one: -(one.average_precision.value or 0))
    rows = [head, *(_row(one) for one in ordered)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = benchmark.counts
    lines.append(
        f"{counts['labels']} labels, {counts['negatives']} hard negatives, {counts['controls']} controls "
        f"({counts['control_megapixels']:.1f} MP), {counts['pairs']} pairs of {counts['sources']} photographs; "
        "intervals over photographs"
    )
    lines += [compared(one) for one in benchmark.comparisons]
    lines += [
        f"{name} on natural words, {one.labels} labels: AP {shown(one.average_precision)}, their truth is a reading"
        for name, one in benchmark.natural.items()
        if one.labels
    ]
    return "\n".join([*lines, *benchmark.notes]) + "\n"


def _row(one: Scores) -> tuple[str, ...]:
    return (
        one.name,
        shown(one.average_precision),
        shown(one.strict_average_precision, interval=False),
        *(shown(one.recall_at[count], interval=False) for count in one.recall_at),
        shown(one.reached, 3, interval=False),
        shown(one.false_alarms),
        shown(one.roc_area, interval=False),
        f"{one.speed.median:.2f}" if one.speed else "-",
    )


def compared(one: Comparison) -> str:
    """A comparison in one line."""
    parts = []
    if one.precision_baseline:
        parts.append(f"1 - AP is {shown(one.precision_ratio)} times that of {one.precision_baseline}")
    if one.alarms_baseline:
        parts.append(
            f"false alarms at {one.recall:.2f} recall are {shown(one.alarms_ratio)} times those of "
            f"{one.alarms_baseline}, the best baseline that reaches it"
        )
    elif one.recall is not None:
        parts.append(f"no baseline with controls to compare reaches its recall of {one.recall:.2f}")
    return f"{one.detector}: " + ("; ".join(parts) or "nothing to compare it with")
