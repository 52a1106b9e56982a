"""How far the labelers are and how fast they go, for the supervisor. Training counts nowhere.

A pair is done when its labeler said so. Time is that in which something was done on the page: reading, thinking and
coffee are not in it, so that a working day holds less of it than its hours. Batches that were worked on as tables have
pairs and no time.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection

from miscomp.corpus.entries import Assignment, Batch, BatchItem, BatchKind, Seen, SourceImage, Visit
from miscomp.corpus.labels import counts, current_labels
from miscomp.corpus.schema import BATCH, IMAGE, ITEM, SEEN, VISIT, fetch, within
from miscomp.taxonomy import Origin

_Done = tuple[str, str, str]
"""Batch, SHA-1 and model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was done on a day (UTC)."""

    day: str
    """`2025-10-27`."""
    pairs: int
    """Done for the first time."""
    active_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A labeler's, or all labelers' together (a pair that two are to look at then counts twice)."""

    labeler: str
    """Empty for all."""
    batches: int
    batches_done: int
    pairs: int
    """Assigned."""
    pairs_done: int
    boxes: int
    """That stand, of batches or drawn without one."""
    active_s: float
    """Seconds of work, on pairs that are done and on others."""
    pairs_per_hour: float | None
    """Of work, over pairs that are done and timed; none before the first."""
    median_s: float | None
    """Seconds of work per such pair, the median."""
    timed: int
    """How many these are."""
    days: tuple[Day, ...]
    """On which something was done, in order."""
    hours_left: float | None
    """An estimate: pairs left times the mean seconds per pair so far; none where nothing was timed, 0 when done."""
    days_left: int | None
    """An estimate: pairs left by the median pairs of a day on which any were done; none before the first such day."""

    @property
    def pairs_left(self) -> int:
        """Assigned and not done."""
        return self.pairs - self.pairs_done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one labeler was given and did."""

    labeler: str
    batches: Sequence[Batch]
    seen: Sequence[Seen]
    visits: Sequence[Visit]
    boxes: int
    removed: Collection[str]
    """Photographs whose pixels were removed: their pairs are neither to do nor done."""


def progress(connection: Connection) -> tuple[Progress, tuple[Progress, ...]]:
    """All labelers together, and each by name: everybody who was given a batch, or worked in one."""
    removed = {one.image_sha1 for one in fetch(connection, SourceImage, IMAGE.c.removed != "")}
    gone = Counter(one.batch for one in fetch(connection, BatchItem, within(ITEM.c.image_sha1, sorted(removed))))
    work_batches = fetch(connection, Batch, BATCH.c.kind != BatchKind.TRAINING.value)
    batches = {one.batch: replace(one, size=one.size - gone[one.batch]) for one in work_batches}
    given: defaultdict[str, list[Batch]] = defaultdict(list)
    for one in fetch(connection, Assignment):
        if one.batch in batches:
            given[one.labeler].append(batches[one.batch])
    seen: defaultdict[str, list[Seen]] = defaultdict(list)
    for view in fetch(connection, Seen, counts(SEEN.c.batch)):
        # What was imported was looked at elsewhere.
        if view.batch in batches:
            seen[view.labeler].append(view)
    visits: defaultdict[str, list[Visit]] = defaultdict(list)
    for visit in fetch(connection, Visit, counts(VISIT.c.batch)):
        visits[visit.labeler].append(visit)
    drawn = Counter(one.labeler for one in current_labels(connection) if one.origin != Origin.DETECTOR)
    work = [
        _Work(
            labeler=name,
            batches=given[name],
            seen=seen[name],
            visits=visits[name],
            boxes=drawn[name],
            removed=removed,
        )
        for name in sorted({*given, *seen, *visits})
    ]
    return _together(work), tuple(_progress(one) for one in work)


def _together(work: Iterable[_Work]) -> Progress:
    every = list(work)
    each = [_progress(one) for one in every]
    spent = [seconds for one in every for seconds in _spent(one)]
    left = [one.days_left for one in each if one.pairs_left]
    known = [one.hours_left for one in each if one.hours_left is not None]
    return Progress(
        labeler="",
        batches=sum(one.batches for one in each),
        batches_done=sum(one.batches_done for one in each),
        pairs=sum(one.pairs for one in each),
        pairs_done=sum(one.pairs_done for one in each),
        boxes=sum(one.boxes for one in each),
        active_s=sum(one.active_s for one in each),
        pairs_per_hour=_per_hour(spent),
        median_s=statistics.median(spent) if spent else None,
        timed=len(spent),
        days=_days([view for one in every for view in one.seen], [visit for one in every for visit in one.visits]),
        # Whoever has not begun has no pace: nobody's estimate is then everybody's.
        hours_left=sum(known) if len(known) == len(each) else None,
        days_left=None if None in left else max((one for one in left if one is not None), default=0),
    )


def _progress(work: _Work) -> Progress:
    done = {_key(one) for one in work.seen if one.image_sha1 not in work.removed}
    of_batch = Counter(batch for batch, _, _ in done)
    pairs = sum(one.size for one in work.batches)
    pairs_done = sum(min(of_batch[one.batch], one.size) for one in work.batches)
    spent = _spent(work)
    days = _days(work.seen, work.visits)
    pace = [one.pairs for one in days if one.pairs]
    left = pairs - pairs_done
    return Progress(
        labeler=work.labeler,
        batches=len(work.batches),
        batches_done=sum(of_batch[one.batch] >= one.size for one in work.batches),
        pairs=pairs,
        pairs_done=pairs_done,
        boxes=work.boxes,
        active_s=sum(one.active_s for one in work.visits),
        pairs_per_hour=_per_hour(spent),
        median_s=statistics.median(spent) if spent else None,
        timed=len(spent),
        days=days,
        hours_left=left * statistics.fmean(spent) / 3600 if spent else None if left else 0.0,
        days_left=-int(-left // statistics.median(pace)) if pace else None if left else 0,
    )


def _key(one: Seen | Visit) -> _Done:
    return (one.batch, one.image_sha1, one.model)


def _spent(work: _Work) -> list[float]:
    """Seconds of work per pair that is done; of pairs without any visit nothing is known."""
    seconds: defaultdict[_Done, float] = defaultdict(float)
    for one in work.visits:
        seconds[_key(one)] += one.active_s
    return [seconds[key] for key in sorted({_key(one) for one in work.seen} & seconds.keys())]


def _per_hour(spent: Sequence[float]) -> float | None:
    return 3600 * len(spent) / sum(spent) if sum(spent) > 0 else None


def _days(seen: Sequence[Seen], visits: Sequence[Visit]) -> tuple[Day, ...]:
    pairs = Counter(one.closed[:10] for one in seen if one.closed)
    active: defaultdict[str, float] = defaultdict(float)
    for one in visits:
        active[one.closed[:10]] += one.active_s
    known = [day for day in sorted({*pairs, *active}) if _is_day(day)]
    return tuple(Day(day=day, pairs=pairs[day], active_s=active[day]) for day in known)


def _is_day(text: str) -> bool:
    """Imported views may have no time."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
