"""What detectors found, as suggestions to labelers: only where the settings switch them on, never in training.

Who is shown suggestions looks where they are, and less elsewhere. What was shown is recorded, and
`annotate.suggestion_use` counts what was made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from miscomp.annotate.findings import Told, read_findings
from miscomp.annotate.training import everybody
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Action, BatchKind, LabelEvent, new_uuid, now
from miscomp.corpus.imports.rows import annotation_uuid, values_of
from miscomp.corpus.imports.tables import Problem
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import LABEL_EVENT, add, fetch, within
from miscomp.errors import UsageError
from miscomp.records import Annotation
from miscomp.taxonomy import Origin

MOST_SHOWN = 200
"""Suggestions for a pair; the weakest of more are left out, as nobody looks at so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFindings:
    """What became of a report."""

    pairs: int
    """That the detectors looked at, as far as the report says."""
    added: int
    there: int
    """Boxes that stood already."""
    superseded: int
    """Boxes of the same detector on the same pairs that the report does not have any more."""
    problems: Sequence[Problem]
    """Rows that were not taken; the pairs that they are of were left as they are."""


def suggestions_of(
    connection: Connection, config: Config, image_sha1: str, model: str, *, kind: BatchKind = BatchKind.NORMAL
) -> list[LabelEvent]:
    """Boxes of detectors that stand on a pair, the best score first; none unless switched on, and none in training."""
    if not config.annotate.suggestions or kind == BatchKind.TRAINING:
        return []
    event = LABEL_EVENT.c
    here = (event.image_sha1 == image_sha1, event.model == model, event.origin == Origin.DETECTOR.value)
    found = current_labels(connection, *here)
    found.sort(key=lambda one: (-(one.score or 0.0), one.labeler, one.y, one.x, one.h, one.w, one.uuid))
    return found[:MOST_SHOWN]


def take_findings(corpus: Corpus, sources: Sequence[Path], *, detector: str = "", model: str = "") -> TakenFindings:
    """Put what detectors found into a corpus, from folders of audits or tables of boxes, and keep what people drew.

    For every pair that a detector looked at, what it found before is superseded; taking the same again changes nothing.
    `detector` and `model` stand above what the rows say. The corpus must be `owned`. Raises `UsageError` for a detector
    that is called as a person is, and what `read_findings` raises.
    """
    with corpus.writing() as connection:
        findings = read_findings(connection, sources, detector=detector, model=model)
        names = sorted({name for _, name in findings.found})
        _check_names(connection, corpus.config, names)
        events, there = _changes(connection, findings.found, names)
        add(connection, events)
    added = sum(one.action == Action.ADD for one in events)
    return TakenFindings(
        pairs=len({pair for pair, _ in findings.found}),
        added=added,
        there=there,
        superseded=len(events) - added,
        problems=findings.problems,
    )


def _check_names(connection: Connection, config: Config, names: Sequence[str]) -> None:
    people = {*everybody(connection, config)}
    event = LABEL_EVENT.c
    drew = fetch(connection, LabelEvent, within(event.labeler, names), event.origin != Origin.DETECTOR.value)
    if both := sorted(people.union(one.labeler for one in drew).intersection(names)):
        raise UsageError(f"{', '.join(both)} is a person in this corpus; give the detector a name with --detector")


def _changes(
    connection: Connection, found: Mapping[Told, Sequence[Annotation]], names: Sequence[str]
) -> tuple[list[LabelEvent], int]:
    """The events that make standing boxes of detectors those that were found, and how many stand already."""
    theirs = (LABEL_EVENT.c.origin == Origin.DETECTOR.value, within(LABEL_EVENT.c.labeler, names))
    known = {one.uuid for one in fetch(connection, LabelEvent, *theirs)}
    standing: defaultdict[Told, list[LabelEvent]] = defaultdict(list)
    for event in current_labels(connection, *theirs):
        standing[(event.image_sha1, event.model), event.labeler].append(event)
    time, there = now(), 0
    events = []
    for told, boxes in found.items():
        wanted = {tuple(values_of(one).values()): one for one in boxes}
        for old in standing[told]:
            if wanted.pop(tuple(values_of(old.annotation).values()), None):
                there += 1
            else:
                gone = replace(old, uuid=new_uuid(), action=Action.DELETE.value, replaces=old.uuid, time=time)
                events.append(gone)
        for one in wanted.values():
            # As an import would call it, so that either knows what the other took in; what comes back is a new event.
            name = annotation_uuid(one)
            uuid = new_uuid() if name in known else name
            events.append(LabelEvent(uuid=uuid, action=Action.ADD.value, **values_of(one)))
    return events, there
