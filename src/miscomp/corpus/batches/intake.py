"""Take in what labelers wrote into the tables of their batch folders.

A batch is taken in whole or not at all. Taking it in again brings the database to what the tables say now: boxes that
vanished are deleted by a new event, nothing is lost.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, and_, select

from miscomp.corpus.batches.answers import Answer, Known, read_batch_files
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Action, Assignment, LabelEvent, MultiFlag, Seen, new_uuid, now
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import ASSIGNMENT, ITEM, LABEL_EVENT, MULTI_FLAG, RECONSTRUCTION, SEEN, add, fetch, within
from miscomp.errors import InputError
from miscomp.records import Box, display_id
from miscomp.taxonomy import Origin

_BATCH_NAME = re.compile(r"b\d+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a batch brought."""

    batch: str
    pairs: int
    seen: int
    boxes: int
    added: int = 0
    changed: int = 0
    deleted: int = 0
    flags: int = 0
    """New words on multi-miscompressions."""


def take_batch_files(corpus: Corpus, folder: Path, labeler: str) -> tuple[list[Taken], list[str]]:
    """Take in every batch folder of a labeler: what each brought, and what is wrong with those that were not taken.

    `folder` is the one that was given to `write_batch_files`. Raises `InputError` where it has none of this labeler.
    """
    place = folder / labeler
    try:
        batches = sorted(path for path in place.iterdir() if path.is_dir() and _BATCH_NAME.fullmatch(path.name))
    except OSError as error:
        raise InputError(
            place,
            f"cannot be read as the batches of {labeler} ({error.strerror}); give the folder that --files was given, "
            "which has one per labeler, and the labeler's name as there",
        ) from error
    taken, problems = [], []
    for path in batches:
        try:
            with corpus.writing() as connection:
                taken.append(_take(connection, path, labeler))
        except InputError as error:
            problems.append(str(error))
    return taken, problems


def _take(connection: Connection, path: Path, labeler: str) -> Taken:
    batch = path.name
    if not fetch(connection, Assignment, ASSIGNMENT.c.batch == batch, ASSIGNMENT.c.labeler == labeler):
        raise InputError(path, f"batch {batch} was not given to {labeler}; look whose folder this is")
    pairs = _known(connection, batch)
    answers = read_batch_files(path, pairs)
    standing: defaultdict[tuple[str, str], list[LabelEvent]] = defaultdict(list)
    pictures = sorted({one.image_sha1 for one in pairs})
    # What this labeler drew of the same pictures in training is no part of these tables.
    here = within(LABEL_EVENT.c.batch, ["", batch])
    theirs = (LABEL_EVENT.c.labeler == labeler, LABEL_EVENT.c.origin == Origin.PERSON.value, here)
    for one in current_labels(connection, *theirs, within(LABEL_EVENT.c.image_sha1, pictures)):
        standing[one.image_sha1, one.model].append(one)
    time = now()
    events = [
        event
        for answer in answers
        for event in changes(
            answer, standing[answer.pair.image_sha1, answer.pair.model], labeler=labeler, batch=batch, time=time
        )
    ]
    words = fetch(
        connection,
        MultiFlag,
        MULTI_FLAG.c.labeler == labeler,
        within(MULTI_FLAG.c.image_sha1, pictures),
        within(MULTI_FLAG.c.batch, ["", batch]),
    )  # in the order in which they came: the last one counts
    before = {(one.image_sha1, one.model): one for one in words}
    flags = _new_flags(before, answers, labeler=labeler, batch=batch, time=time)
    seen = _new_views(connection, answers, labeler=labeler, batch=batch, time=time)
    add(connection, [*events, *flags, *seen])
    actions = [event.action for event in events]
    return Taken(
        batch=batch,
        pairs=len(pairs),
        seen=len(answers),
        boxes=sum(len(one.boxes) for one in answers),
        added=actions.count(Action.ADD),
        changed=actions.count(Action.CHANGE),
        deleted=actions.count(Action.DELETE),
        flags=len(flags),
    )


def _new_views(connection: Connection, answers: Iterable[Answer], *, labeler: str, batch: str, time: str) -> list[Seen]:
    """When a pair was opened is not known; it counts as closed when the tables are taken in."""
    viewed = fetch(connection, Seen, SEEN.c.labeler == labeler, SEEN.c.batch == batch)
    known = {(one.image_sha1, one.model) for one in viewed}
    return [
        Seen(image_sha1=one.image_sha1, model=one.model, labeler=labeler, batch=batch, opened="", closed=time)
        for one in (answer.pair for answer in answers)
        if (one.image_sha1, one.model) not in known
    ]


def _known(connection: Connection, batch: str) -> list[Known]:
    made, item = RECONSTRUCTION.c, ITEM.c
    asked = select(item.position, item.alias, item.image_sha1, item.model, made.width, made.height)
    joined = asked.join(RECONSTRUCTION, and_(item.image_sha1 == made.image_sha1, item.model == made.model))
    return [
        Known(position=position, alias=alias, image_sha1=sha1, model=model, width=width, height=height)
        for position, alias, sha1, model, width, height in connection.execute(joined.where(item.batch == batch))
    ]


def changes(answer: Answer, standing: Iterable[LabelEvent], *, labeler: str, batch: str, time: str) -> list[LabelEvent]:
    """The events that make a pair's standing boxes of a labeler those of the answer."""
    pair = answer.pair
    wanted = {one.box: one for one in answer.boxes}
    events = []
    for old in standing:
        drawn = wanted.pop(Box(old.x, old.y, old.w, old.h), None)
        if drawn is None:
            events.append(replace(old, uuid=new_uuid(), action=Action.DELETE.value, replaces=old.uuid, time=time))
        elif (drawn.category, drawn.symbol, drawn.note) != (old.category, old.symbol, old.note):
            said = replace(old, category=drawn.category, symbol=drawn.symbol, note=drawn.note, time=time)
            events.append(replace(said, uuid=new_uuid(), action=Action.CHANGE.value, replaces=old.uuid))
    for box, drawn in wanted.items():
        events.append(
            LabelEvent(
                uuid=new_uuid(),
                action=Action.ADD.value,
                id=display_id(pair.image_sha1, pair.model, box),
                filename=f"{pair.image_sha1}.png",
                image_sha1=pair.image_sha1,
                model=pair.model,
                x=box.x,
                y=box.y,
                w=box.w,
                h=box.h,
                labeler=labeler,
                origin=Origin.PERSON.value,
                category=drawn.category,
                symbol=drawn.symbol,
                note=drawn.note,
                time=time,
                batch=batch,
            )
        )
    return events


def _new_flags(
    before: Mapping[tuple[str, str], MultiFlag], answers: Iterable[Answer], *, labeler: str, batch: str, time: str
) -> list[MultiFlag]:
    """Words on multi-miscompressions and notes that differ from what was said before."""
    flags = []
    for one in answers:
        old = before.get((one.pair.image_sha1, one.pair.model))
        said = (bool(one.multi), one.multi_kind, one.note)
        if said != ((old.multi, old.kind, old.note) if old else (False, "", "")):
            flags.append(
                MultiFlag(
                    uuid=new_uuid(),
                    image_sha1=one.pair.image_sha1,
                    model=one.pair.model,
                    labeler=labeler,
                    multi=said[0],
                    kind=one.multi_kind,
                    note=one.note,
                    time=time,
                    overall=bool(old and old.overall),  # the tables do not ask for it
                    batch=batch,
                )
            )
    return flags
