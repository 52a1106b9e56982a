"""All statistics of a corpus, or of bare tables, into a folder.

settings.json               what was asked for, and of what; another request needs another folder, or --force
statistics.json             every table with every number
tables/NAME.csv .tex .html  the same, one each
NAME.svg .png               the figures
report.html, gallery/       a page of all that, and of annotations
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from miscomp.corpus.corpus import Corpus
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import ResultsFolder, package_version, write_text
from miscomp.records import Failure
from miscomp.stats.areas import area_table
from miscomp.stats.compare import TARGETS, compare
from miscomp.stats.compare_text import comparison_table
from miscomp.stats.counted import Counted, by_nobody, count
from miscomp.stats.describe import table2
from miscomp.stats.factors import factor_table, features_of
from miscomp.stats.figures import FIGURES, draw
from miscomp.stats.kinds import kind_table
from miscomp.stats.labelers import agreement_table, labeler_table
from miscomp.stats.material import Material
from miscomp.stats.page import PAGE, write_report
from miscomp.stats.page_choice import GalleryRequest
from miscomp.stats.page_gallery import Gallery, clear_gallery, make_gallery
from miscomp.stats.prevalence import prevalence_table
from miscomp.stats.rates import rate_table
from miscomp.stats.tabular import StatFigure, StatTable
from miscomp.stats.write import SUFFIXES, record, write_table
from miscomp.taxonomy import Origin

STATISTICS, TABLES = "statistics.json", "tables"
_NAMES = (
    "table2",
    "rates",
    "areas",
    "prevalence",
    "categories",
    "labelers",
    "agreement",
    "factors",
    "comparison",
)
_WRITTEN = (
    STATISTICS,
    PAGE,
    *(f"{TABLES}/{name}{suffix}" for name in _NAMES for suffix in SUFFIXES),
    *(f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")),
)
MAX_RESAMPLES = 100_000
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """How statistics are made."""

    resamples: int = 10_000
    """Of every bootstrap, and random flips behind every p-value."""
    seed: int = 0
    """Of those, of which labeler counts where several saw the same, and of the gallery."""
    labelers: tuple[str, ...] = ()
    """Whose boxes count; all people where none are named."""
    models: tuple[str, ...] = ()
    """All where none are named."""
    everyone: bool = False
    """Count the boxes of all who saw the same reconstruction, not of one of them."""
    targets: tuple[float, ...] = TARGETS
    """Bit rates (bpp) at which codecs are compared."""
    factors: bool = True
    """Fit the regression, which needs the extra `stats`."""
    plots: bool = True
    """Draw the figures, which needs the extra `plots`."""
    gallery: int = 200
    """Annotations that the page shows; pixels of the corpus are copied for that."""
    force: bool = False
    """Replace earlier statistics, or write into a folder with other files."""

    def __post_init__(self) -> None:
        if not 1 <= self.resamples <= MAX_RESAMPLES:
            raise UsageError(f"resamples lie in 1 to {MAX_RESAMPLES}, got {self.resamples}")
        if self.seed < 0 or self.gallery < 0:
            raise UsageError(f"a seed and a number of pictures are 0 or more, got {self.seed} and {self.gallery}")
        if not self.targets or not all(0.001 <= target <= 100 for target in self.targets):
            raise UsageError(f"target rates lie in 0.001 to 100 bpp, got {list(self.targets)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What was found and written."""

    settings: dict[str, Any]
    tables: tuple[StatTable, ...]
    figures: tuple[StatFigure, ...]
    failures: tuple[Failure, ...]
    """Pictures that should have been in the gallery and could not be read."""

    def table(self, name: str) -> StatTable:
        """Raises `KeyError` for one that is not there."""
        return {one.name: one for one in self.tables}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How progress is told."""

    say: Callable[[str], None] = lambda line: None
    """A line on what is being done, or is not done and why."""
    cut: Callable[[int, int], None] = lambda done, total: None
    """Pictures of the gallery."""


@dataclass(frozen=True, slots=True)
class _StatsFolder(ResultsFolder):
    kind: ClassVar[str] = "statistics"


def make_statistics(
    material: Material,
    folder: Path,
    options: StatsOptions,
    *,
    corpus: Corpus | None = None,
    title: str = "",
    telling: Telling | None = None,
) -> Statistics:
    """Count everything and write it to `folder`; the same material and options give the same bytes.

    `corpus` is where the material is from, for the gallery and for what detectors saw in its photographs; without one
    the page has no gallery. Raises `UsageError` for a request that cannot be met, before anything is written.
    """
    _check_extras(options)
    telling = telling or Telling()
    counted = count(
        material, labelers=options.labelers, models=options.models, everyone=options.everyone, seed=options.seed
    )
    settings = _settings(material, options)
    store = _StatsFolder(folder)
    if corpus is not None and folder.resolve() == corpus.folder.resolve():
        raise UsageError(f"{folder} is the corpus; choose another folder with -o")
    with store.owned():
        if not options.force:
            store.check_settings(settings)
        store.clear(_WRITTEN, [TABLES])
        store.write_settings(settings)
        tables = _tables(counted, options, corpus, telling.say)
        figures: list[StatFigure] = []
        if options.plots:
            telling.say("drawing the figures")
            figures = draw(counted, folder, say=telling.say)
        gallery = _gallery(counted, folder, options, corpus, telling)
        statistics = Statistics(
            settings=settings,
            tables=tuple(tables),
            figures=tuple(figures),
            failures=gallery.failures if gallery else (),
        )
        _write(statistics, folder)
        facts = _facts(counted, options)
        write_report(folder, title=title or folder.name, tables=tables, figures=figures, gallery=gallery, facts=facts)
    return statistics


def statistics_record(statistics: Statistics) -> dict[str, Any]:
    """For JSON."""
    return {
        "miscomp_statistics_form": _SCHEMA,
        "settings": statistics.settings,
        "tables": {one.name: record(one) for one in statistics.tables},
        "figures": {one.name: asdict(one) for one in statistics.figures},
        "failures": [asdict(one) for one in statistics.failures],
    }


def _check_extras(options: StatsOptions) -> None:
    if options.plots and not find_spec("matplotlib"):
        raise MissingExtra("matplotlib", "plots", "drawing figures (--no-plots leaves them out)")
    if options.factors and not find_spec("statsmodels"):
        raise MissingExtra("statsmodels", "stats", "the regression (--no-factors leaves it out)")


def _settings(material: Material, options: StatsOptions) -> dict[str, Any]:
    """Everything that decides the numbers, with what they are of."""
    digest = hashlib.sha256()
    models = material.models.values()
    for part in (material.images, material.annotations, material.views or (), material.flags or (), models):
        for line in sorted(map(repr, part)):
            digest.update(line.encode() + b"\n")
        digest.update(b"\0")
    asked = {name: value for name, value in asdict(options).items() if name != "force"}
    return {"version": package_version(), "material_sha256": digest.hexdigest(), **asked}


def _tables(
    counted: Counted, options: StatsOptions, corpus: Corpus | None, say: Callable[[str], None]
) -> list[StatTable]:
    drawn = {"resamples": options.resamples, "seed": options.seed}
    say("counting")
    tables = [
        table2(counted, **drawn),
        rate_table(counted.material, **drawn),
        _noted(area_table(counted.material), counted.note),
        prevalence_table(counted),
        kind_table(counted),
        labeler_table(counted),
    ]
    say("measuring agreement")
    agreement = agreement_table(counted, **drawn)
    if agreement is None:
        say("no agreement is measured: no two labelers are known to have seen the same reconstruction")
    else:
        tables.append(agreement)
    if options.factors:
        say("fitting the regression")
        tables.append(factor_table(counted, features_of(corpus) if corpus is not None else {}))
    if counted.viewed is None:
        say("codecs are not compared: nothing says who has seen what")
    elif not counted.everyones.people:
        say("codecs are not compared: only what people found is, and only detectors were named")
    else:
        say("comparing codecs")
        compared = comparison_table(compare(counted.everyones, options.targets, **drawn))
        tables.append(_noted(compared, by_nobody(counted.everyones.annotations)))
    return tables


def _noted(table: StatTable, first: str) -> StatTable:
    return replace(table, note=f"{first} {table.note}".lstrip())


def _gallery(
    counted: Counted, folder: Path, options: StatsOptions, corpus: Corpus | None, telling: Telling
) -> Gallery | None:
    if corpus is None or not options.gallery:
        clear_gallery(folder)
        return None
    telling.say("cutting out annotations")
    request = GalleryRequest(count=options.gallery, seed=options.seed)
    return make_gallery(corpus, counted.everyones, folder, request, report=telling.cut)


def _boxes(counted: Counted) -> str:
    boxes = counted.material.annotations
    simulated = sum(one.origin == Origin.SIMULATED for one in boxes)
    return f"{len(boxes)}, {simulated} of them simulated" if simulated else str(len(boxes))


def _facts(counted: Counted, options: StatsOptions) -> list[tuple[str, str]]:
    viewed = "unknown" if counted.viewed is None else str(len(counted.viewed))
    return [
        ("labelers", str(len(counted.everyones.labelers))),
        ("photographs", str(len({one.image_sha1 for one in counted.material.images}))),
        ("reconstructions", str(len(counted.material.images))),
        ("viewed", viewed),
        ("boxes that count", _boxes(counted)),
        ("resamples", str(options.resamples)),
        ("seed", str(options.seed)),
    ]


def _write(statistics: Statistics, folder: Path) -> None:
    (folder / TABLES).mkdir(exist_ok=True)
    for one in statistics.tables:
        write_table(folder / TABLES, one)
    content = json.dumps(statistics_record(statistics), indent=1, ensure_ascii=True, allow_nan=False)
    write_text(folder / STATISTICS, content + "\n")
