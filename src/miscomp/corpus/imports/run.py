"""Take a release that others published, an exported corpus, or a table of annotations into a corpus.

What its tables are called is in a mapping (`miscomp.corpus.imports.mapping`). Rows are planned first (`plan_import`),
then written in one transaction (`apply_plan`): a killed import leaves nothing half, and a second one adds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.imports.files import Finder, Mode, Step, Taken, take_files
from miscomp.corpus.imports.find import find_tables
from miscomp.corpus.imports.known import Models, read_known
from miscomp.corpus.imports.mapping import Mapping
from miscomp.corpus.imports.plan import Plan, Planner
from miscomp.corpus.imports.tables import Table, open_table
from miscomp.corpus.schema import add
from miscomp.errors import UsageError
from miscomp.records import ModelRow
from miscomp.tables import read

_TOGETHER = 1000
_ORDER = ("sources", "images", "annotations", "views")
"""Each kind of row is checked against those before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be imported."""

    release: Path | None = None
    """The folder of a release or of an exported corpus; tables that are not given are looked for in it."""
    annotations: Path | None = None
    images: Path | None = None
    labeler: str = ""
    """Who drew and saw what the tables name nobody for; empty: the mapping's."""
    model: str = ""
    """Of all annotations; empty: as the table says."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what its files are found with."""

    plan: Plan
    models: Models


def plan_import(corpus: Corpus, request: Request, mapping: Mapping) -> Planned:
    """Read and check everything; nothing is changed.

    Raises `TableError` for tables that are not found or not understood, and `UsageError` where the corpus uses the name
    of a model for another codec.
    """
    tables = _tables(request, mapping)
    known = read_known(corpus)
    models = Models(corpus.config, mapping, known, rows=_model_rows(tables))
    plan = Plan()
    planner = Planner(known, models, mapping, plan, labeler=request.labeler, model=request.model)
    for role in _ORDER:
        if role in tables:
            planner.read(tables[role])
    planner.finish()
    return Planned(plan, models)


def apply_plan(corpus: Corpus, plan: Plan) -> None:
    """Write every row of the plan, all or none. The corpus must be `owned`, since before the plan was made."""
    with corpus.writing() as connection:
        for rows in _all_rows(plan):
            for some in _chunks(rows):
                add(connection, some)


def import_files(
    corpus: Corpus,
    planned: Planned,
    release: Path,
    mapping: Mapping,
    *,
    mode: Mode,
    step: Step = lambda done, of: None,
) -> Taken:
    """Take in the files of the plan's images, after `apply_plan`; files that are here already are left alone."""
    spellings = {name: _spelled(name, planned.models, mapping) for name in {model for _, model in planned.plan.stated}}
    finder = Finder(release, mapping.files, spellings)
    return take_files(corpus, finder, sorted(planned.plan.stated), files=mapping.files, mode=mode, step=step)


def differences(plan: Plan, mapping: Mapping) -> list[str]:
    """What the tables have otherwise than its authors state; nothing for tables of miscomp's own."""
    stated = mapping.stated
    if stated is None or not plan.stated or any(one.own for one in plan.tables):
        return []
    drawn, viewed = Counter[str](), Counter[str]()
    for (_, model), count in plan.drawn.items():
        drawn[model] += count
    viewed.update(one.model for one in plan.seen.values())
    totals = [
        ("annotations", stated.annotations, sum(plan.drawn.values())),
        ("images", stated.images, len(plan.stated)),
        *((f"annotations of {name}", count, drawn[name]) for name, count in stated.annotations_by_model.items()),
    ]
    if viewed:
        totals += [(f"viewed images of {name}", count, viewed[name]) for name, count in stated.viewed_by_model.items()]
    return [
        f"{what}: {here} good rows, {said} in {stated.about}"
        for what, said, here in totals
        if said is not None and said != here
    ]


def _tables(request: Request, mapping: Mapping) -> dict[str, Table]:
    given = {"annotations": request.annotations, "images": request.images}
    named = {role: path for role, path in given.items() if path is not None}
    if request.release is not None:
        return find_tables(request.release, mapping, named)
    if not named:
        raise UsageError("nothing to import: give the folder of a release, or tables with --annotations and --images")
    without = ("model",) if request.model else ()
    return {role: open_table(path, mapping, role, without=without) for role, path in named.items()}


def _model_rows(tables: dict[str, Table]) -> list[ModelRow] | None:
    """The models of an exported corpus, which stand beside its images; none for a foreign release."""
    images = tables.get("images")
    if images is None or not images.own:
        return None
    path = images.path.with_name("models.csv")
    return read(path, ModelRow) if path.is_file() else []


def _all_rows(plan: Plan) -> Iterator[list[Any]]:
    yield list(plan.models)
    for rows in (plan.sources, plan.made, plan.labels, plan.flags, plan.seen):
        yield list(rows.values())


def _chunks(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]


def _spelled(name: str, models: Models, mapping: Mapping) -> list[str]:
    """How a model's folder may be called, the likeliest first."""
    known = mapping.models.get(name)
    folders, aliases = (known.folders, known.aliases) if known else ((), ())
    texts = [*folders, *sorted(models.spellings[name]), name, *aliases]
    # A spelling comes from the tables, which strangers wrote: only one that stays inside is a folder's name.
    return [
        one for one in dict.fromkeys(texts) if one and ".." not in one and not one.startswith("/") and "\0" not in one
    ]
