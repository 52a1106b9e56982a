"""The part of a corpus' inventory that labelers make: batches, who did what, boxes. Training counts nowhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from miscomp.corpus.entries import Action, Assignment, Batch, BatchKind
from miscomp.corpus.labels import counts, current_flags
from miscomp.corpus.manifest_form import BatchCount, LabelCount, LabelerCount
from miscomp.corpus.schema import ASSIGNMENT, LABEL_EVENT, SEEN, fetch


def count_rows(connection: Connection, asked: Any) -> dict[str, int]:
    """What a query for names and numbers of rows finds."""
    return {name: number for name, number in connection.execute(asked)}


def count_batches(connection: Connection, batches: Sequence[Batch]) -> BatchCount:
    """Batches for labeling."""
    given = set(connection.execute(select(ASSIGNMENT.c.batch).distinct()).scalars())
    return BatchCount(
        batches=len(batches),
        agreement=sum(one.kind == BatchKind.AGREEMENT for one in batches),
        pairs=sum(one.size for one in batches),
        unassigned=sum(one.batch not in given for one in batches),
    )


def count_labelers(connection: Connection, batches: Iterable[Batch]) -> tuple[LabelerCount, ...]:
    """What every labeler was given of these batches, and saw in all."""
    known = {one.batch: one for one in batches}
    shares: defaultdict[str, list[Batch]] = defaultdict(list)
    for one in fetch(connection, Assignment):
        shares[one.labeler] += [known[one.batch]] if one.batch in known else []
    pairs = select(SEEN.c.labeler, SEEN.c.image_sha1, SEEN.c.model).where(counts(SEEN.c.batch)).distinct().subquery()
    seen = count_rows(connection, select(pairs.c.labeler, func.count()).select_from(pairs).group_by(pairs.c.labeler))
    return tuple(
        LabelerCount(
            labeler=labeler,
            batches=len(shares[labeler]),
            pairs=sum(one.size for one in shares[labeler]),
            agreement_batches=sum(one.kind == BatchKind.AGREEMENT for one in shares[labeler]),
            seen=seen.get(labeler, 0),
        )
        for labeler in sorted({*shares, *seen})
    )


def count_labels(connection: Connection) -> tuple[tuple[LabelCount, ...], int]:
    """As `labels.current_labels` and `multi_pairs` would have it, without making a record of every event."""
    event = LABEL_EVENT.c
    superseded = select(event.replaces).where(event.replaces != "")
    asked = select(event.labeler, event.origin, event.image_sha1, event.model, event.multi)
    stands = (event.action != Action.DELETE.value, event.uuid.not_in(superseded), counts(event.batch))
    standing = connection.execute(asked.where(*stands)).all()
    boxes = Counter((row.labeler, row.origin) for row in standing)
    pairs = Counter((who, origin) for who, origin, _, _ in {tuple(row)[:4] for row in standing})
    multi = {(sha1, model) for (sha1, model, _), flag in current_flags(connection).items() if flag.multi}
    multi |= {(row.image_sha1, row.model) for row in standing if row.multi}
    found = tuple(
        LabelCount(labeler=who, origin=origin, boxes=boxes[who, origin], pairs=pairs[who, origin])
        for who, origin in sorted(boxes)
    )
    return found, len(multi)
