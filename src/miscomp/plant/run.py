"""Plants in whole folders of photographs: pictures and codecs in, a set of labelled pairs out.

Results depend on the files and the settings alone, never on the number of jobs, their order or the clock.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from miscomp.codecs.spec import CodecSpec
from miscomp.folders import write_text
from miscomp.pairset import ANNOTATIONS, CONTROL, IMAGES, MODELS, NEGATIVES, PLANTS
from miscomp.plant.plates import read_plates
from miscomp.plant.processes import run_tasks
from miscomp.plant.request import PictureTask, PlantOptions, PlantPlan, make_plan, make_tasks, models
from miscomp.plant.store import SUMMARY, UNREADABLE, PictureResult, PlantFolder
from miscomp.plant.work import open_codecs, plant_picture
from miscomp.records import Annotation, Failure, ImageRow, ModelRow, Plant
from miscomp.tables import write as write_table

__all__ = ["PlantOptions", "Planting", "Step", "run_plant"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a run is, in photographs; the first one, `planned`, comes before any work."""

    done: int
    total: int
    outcome: Literal["planned", "done", "kept", "failed"]
    name: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Planting:
    """What a run made, by photograph, in the order of the tables."""

    settings: Mapping[str, Any]
    results: tuple[PictureResult, ...]
    failures: tuple[Failure, ...]

    def record(self) -> dict[str, Any]:
        """The figures for machines: counts of pairs and, for labels and negatives, of rows by kind."""
        images = [row for result in self.results for row in result.images]
        plants = [row for result in self.results for row in result.plants]
        unreadable = {(row.image_sha1, row.model, row.id) for result in self.results for row in result.unreadable}
        negatives = [row for row in plants if not row.label and (row.image_sha1, row.model, row.id) not in unreadable]
        return {
            "photographs": len(self.results),
            "pairs": dict(sorted(Counter(row.source for row in images).items())),
            "control_megapixels": sum(row.width * row.height for row in images if row.source == CONTROL) / 1e6,
            "labels": dict(sorted(Counter(row.kind for row in plants if row.label).items())),
            "negatives": dict(sorted(Counter(row.kind for row in negatives).items())),
            "unreadable": len(unreadable),
            "missing": dict(sorted(Counter(name for result in self.results for name in result.missing).items())),
            "notes": [f"{result.name}: {note}" for result in self.results for note in result.notes],
            "failures": [{"name": failure.name, "reason": failure.reason} for failure in self.failures],
            "settings": dict(self.settings),
        }


def run_plant(
    images: Sequence[Path],
    specs: Sequence[CodecSpec],
    folder: Path,
    options: PlantOptions,
    *,
    plates: Path | None = None,
    progress: Callable[[Step], None] = lambda _: None,
) -> Planting:
    """Plant in every photograph that is not yet done in `folder`, and write its tables.

    Images are files or folders; `plates` is a folder of photographs with plates, see `miscomp.plant.plates`. What
    fails is listed and the rest goes on. Raises `UsageError` and `InputError` for a request that cannot be carried
    out, before anything is written.
    """
    tasks, failures = make_tasks(images, read_plates(plates) if plates is not None else ())
    plan = make_plan(specs, folder, options)
    store = PlantFolder(folder)
    with store.owned():
        store.open(plan.settings, force=options.force)
        results = _follow(plan, tasks, progress)
        planting = _gather(plan, tasks, results, failures)
        _write(plan, planting)
    return planting


def _follow(
    plan: PlantPlan, tasks: Sequence[PictureTask], progress: Callable[[Step], None]
) -> dict[int, PictureResult]:
    """Do the work and return what came of each photograph, by its number."""
    results: dict[int, PictureResult] = {}
    total = len(tasks)
    progress(Step(done=0, total=total, outcome="planned"))
    begin = time.perf_counter()
    work, prepare = partial(plant_picture, plan), partial(open_codecs, plan)
    with closing(run_tasks(work, tasks, plan.options.jobs, prepare=prepare)) as ended:
        for task, result in ended:
            if result is None:
                result = PictureResult(
                    name=task.path.name,
                    failures=("its process was ended, for lack of memory, most likely; use fewer --jobs",),
                    seconds=time.perf_counter() - begin,
                )
            results[task.number] = result
            outcome: Literal["failed", "kept", "done"] = (
                "failed" if result.failures else "kept" if result.kept else "done"
            )
            progress(
                Step(
                    done=len(results),
                    total=total,
                    outcome=outcome,
                    name=task.path.name,
                    reason="; ".join(result.failures),
                    seconds=result.seconds,
                )
            )
    return results


def _gather(
    plan: PlantPlan,
    tasks: Sequence[PictureTask],
    results: Mapping[int, PictureResult],
    failures: Sequence[Failure],
) -> Planting:
    """Put the results in order. Of photographs with the same content the first counts: tables know them by hash."""
    found: list[PictureResult] = []
    failed = list(failures)
    known: dict[tuple[str, str], str] = {}
    for task in tasks:
        result = results[task.number]
        keys = [(row.image_sha1, row.model) for row in result.images]
        if twin := next((known[key] for key in keys if key in known), ""):
            failed.append(Failure(name=result.name, reason=f"shows the same picture as {twin}; leave one of them out"))
            continue
        known |= dict.fromkeys(keys, result.name)
        failed += [Failure(name=result.name, reason=reason) for reason in result.failures]
        found.append(result)
    return Planting(settings=plan.settings, results=tuple(found), failures=tuple(failed))


def _write(plan: PlantPlan, planting: Planting) -> None:
    folder, results = plan.folder, planting.results
    images = [row for result in results for row in result.images]
    used = {row.model for row in images}
    write_table(folder / IMAGES, ImageRow, images)
    write_table(folder / ANNOTATIONS, Annotation, [row for result in results for row in result.labels])
    write_table(folder / NEGATIVES, Annotation, [row for result in results for row in result.negatives])
    write_table(folder / UNREADABLE, Annotation, [row for result in results for row in result.unreadable])
    write_table(folder / PLANTS, Plant, [row for result in results for row in result.plants])
    write_table(folder / MODELS, ModelRow, [row for row in models(plan) if row.model in used])
    write_text(folder / SUMMARY, json.dumps(planting.record(), indent=1, ensure_ascii=True) + "\n")


def planting_text(planting: Planting) -> str:
    """The figures in a few lines of plain text."""
    record = planting.record()
    pairs = ", ".join(f"{number} {name}" for name, number in record["pairs"].items()) or "none"
    lines = [f"photographs: {record['photographs']}", f"pairs: {pairs}"]
    for name, what in (("labels", "labels"), ("negatives", "hard negatives"), ("missing", "found no place")):
        counts = record[name]
        kinds = ", ".join(f"{kind} {number}" for kind, number in counts.items())
        lines.append(f"{what}: {sum(counts.values())}" + (f" ({kinds})" if kinds else ""))
    lines.append(f"unreadable words, neither label nor negative: {record['unreadable']}")
    return "\n".join(lines) + "\n"
