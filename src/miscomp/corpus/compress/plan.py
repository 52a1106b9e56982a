"""What `miscomp corpus compress` has to do: pairs that are allotted and not there yet, and what cannot be done here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select

from miscomp.corpus.compress import space
from miscomp.corpus.compress.availability import Missing, find_available, reconcile
from miscomp.corpus.compress.tasks import Setup, Task
from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import INCOMING, Corpus
from miscomp.corpus.entries import ModelEntry, SourceImage
from miscomp.corpus.schema import RECONSTRUCTION, fetch, put
from miscomp.corpus.selection import Verdict, allot, allotted, select_images
from miscomp.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressOptions:
    """What is asked for."""

    every: bool = False
    """Every picture with every model, not only with those of its half."""
    unscreened: bool = False
    """Take pictures along that are still to be screened."""
    models: tuple[str, ...] = ()
    """Only these; empty: all of the settings."""
    limit: int | None = None
    """At most so many tasks, the first in order."""
    strict: bool = False
    """Do nothing where a model cannot be run here."""
    worker: str = ""
    """Another worker than `miscomp.corpus.compress.coding:Coder`."""
    free_bytes: Callable[[Path], int] = space.free_bytes

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be 1 or more, got {self.limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressPlan:
    """What there is to do."""

    setup: Setup
    tasks: tuple[Task, ...]
    models: Mapping[str, int]
    """How many of the tasks each model has; those that cannot be run here have none."""
    entries: tuple[ModelEntry, ...]
    """Rows of models that are to be stored."""
    missing: tuple[Missing, ...]
    stand_ins: tuple[Model, ...]
    warnings: tuple[str, ...]
    there: int
    """Pairs that are done already."""
    left_out: int
    """Tasks of models that cannot be run here."""
    pending: int
    """Pictures that wait for a screener."""
    nobody_screened: bool = False
    """No screener has decided on any picture, so all are taken."""
    need_bytes: int
    free_bytes: int


def make_plan(corpus: Corpus, options: CompressOptions, specs: Mapping[str, str]) -> CompressPlan:
    """List tasks as if all pictures were allotted, and look what can be run; nothing is changed.

    Raises `UnknownName` for a model that the settings do not have, and `UsageError` where there is nothing to work on,
    where a model is not what it was, or with `strict` where one cannot be run.
    """
    chosen = _chosen(corpus.config, options)
    pairs, there, pending, nobody = _pairs(corpus, options)
    asked = [(image, model) for image, model in pairs if model.model in chosen]
    there |= _whole(corpus, asked)
    wanted = [(image, model) for image, model in asked if (image.image_sha1, model.model) not in there]
    left = {model.model for _, model in wanted}
    models = [one for one in corpus.config.models if one.model in left]
    found = find_available(models, specs)
    if found.missing and options.strict:
        raise UsageError("; ".join(f"{one.model} ({one.spec}): {one.reason}" for one in found.missing))
    with corpus.reading() as connection:
        recorded = {one.model: one for one in fetch(connection, ModelEntry)}
    entries, warnings = reconcile(recorded, found.entries)
    here = {one.model for one in found.entries}
    able = [(image, model) for image, model in wanted if model.model in here]
    some = able[: options.limit]
    return CompressPlan(
        setup=_setup(corpus, options, tuple(dict.fromkeys(specs[model.model] for _, model in some))),
        tasks=tuple(_task(corpus, image, model, specs) for image, model in some),
        models={one.model: sum(model is one for _, model in some) for one in models},
        entries=tuple(entries),
        missing=found.missing,
        stand_ins=tuple(one for one in models if one.stand_in),
        warnings=tuple(warnings),
        there=len(asked) - len(wanted),
        left_out=len(wanted) - len(able),
        pending=pending,
        nobody_screened=nobody,
        need_bytes=space.estimate(corpus, [image for image, _ in some]),
        free_bytes=options.free_bytes(corpus.folder),
    )


def store_plan(corpus: Corpus, options: CompressOptions, plan: CompressPlan) -> None:
    """Allot the pictures for good, as planned, and store what the models mean."""
    with corpus.writing() as connection:
        selected = select_images(connection, corpus.config, unscreened=options.unscreened)
        allot(connection, corpus.config, selected.images)
        put(connection, plan.entries)


def _chosen(config: Config, options: CompressOptions) -> set[str]:
    known = [one.model for one in config.models]
    if not known:
        raise UsageError("corpus.toml names no models; add a table [[models]] for each, or begin from a profile")
    for name in options.models:
        if name not in known:
            raise UnknownName("model", name, known)
    return set(options.models or known)


def _pairs(
    corpus: Corpus, options: CompressOptions
) -> tuple[list[tuple[SourceImage, Model]], set[tuple[str, str]], int, bool]:
    """Pairs that are to be there, those that are, how many pictures wait for a screener, whether nobody screened."""
    with corpus.writing() as connection:
        trial = connection.begin_nested()
        selected = select_images(connection, corpus.config, unscreened=options.unscreened)
        allot(connection, corpus.config, selected.images)
        images = select_images(connection, corpus.config, unscreened=options.unscreened).images
        trial.rollback()
        rows = connection.execute(select(RECONSTRUCTION.c.image_sha1, RECONSTRUCTION.c.model))
        there = {(str(image_sha1), str(model)) for image_sha1, model in rows}
    if not images:
        raise UsageError(
            f"{corpus.folder} has no pictures to compress; add some with miscomp corpus add, and screen them"
        )
    taken = {one.image_sha1 for one in images}
    pending = sum(
        one in (Verdict.PENDING, Verdict.UNSCREENED) and image_sha1 not in taken
        for image_sha1, one in selected.verdicts.items()
    )
    nobody = selected.count(Verdict.UNSCREENED) == len(selected.verdicts)
    return allotted(corpus.config, images, every=options.every), there, pending, nobody


def _whole(corpus: Corpus, asked: Sequence[tuple[SourceImage, Model]]) -> set[tuple[str, str]]:
    """Pairs that a run would first take in from `incoming/`."""
    incoming = corpus.folder / INCOMING
    names = {one.name for one in incoming.iterdir()} if incoming.is_dir() else set()
    return {(image.image_sha1, model.model) for image, model in asked if f"{model.model}-{image.image_sha1}" in names}


def _setup(corpus: Corpus, options: CompressOptions, specs: Sequence[str]) -> Setup:
    limit = corpus.config.images.max_megapixels
    setup = Setup(specs=tuple(specs), seed=corpus.config.seed, max_megapixels=limit)
    return replace(setup, worker=options.worker) if options.worker else setup


def _task(corpus: Corpus, image: SourceImage, model: Model, specs: Mapping[str, str]) -> Task:
    return Task(
        image_sha1=image.image_sha1,
        model=model.model,
        spec=specs[model.model],
        source=corpus.original(image.image_sha1).absolute(),
    )
