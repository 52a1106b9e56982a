"""What stands now: boxes and flags after all changes of mind, and the records that the published tables consist of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, select

from miscomp.corpus.entries import (
    Action,
    BatchKind,
    LabelEvent,
    ModelEntry,
    MultiFlag,
    Reconstruction,
    Seen,
    SourceImage,
)
from miscomp.corpus.schema import BATCH, LABEL_EVENT, MULTI_FLAG, SEEN, fetch
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.taxonomy import Origin

PEOPLE = (Origin.PERSON, Origin.TRUTH, Origin.SIMULATED)
"""Whose boxes count as annotations of a picture; what a detector found is in the tables too, but is not counted."""


def counts(batch: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether what was done in a batch counts: what labelers do in training is for them alone."""
    return batch.not_in(select(BATCH.c.batch).where(BATCH.c.kind == BatchKind.TRAINING.value))


def current_labels(
    connection: Connection, *conditions: ColumnElement[bool], training: bool = False
) -> list[LabelEvent]:
    """The boxes that stand: neither superseded nor deleted, in the order in which they came.

    Those of training batches are among them only with `training`. Conditions are on the columns of
    `schema.LABEL_EVENT`; an event and the one that supersedes it must meet them alike.
    """
    where = conditions if training else (*conditions, counts(LABEL_EVENT.c.batch))
    events = fetch(connection, LabelEvent, *where)
    superseded = {one.replaces for one in events if one.replaces}
    return [one for one in events if one.action != Action.DELETE and one.uuid not in superseded]


def current_flags(connection: Connection) -> dict[tuple[str, str, str], MultiFlag]:
    """The last word on multi-miscompressions by (picture, model, labeler)."""
    flags = fetch(connection, MultiFlag, counts(MULTI_FLAG.c.batch))
    return {(one.image_sha1, one.model, one.labeler): one for one in flags}


def multi_pairs(connection: Connection, labels: Iterable[LabelEvent]) -> set[tuple[str, str]]:
    """Pairs of picture and model in which some labeler flagged multi-miscompressions, on a box or on the whole."""
    flagged = {(sha1, model) for (sha1, model, _), flag in current_flags(connection).items() if flag.multi}
    return flagged | {(one.image_sha1, one.model) for one in labels if one.multi}


def annotation_rows(labels: Iterable[LabelEvent]) -> list[Annotation]:
    """`annotations.csv`: by picture, model, labeler and place."""
    rows = [one.annotation for one in labels]
    return sorted(rows, key=lambda one: (one.image_sha1, one.model, one.labeler, one.y, one.x, one.h, one.w, one.id))


def image_rows(connection: Connection, labels: Iterable[LabelEvent]) -> list[ImageRow]:
    """`images.csv`: one row per reconstruction; removed pictures stay in it."""
    found = list(labels)
    sources = {one.image_sha1: one for one in fetch(connection, SourceImage)}
    drawn = Counter((one.image_sha1, one.model) for one in found if one.origin in PEOPLE)
    multi = multi_pairs(connection, found)
    return [
        ImageRow(
            filename=sources[one.image_sha1].filename,
            image_sha1=one.image_sha1,
            model=one.model,
            width=one.width,
            height=one.height,
            source=sources[one.image_sha1].source,
            bpp=one.bpp,
            psnr=one.psnr,
            ssim=one.ssim,
            ms_ssim=one.ms_ssim,
            annotations=drawn[one.image_sha1, one.model],
            multi=(one.image_sha1, one.model) in multi,
        )
        for one in fetch(connection, Reconstruction)
    ]


def model_rows(connection: Connection) -> list[ModelRow]:
    """`models.csv`."""
    return [
        ModelRow(
            model=one.model,
            codec=one.codec_name,
            setting=one.setting,
            target_bpp=one.target_bpp,
            weights_sha256=one.weights_sha256,
            seed=one.seed,
            version=one.version,
        )
        for one in fetch(connection, ModelEntry)
    ]


def view_rows(connection: Connection) -> list[View]:
    """`views.csv`: who has seen what."""
    return [
        View(
            filename=f"{one.image_sha1}.png",
            image_sha1=one.image_sha1,
            model=one.model,
            labeler=one.labeler,
            batch=one.batch,
            opened=one.opened,
            closed=one.closed,
        )
        for one in fetch(connection, Seen, counts(SEEN.c.batch))
    ]
