"""Labels by kind, category, strength and size, and by the codec and rate of their pair."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.bootstrap import Figure, figure
from miscomp.benchmark.figures import average_precision, false_alarms, negatives_hit, recall_of
from miscomp.benchmark.matching import Flags, Floats, Verdict
from miscomp.benchmark.tally import Cases, Tally
from miscomp.pairset import LabelledPair
from miscomp.records import Annotation, ModelRow

SIZES = (12, 24, 48, 96)
"""Borders of the bins of size: the root of a label's area, in pixels."""
RATES = (0.15, 0.3, 0.5, 0.75)
"""Borders of the bins of real rate, in bits per pixel."""
STRENGTHS = (0.25, 0.5, 0.75)
"""Borders of the bins of strength, each belonging to the bin below it."""

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """How a detector did on the labels of one group."""

    by: str
    name: str
    labels: int
    sources: int
    recall: Figure
    """At the threshold of all labels."""
    average_precision: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Negatives:
    """How a detector did on the hard negatives of one kind; `all` for every one."""

    kind: str
    count: int
    hit: Figure
    """Share hit by findings of at least the threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """How a detector did on the controls of one model."""

    model: str
    pairs: int
    megapixels: float
    false_alarms: Figure
    """Per megapixel, at the threshold."""


Namer = Callable[[LabelledPair, Annotation | None], str]


def _binned(value: float, borders: Sequence[float], unit: str = "") -> str:
    k = bisect_right(borders, value)
    if k == 0:
        return f"below {borders[0]:g}{unit}"
    if k == len(borders):
        return f"{borders[-1]:g}{unit} and more"
    return f"{borders[k - 1]:g} to {borders[k]:g}{unit}"


def _kind(pair: LabelledPair, label: Annotation | None) -> str:
    plant = pair.plants.get(label.id) if label else None
    return plant.kind if plant else UNKNOWN


def _category(pair: LabelledPair, label: Annotation | None) -> str:
    return label.categories[0].value if label and label.categories else UNKNOWN


def _strength(pair: LabelledPair, label: Annotation | None) -> str:
    plant = pair.plants.get(label.id) if label else None
    if plant is None:
        return UNKNOWN
    top = next((border for border in STRENGTHS if plant.strength <= border), 1.0)
    return f"up to {top:g}"


def _size(pair: LabelledPair, label: Annotation | None) -> str:
    return _binned(math.sqrt(label.box.area), SIZES, " px") if label else UNKNOWN


def _rate(pair: LabelledPair, label: Annotation | None) -> str:
    return UNKNOWN if pair.row.bpp is None else _binned(pair.row.bpp, RATES, " bpp")


def namers(models: Mapping[str, ModelRow]) -> dict[str, Namer]:
    """By what labels are grouped, and the name of a label's group."""

    def codec(pair: LabelledPair, label: Annotation | None) -> str:
        row = models.get(pair.row.model)
        return row.codec if row else pair.row.model

    return {
        "kind": _kind,
        "category": _category,
        "strength": _strength,
        "size": _size,
        "codec": codec,
        "rate": _rate,
    }


_OF_PAIRS = ("codec", "rate")
"""Groups that pairs belong to whole, so that their findings do too."""


def _order(by: str, name: str) -> tuple[bool, int, str]:
    """Bins in rising order, names by the alphabet, the unknown last."""
    borders = {"size": SIZES, "rate": RATES}.get(by, ())
    unit = {"size": " px", "rate": " bpp"}.get(by, "")
    bins = [_binned(value, borders, unit) for value in (0.0, *borders)] if borders else []
    return name == UNKNOWN, bins.index(name) if name in bins else 0, name


def by_group(tally: Tally, draws: Floats, threshold: float, models: Mapping[str, ModelRow]) -> tuple[Group, ...]:
    """Every group of every grouping; a grouping in which all is unknown is left out."""
    cases = tally.cases
    labels = [(pair, label) for pair in cases.pairs for label in pair.labels]
    hit = tally.label_score >= threshold
    found = []
    for by, namer in namers(models).items():
        names = np.array([namer(*one) for one in labels], dtype=np.str_)
        # A rate or a codec is the pair's: those without labels belong to a group too.
        wholes = [namer(pair, None) for pair in cases.pairs] if by in _OF_PAIRS else []
        different = sorted(set(names.tolist()), key=lambda name: _order(by, name))
        for name in different if different != [UNKNOWN] else ():
            member: Flags = names == name
            sources = len(np.unique(cases.label_source[member]))
            within: Flags | None = np.array([one == name for one in wholes]) if wholes else None
            precision = float(_precision(tally, draws[:1], member, within=within)[0])
            recall = figure(recall_of(tally, draws, hit, member), sources)
            found.append(
                Group(
                    by=by,
                    name=name,
                    labels=int(member.sum()),
                    sources=sources,
                    recall=recall,
                    average_precision=precision,
                )
            )
    return tuple(found)


def _precision(tally: Tally, draws: Floats, member: Flags, *, within: Flags | None) -> Floats:
    """Average precision on the labels of a group; hits of other labels are left out.

    The false findings are those of the pairs `within`, whether they have labels or not, else all of them.
    """
    cases = tally.cases
    hit = tally.finding_verdict == Verdict.HIT
    hit[hit] = member[tally.finding_label[hit]]
    false = (tally.finding_verdict == Verdict.FALSE) & ~tally.on_control
    if within is not None:
        false &= within[tally.finding_pair]
    labels = cases.per_source(cases.label_pair[member])
    return average_precision(tally.finding_score, tally.finding_source, draws, hit=hit, false=false, labels=labels)


def by_negative(tally: Tally, draws: Floats, threshold: float) -> tuple[Negatives, ...]:
    """All hard negatives, then each kind; nothing where there are none."""
    pairs = tally.cases.pairs
    kinds = np.array([_kind(pair, one) for pair in pairs for one in pair.negatives], dtype=np.str_)
    if not len(kinds):
        return ()
    found = []
    for kind in ("all", *sorted(set(kinds.tolist()))):
        member: Flags = np.ones(len(kinds), dtype=np.bool_) if kind == "all" else kinds == kind
        sources = len(np.unique(tally.cases.pair_source[tally.cases.negative_pair[member]]))
        hit = figure(negatives_hit(tally, draws, threshold, member), sources)
        found.append(Negatives(kind=kind, count=int(member.sum()), hit=hit))
    return tuple(found)


def by_control(tally: Tally, draws: Floats, threshold: float) -> tuple[Controls, ...]:
    """Each model of the controls, in the order of the pairs."""
    cases: Cases = tally.cases
    models = np.array([pair.row.model for pair in cases.pairs], dtype=np.str_)
    sizes = np.array([pair.row.width * pair.row.height / 1e6 for pair in cases.pairs])
    found = []
    for model in dict.fromkeys(models[cases.control == 1].tolist()):
        member: Flags = (models == model) & (cases.control == 1)
        values = false_alarms(tally, draws, np.full(len(draws), threshold), member)
        sources = len(np.unique(cases.pair_source[member]))
        found.append(
            Controls(
                model=model,
                pairs=int(member.sum()),
                megapixels=float(sizes[member].sum()),
                false_alarms=figure(values, sources),
            )
        )
    return tuple(found)
