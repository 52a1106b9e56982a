"""Everything that `manifest.json` counts, taken from the database in single passes: some 10,000 pairs in a blink."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from miscomp.corpus.config import Config, Model
from miscomp.corpus.entries import Batch, BatchKind, Environment, ModelEntry, SourceImage
from miscomp.corpus.inventory_labels import count_batches, count_labelers, count_labels, count_rows
from miscomp.corpus.manifest_form import (
    FORM,
    NOTES,
    BulkCount,
    EnvironmentCount,
    FailureCount,
    HalfCount,
    Manifest,
    ModelCount,
    RejectedCount,
    RemovedPicture,
    ScreeningCount,
    Settings,
    SourceCount,
    Spread,
    VerdictCounts,
)
from miscomp.corpus.schema import (
    BATCH,
    DECISION,
    FAILED,
    IMAGE,
    META,
    RECONSTRUCTION,
    REJECTED,
    fetch,
)
from miscomp.corpus.selection import Verdict, verdicts
from miscomp.folders import package_version

_FAILURES = 20


def take_inventory(connection: Connection, config: Config, *, title: str) -> Manifest:
    """Count everything; `title` is what the corpus is called where its settings do not say."""
    images = fetch(connection, SourceImage)
    found = verdicts(connection, config)
    here = [one for one in images if one.bulk is not None and found.get(one.image_sha1) not in (None, Verdict.EXCLUDED)]
    batches = fetch(connection, Batch, BATCH.c.kind != BatchKind.TRAINING.value)
    known = {name: value for name, value in connection.execute(select(META.c.name, META.c.value)) if name != "secret"}
    annotations, multi = count_labels(connection)
    about = config.about if config.about.title else config.about.model_copy(update={"title": title})
    return Manifest(
        miscomp_manifest=FORM,
        corpus=known.get("corpus", ""),
        made_by=known.get("made_by", ""),
        written_by=package_version(),
        notes=NOTES,
        about=about,
        settings=_settings(config),
        sources=_sources(images, found),
        rejected=_rejected(connection),
        screening=_screening(connection, config, found),
        models=_models(connection, config, here),
        halves=_halves(config, here),
        bulks=_bulks(config, here, batches),
        batches=count_batches(connection, batches),
        labelers=count_labelers(connection, batches),
        annotations=annotations,
        multi_pairs=multi,
        removed=tuple(
            RemovedPicture(image_sha1=one.image_sha1, removed=one.removed, reason=one.removed_reason)
            for one in images
            if one.removed
        ),
        environments=_environments(connection),
        failures=_failures(connection),
    )


def spread(values: Iterable[float | None]) -> Spread | None:
    """Mean, standard deviation and quartiles of the finite values; the same digits on every machine, none for none."""
    known = sorted(value for value in values if value is not None and math.isfinite(value))
    if not known:
        return None
    n = len(known)
    mean = math.fsum(known) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1)) if n > 1 else None
    q25, median, q75 = statistics.quantiles(known, method="inclusive") if n > 1 else known * 3
    return Spread(n=n, mean=mean, std=std, q25=q25, median=median, q75=q75)


def _settings(config: Config) -> Settings:
    batches = config.batches
    return Settings(
        seed=config.seed,
        halves=config.halves,
        images=config.images,
        screening=config.screening,
        bulk_images=batches.bulk_images,
        batch_size=batches.batch_size,
        agreement_batches=batches.agreement_batches,
        instances=batches.instances,
    )


def _counted(values: Iterable[Verdict]) -> VerdictCounts:
    counts = Counter(values)
    return VerdictCounts(**{str(one): counts[one] for one in Verdict})


def _sources(images: Iterable[SourceImage], found: Mapping[str, Verdict]) -> tuple[SourceCount, ...]:
    groups: defaultdict[tuple[str, str, str], list[SourceImage]] = defaultdict(list)
    for one in images:
        groups[one.source, one.licence, one.split].append(one)
    return tuple(
        SourceCount(
            source=source,
            licence=licence,
            split=split,
            added=len(group),
            removed=sum(bool(one.removed) for one in group),
            verdicts=_counted(found[one.image_sha1] for one in group if not one.removed),
        )
        for (source, licence, split), group in sorted(groups.items())
    )


def _rejected(connection: Connection) -> tuple[RejectedCount, ...]:
    asked = select(REJECTED.c.source, REJECTED.c.kind, func.count()).group_by(REJECTED.c.source, REJECTED.c.kind)
    rows = sorted((source, kind, number) for source, kind, number in connection.execute(asked))
    return tuple(RejectedCount(source=source, kind=kind, files=number) for source, kind, number in rows)


def _screening(connection: Connection, config: Config, found: Mapping[str, Verdict]) -> ScreeningCount:
    asked = select(func.count(), func.count(DECISION.c.screener.distinct())).select_from(DECISION)
    decisions, screeners = connection.execute(asked).one()
    return ScreeningCount(
        asked=config.screening.screeners, screeners=screeners, decisions=decisions, verdicts=_counted(found.values())
    )


def _models(connection: Connection, config: Config, here: Iterable[SourceImage]) -> tuple[ModelCount, ...]:
    """The models of the settings in their order, then what the database has besides."""
    allotted = Counter(model.model for one in here for model in config.models_of(one.half))
    made = RECONSTRUCTION.c
    rows: defaultdict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(made.model, made.bpp, made.version, made.weights_sha256)):
        rows[row.model].append(row)
    failed = count_rows(connection, select(FAILED.c.model, func.count()).group_by(FAILED.c.model))
    of_removed = select(made.model, func.count()).join(IMAGE, IMAGE.c.image_sha1 == made.image_sha1)
    removed = count_rows(connection, of_removed.where(IMAGE.c.removed != "").group_by(made.model))
    wanted = {one.model: one for one in config.models}
    used = {one.model: one for one in fetch(connection, ModelEntry)}
    return tuple(
        ModelCount(
            model=name,
            **_setting(used.get(name), wanted.get(name)),
            bpp=spread(row.bpp for row in rows[name]),
            allotted=allotted[name],
            done=len(rows[name]),
            removed=removed.get(name, 0),
            failed=failed.get(name, 0),
            versions=tuple(sorted({row.version for row in rows[name]} - {""})),
            weights_sha256=tuple(sorted({row.weights_sha256 for row in rows[name]} - {""})),
        )
        for name in dict.fromkeys([*wanted, *used, *sorted(rows), *sorted(failed)])
    )


def _setting(used: ModelEntry | None, wanted: Model | None) -> dict[str, Any]:
    """What a model is: as it was first used, before that as the settings say."""
    either = used or wanted
    return {
        "codec": either.codec if either else "",
        "spec": either.spec if either else "",
        "codec_name": used.codec_name if used else "",
        "setting": used.setting if used else "",
        "stand_in": either.stand_in if either else "",
        "target_bpp": either.target_bpp if either else None,
        "seed": used.seed if used else None,
    }


def _halves(config: Config, here: Sequence[SourceImage]) -> tuple[HalfCount, ...]:
    return tuple(
        HalfCount(
            half=half,
            codecs=codecs,
            bulks=len({one.bulk for one in here if one.half == half}),
            pictures=sum(one.half == half for one in here),
        )
        for half, codecs in enumerate(config.halves)
    )


def _bulks(config: Config, here: Iterable[SourceImage], batches: Iterable[Batch]) -> tuple[BulkCount, ...]:
    pictures: defaultdict[int, list[SourceImage]] = defaultdict(list)
    for one in here:
        pictures[one.bulk or 0].append(one)
    made: defaultdict[int, list[Batch]] = defaultdict(list)
    for batch in batches:
        made[batch.bulk].append(batch)
    return tuple(
        BulkCount(
            bulk=bulk,
            half=next((one.half for one in pictures[bulk]), None),
            pictures=len(pictures[bulk]),
            allotted=sum(len(config.models_of(one.half)) for one in pictures[bulk]),
            batches=len(made[bulk]),
            pairs=sum(one.size for one in made[bulk]),
        )
        for bulk in sorted({*pictures, *made})
    )


def _environments(connection: Connection) -> tuple[EnvironmentCount, ...]:
    made = RECONSTRUCTION.c.environment
    used = count_rows(connection, select(made, func.count()).group_by(made))
    return tuple(
        EnvironmentCount(
            environment=one.environment, reconstructions=used.get(one.environment, 0), content=_parsed(one.content)
        )
        for one in fetch(connection, Environment)
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _failures(connection: Connection) -> tuple[FailureCount, ...]:
    found = count_rows(connection, select(FAILED.c.reason, func.count()).group_by(FAILED.c.reason))
    most = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:_FAILURES]
    return tuple(FailureCount(reason=reason, tasks=number) for reason, number in most)
