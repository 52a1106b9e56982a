"""The rows of a corpus against each other: labels, batches, models, numbers that follow from others."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, select, text

from miscomp.corpus.checks.faults import Fault, Kind
from miscomp.corpus.compress.availability import resolved_specs
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import (
    Assignment,
    Batch,
    BatchItem,
    BatchKind,
    Decision,
    ModelEntry,
    MultiFlag,
    Reconstruction,
    SecondLook,
    Seen,
    Shown,
    SourceImage,
    Visit,
)
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import LABEL_EVENT, fetch
from miscomp.errors import InputError


def check_database(corpus: Corpus) -> Iterator[Fault]:
    """SQLite's own check of its file; a server looks after itself."""
    if corpus.engine.dialect.name != "sqlite":
        return
    try:
        with corpus.reading() as connection:
            found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
    except InputError as error:
        found = [error.problem]
    if found != ["ok"]:
        yield Fault(kind=Kind.DATABASE, where="corpus.sqlite", problem="; ".join(found) + "; restore it from a copy")


def check_rows(connection: Connection, corpus: Corpus) -> Iterator[Fault]:
    """Everything that can be told without opening a file."""
    images = {one.image_sha1: one for one in fetch(connection, SourceImage)}
    made = {(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)}
    yield from _check_pictures(images, len(corpus.config.halves))
    yield from _check_reconstructions(images, made)
    yield from _check_models(connection, corpus, made)
    yield from _check_labels(connection, images, made)
    yield from _check_batches(connection, images, made)


def _row(where: str, problem: str, *, image_sha1: str = "", model: str = "", kind: Kind = Kind.ROW) -> Fault:
    return Fault(kind=kind, where=where, problem=problem, image_sha1=image_sha1, model=model)


def _check_pictures(images: dict[str, SourceImage], halves: int) -> Iterator[Fault]:
    same: defaultdict[str, list[str]] = defaultdict(list)
    for one in images.values():
        if one.half is not None and halves and not 0 <= one.half < halves:
            problem = f"is in half {one.half}, and the settings have {halves}, from 0 on"
            yield _row(f"picture {one.image_sha1}", problem, image_sha1=one.image_sha1)
        if one.pixel_sha256 and not one.removed:
            same[one.pixel_sha256].append(one.image_sha1)
    for names in same.values():
        if len(names) > 1:
            where, problem = f"pictures {' and '.join(names)}", "have the same pixels"
            yield _row(where, problem, image_sha1=names[0], kind=Kind.DUPLICATE)


def _check_reconstructions(
    images: dict[str, SourceImage], made: dict[tuple[str, str], Reconstruction]
) -> Iterator[Fault]:
    for (image_sha1, model), one in made.items():
        where = f"reconstruction {model} of {image_sha1}"
        image = images.get(image_sha1)
        if image is None:
            yield _row(where, "is of a picture that the corpus does not have", image_sha1=image_sha1, model=model)
            continue
        if (one.width, one.height) != (image.width, image.height):
            problem = f"has {one.width} x {one.height} pixels, the picture {image.width} x {image.height}"
            yield _row(where, problem, image_sha1=image_sha1, model=model)
        if one.stream_bytes:
            bpp = 8 * one.stream_bytes / (one.width * one.height)
            # A release states rounded rates; one that is further off is told when its file is imported, too.
            if one.bpp is None or not math.isclose(bpp, one.bpp, rel_tol=1e-9 if one.made else 0.01):
                problem = f"its row says {one.bpp} bpp, its {one.stream_bytes} bytes are {bpp:.6g} bpp"
                yield _row(where, problem, image_sha1=image_sha1, model=model)


def _check_models(
    connection: Connection, corpus: Corpus, made: dict[tuple[str, str], Reconstruction]
) -> Iterator[Fault]:
    entries = {one.model: one for one in fetch(connection, ModelEntry)}
    for model in sorted({model for _, model in made} - set(entries)):
        yield _row(f"model {model}", "has reconstructions and no row of its own", model=model)
    meant = resolved_specs(corpus.config)
    for asked in corpus.config.models:
        entry = entries.get(asked.model)
        if entry is not None and entry.spec and entry.spec != meant[asked.model]:
            now = f"is {meant[asked.model]} in the settings"
            problem = f"{now}, and what is there was made by {entry.spec}; give it a new name"
            yield _row(f"model {asked.model}", problem, model=asked.model)


def _check_labels(
    connection: Connection, images: dict[str, SourceImage], made: dict[tuple[str, str], Reconstruction]
) -> Iterator[Fault]:
    drawn: Counter[tuple[str, ...]] = Counter()
    for one in current_labels(connection):
        where = f"label {one.id} of {one.labeler} (event {one.uuid})"
        drawn[one.image_sha1, one.model, one.labeler, one.id, f"{one.x},{one.y},{one.w},{one.h}"] += 1
        image = images.get(one.image_sha1)
        if image is None or (one.image_sha1, one.model) not in made:
            problem = "is of a pair that the corpus does not have"
            yield _row(where, problem, image_sha1=one.image_sha1, model=one.model)
            continue
        try:
            one.annotation.box.check_inside(image.width, image.height)
        except ValueError as error:
            yield _row(where, str(error), image_sha1=one.image_sha1, model=one.model, kind=Kind.BOX)
    for (image_sha1, model, labeler, name, _), number in drawn.items():
        if number > 1:
            where = f"label {name} of {labeler}"
            yield _row(where, f"stands {number} times", image_sha1=image_sha1, model=model, kind=Kind.DUPLICATE)
    yield from _check_words(connection, made)
    for decision in fetch(connection, Decision):
        if decision.image_sha1 not in images:
            yield _row(f"decision of {decision.screener}", "is on a picture that the corpus does not have")


def _check_words(connection: Connection, made: dict[tuple[str, str], Reconstruction]) -> Iterator[Fault]:
    """What people said and saw of pairs, and of boxes of others: the pair is there, and the box is one of it."""
    event = LABEL_EVENT.c
    boxes = {
        uuid: (sha1, model)
        for uuid, sha1, model in connection.execute(select(event.uuid, event.image_sha1, event.model))
    }
    said: list[tuple[str, str, tuple[str, str], str]] = []
    said += [("flag", one.labeler, (one.image_sha1, one.model), "") for one in fetch(connection, MultiFlag)]
    said += [("view", one.labeler, (one.image_sha1, one.model), "") for one in fetch(connection, Seen)]
    said += [("visit", one.labeler, (one.image_sha1, one.model), "") for one in fetch(connection, Visit)]
    for shown in fetch(connection, Shown):
        said.append(("suggestion shown", shown.labeler, (shown.image_sha1, shown.model), shown.event))
    for look in fetch(connection, SecondLook):
        said.append(("second look", look.reviewer, (look.image_sha1, look.model), look.event))
    for what, who, pair, box in said:
        if pair not in made:
            problem = "is of a pair that the corpus does not have"
        elif box and boxes.get(box) != pair:
            problem = f"names the box {box}, which this pair does not have"
        else:
            continue
        yield _row(f"{what} of {who}", problem, image_sha1=pair[0], model=pair[1])


def _check_batches(
    connection: Connection, images: dict[str, SourceImage], made: dict[tuple[str, str], Reconstruction]
) -> Iterator[Fault]:
    batches = {one.batch: one for one in fetch(connection, Batch)}
    sizes: Counter[str] = Counter()
    aliases: Counter[str] = Counter()
    for item in fetch(connection, BatchItem):
        where = f"batch {item.batch}, {item.position}"
        sizes[item.batch] += 1
        aliases[item.alias] += 1
        image, batch = images.get(item.image_sha1), batches.get(item.batch)
        if image is None or (item.image_sha1, item.model) not in made:
            yield _row(where, "is a pair that the corpus does not have", image_sha1=item.image_sha1, model=item.model)
        elif batch is None:
            yield _row(where, "is in a batch without a row", image_sha1=item.image_sha1)
        elif image.bulk != batch.bulk and batch.kind != BatchKind.TRAINING:  # which takes pairs of any bulk
            problem = f"its picture is in bulk {image.bulk}, the batch in {batch.bulk}"
            yield _row(where, problem, image_sha1=item.image_sha1)
    for name, one in batches.items():
        if one.size != sizes[name]:
            yield _row(f"batch {name}", f"has {sizes[name]} pairs, its row says {one.size}")
    for alias, number in aliases.items():
        if number > 1:
            yield _row(f"alias {alias}", f"stands for {number} pairs")
    for assignment in fetch(connection, Assignment):
        if assignment.batch not in batches:
            yield _row(f"assignment of {assignment.labeler}", f"is of the batch {assignment.batch}, which is not there")
