"""All scores of one detector, and how it compares with the baselines. `docs/scores.md` defines each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.bootstrap import UNDEFINED, Figure, figure
from miscomp.benchmark.figures import (
    TARGET_RECALL,
    false_alarms,
    negatives_hit,
    overall_precision,
    ratio,
    recall_at,
    recall_by_score,
    recall_of,
    roc_area,
    thresholds,
)
from miscomp.benchmark.groups import Controls, Group, Negatives, by_control, by_group, by_negative
from miscomp.benchmark.hits import Categories, ScoreBin, categories_of, score_bins
from miscomp.benchmark.matching import Floats, Verdict
from miscomp.benchmark.store import Found
from miscomp.benchmark.tally import Tally
from miscomp.records import ModelRow

COUNTS = (1, 3, 10)
"""Findings of each pair at which recall is told."""

STEPS = tuple(k / 20 for k in range(21))
"""Scores of the table of false alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """What a score means: false alarms on controls, and recall, when everything from it on is shown."""

    score: float
    false_alarms: Figure
    """Per megapixel of controls."""
    recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Megapixels a second, over pairs."""

    median: float
    slowest: float
    """Of the tenth of pairs that took longest, the fastest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Everything about one detector."""

    name: str
    version: str
    description: str
    baseline: bool
    average_precision: Figure
    strict_average_precision: Figure
    recall_at: Mapping[int, Figure]
    threshold: float | None
    """Score from which recall is `reached`; none where nothing is hit."""
    reached: Figure
    """`TARGET_RECALL` or just above, else the highest recall of any score."""
    false_alarms: Figure
    """Per megapixel of controls, at the threshold of each resample."""
    roc_area: Figure
    verdicts: Mapping[str, int]
    """How many findings hit, are false, lie where nothing is known, lie in controls."""
    groups: tuple[Group, ...]
    negatives: tuple[Negatives, ...]
    controls: tuple[Controls, ...]
    categories: Categories
    calibration: tuple[ScoreBin, ...]
    score_table: tuple[ScoreRow, ...]
    speed: Speed | None
    warnings: Mapping[str, int]
    """What the detector warned of, and in how many pairs."""

    @property
    def reached_target(self) -> bool:
        """Whether the threshold is the one that was aimed at."""
        return self.reached.value is not None and self.reached.value >= TARGET_RECALL - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalScores:
    """One detector on known words that only a codec changed. Their truth is a reading: kind to detectors that read."""

    labels: int
    negatives: int
    sources: int
    average_precision: Figure
    recall: Figure
    """At the detector's threshold on all other pairs."""
    negatives_hit: Figure
    """Share of the words that read the same which it hits from that threshold on."""


def score_natural(tally: Tally, draws: Floats, threshold: float | None) -> NaturalScores:
    """Figures over natural pairs alone; `threshold` is that of the other pairs."""
    cases = tally.cases
    sources = len(cases.sources)
    cut = np.nan if threshold is None else threshold
    every = np.ones(len(cases.negative_pair), dtype=np.bool_)
    return NaturalScores(
        labels=len(cases.label_pair),
        negatives=len(cases.negative_pair),
        sources=sources,
        average_precision=figure(overall_precision(tally, draws), sources),
        recall=figure(recall_of(tally, draws, tally.label_score >= cut), sources),
        negatives_hit=figure(negatives_hit(tally, draws, cut, every), sources),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A detector against the best of the baselines; ratios below 1 speak for the detector."""

    detector: str
    precision_baseline: str = ""
    """The baseline of the highest average precision; empty where there is none."""
    precision_ratio: Figure = UNDEFINED
    """1 - AP over that of the baseline."""
    alarms_baseline: str = ""
    """Among the baselines that reach `recall`, the one with fewest false alarms there; empty where none does."""
    recall: float | None = None
    """`TARGET_RECALL`, or the detector's highest where that is lower."""
    alarms_ratio: Figure = UNDEFINED
    """False alarms over those of that baseline, both at `recall`."""


def score_detector(
    tally: Tally,
    draws: Floats,
    found: Sequence[Sequence[Found]],
    *,
    models: Mapping[str, ModelRow],
    about: Mapping[str, str],
    baseline: bool,
    speed: Speed | None,
    warnings: Mapping[str, int],
) -> Scores:
    """Every figure of one detector; `found` are its findings by pair, `about` its name, version and description."""
    sources = len(tally.cases.sources)
    cuts = thresholds(tally, draws)
    threshold = None if np.isnan(cuts[0]) else float(cuts[0])
    cut = np.inf if threshold is None else threshold
    reached = figure(recall_of(tally, draws, tally.label_score >= cut), sources)
    return Scores(
        name=about["name"],
        version=about["version"],
        description=about["description"],
        baseline=baseline,
        average_precision=figure(overall_precision(tally, draws), sources),
        strict_average_precision=figure(overall_precision(tally, draws, strict=True), sources),
        recall_at={count: figure(recall_at(tally, draws, count), sources) for count in COUNTS},
        threshold=threshold,
        reached=reached,
        false_alarms=figure(false_alarms(tally, draws, cuts), sources),
        roc_area=figure(roc_area(tally, draws), sources),
        verdicts=_verdicts(tally),
        groups=by_group(tally, draws, cut, models),
        negatives=by_negative(tally, draws, np.nan if threshold is None else threshold),
        # Without a threshold there is nothing to count from, which is not the same as no false alarms.
        controls=by_control(tally, draws, np.nan if threshold is None else threshold),
        categories=categories_of(tally, found, cut),
        calibration=score_bins(tally),
        score_table=_score_table(tally, draws),
        speed=speed,
        warnings=warnings,
    )


def _verdicts(tally: Tally) -> dict[str, int]:
    off = tally.finding_verdict[~tally.on_control]
    counts = {verdict.name.lower(): int((off == verdict).sum()) for verdict in Verdict}
    return counts | {"on_controls": int(tally.on_control.sum())}


def _score_table(tally: Tally, draws: Floats) -> tuple[ScoreRow, ...]:
    sources = len(tally.cases.sources)
    recalls = recall_by_score(tally, np.array(STEPS))
    return tuple(
        ScoreRow(
            score=score,
            false_alarms=figure(false_alarms(tally, draws, np.full(len(draws), score)), sources),
            recall=None if np.isnan(recall) else float(recall),
        )
        for score, recall in zip(STEPS, recalls, strict=True)
    )


def compare(name: str, tallies: Mapping[str, Tally], baselines: Sequence[str], draws: Floats) -> Comparison:
    """A detector against the best of the baselines, in the same resamples. The best is chosen once, on all pairs."""
    others = [other for other in baselines if other != name]
    tally = tallies[name]
    sources = len(tally.cases.sources)
    if not others or not len(tally.label_score):
        return Comparison(detector=name)
    errors = {one: 1 - overall_precision(tallies[one], draws) for one in (name, *others)}
    best = min(others, key=lambda other: errors[other][0])
    recall = min(TARGET_RECALL, float(np.isfinite(tally.label_score).mean()))
    alarms = _alarms({one: tallies[one] for one in (name, *others)}, draws, recall)
    able = [other for other in others if other in alarms]
    fewest = min(able, key=lambda other: alarms[other][0], default="")
    return Comparison(
        detector=name,
        precision_baseline=best,
        precision_ratio=figure(ratio(errors[name], errors[best]), sources),
        alarms_baseline=fewest,
        recall=recall if recall > 0 else None,
        alarms_ratio=figure(ratio(alarms[name], alarms[fewest]), sources) if fewest else UNDEFINED,
    )


def _alarms(tallies: Mapping[str, Tally], draws: Floats, recall: float) -> dict[str, Floats]:
    """False alarms of those that reach a recall above zero, where there are controls."""
    able = {name: t for name, t in tallies.items() if np.isfinite(t.label_score).mean() >= recall - 1e-9}
    alarms = {name: false_alarms(t, draws, thresholds(t, draws, recall)) for name, t in able.items() if recall > 0}
    return {name: values for name, values in alarms.items() if not np.isnan(values[0])}
