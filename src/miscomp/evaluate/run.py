"""A whole evaluation: images and codecs in, a folder with tables, summaries and plots out.

One process, one image and one setting at a time, because times are measured; memory is measured after that. All
figures but these two depend on the files and the settings alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from miscomp.audit.plan import ImageTask, make_tasks
from miscomp.audit.run import Progress
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.request import model_row
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.errors import MissingExtra, UsageError
from miscomp.evaluate.compare import compare
from miscomp.evaluate.expect import Tolerances, check_expected, deviations
from miscomp.evaluate.measure import GenerationRow, MeasuredRow, Measurement
from miscomp.evaluate.memory import MemoryRow
from miscomp.evaluate.published import PublishedCurve, choose_published
from miscomp.evaluate.results import compressai_record, make_curves, make_drift
from miscomp.evaluate.store import EvaluationFolder
from miscomp.evaluate.summary import Evaluation, summary_record
from miscomp.evaluate.work import Outcome, measure_all
from miscomp.folders import package_version, write_text
from miscomp.pairs import match_files
from miscomp.tables import write as write_table

__all__ = ["EvaluateOptions", "Evaluation", "Progress", "run_evaluation"]


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How an evaluation is made."""

    generations: int = 0
    """Times that each picture is compressed one after another; 0 leaves it out."""
    published: tuple[str, ...] | None = None
    """Names of published curves; none: the default ones where the images are Kodak's."""
    expect: Tolerances | None = None
    """Compare every point with the published one, which is to lie so near; none: do not."""
    memory: bool = True
    """Measure the memory of every setting, in two processes each."""
    plots: bool = True
    max_megapixels: float = 200.0
    """Larger pictures are refused."""
    force: bool = False
    """Replace an earlier evaluation, or write into a folder with other files."""

    def __post_init__(self) -> None:
        if self.generations < 0:
            raise UsageError(f"generations must be 0 or more, got {self.generations}")
        if not (math.isfinite(self.max_megapixels) and self.max_megapixels > 0):
            raise UsageError(f"max_megapixels must be a positive number, got {self.max_megapixels}")


def run_evaluation(
    images: Sequence[Path],
    specs: Sequence[CodecSpec],
    folder: Path,
    options: EvaluateOptions,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Evaluation:
    """Measure every image at every setting that is not yet in `folder`, and write its tables, summaries and plots.

    Images are files or folders. What fails is listed and the rest goes on; the means are over the images that have
    every setting. Raises `UsageError` for a request that cannot be carried out, before anything is written.
    """
    if not specs:
        raise UsageError("nothing to evaluate; name a codec, as in --codec lucid or --codec jpeg@q75")
    if options.plots and find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plots", "drawing curves (--no-plots leaves them out)")
    tasks, failures = make_tasks(match_files(images, None), specs)
    published = choose_published(options.published, [task.path for task in tasks])
    if options.expect is not None:
        check_expected(specs, [task.path for task in tasks])
    for spec in specs:
        open_spec(spec)
    settings = _settings(specs, options)
    store = EvaluationFolder(folder)
    with store.owned():
        store.open(settings, force=options.force)
        outcome = measure_all(
            store,
            tasks,
            generations=options.generations,
            memory=options.memory,
            max_megapixels=options.max_megapixels,
            progress=progress,
        )
        evaluation = _evaluate(tasks, specs, outcome, published=published, settings=settings, expect=options.expect)
        evaluation = replace(evaluation, failures=(*failures, *outcome.failures))
        _write(evaluation, store, plots=options.plots)
    return evaluation


def _settings(specs: Sequence[CodecSpec], options: EvaluateOptions) -> dict[str, Any]:
    """Everything that decides the figures, with the versions of what measures them."""
    rows = [CODECS[name] for name in dict.fromkeys(spec.name for spec in specs)]
    libraries = ["numpy", "opencv-python-headless", "pillow"]
    libraries += ["pillow-jxl-plugin"] if any(row.extra == "jxl" for row in rows) else []
    libraries += ["torch", "constriction"] if any(row.format_id is not None for row in rows) else []
    return {
        "version": package_version(),
        "codecs": [str(spec) for spec in specs],
        "weights": {row.model: row.weights_sha256 for row in map(model_row, specs) if row.weights_sha256},
        "libraries": [f"{name} {package_version(name)}" for name in libraries],
        "generations": options.generations,
    }


def _evaluate(
    tasks: Sequence[ImageTask],
    specs: Sequence[CodecSpec],
    outcome: Outcome,
    *,
    published: tuple[PublishedCurve, ...],
    settings: Mapping[str, Any],
    expect: Tolerances | None,
) -> Evaluation:
    """Take the means over the images that have every setting, and compare the curves."""
    measured = outcome.measured
    whole = [task for task in tasks if all((task.number, model) in measured for model in task.models)]
    left_out = [task.path.name for task in tasks if task not in whole]
    notes = [f"{len(left_out)} image(s) are in no mean, because they lack a setting: {', '.join(left_out)}"]
    notes = notes if left_out else []
    if left_out and (published or expect is not None):
        published, expect = (), None
        notes.append("published curves are left out: they are means over all 24 Kodak images")
    common = _ordered(whole, measured)
    notes += _noted([one.row for one in common])
    memory = [outcome.memory[model] for model in map(str, specs) if model in outcome.memory]
    curves = make_curves([one.row for one in common], specs, memory)
    every = _ordered(tasks, measured)
    return Evaluation(
        settings=settings,
        rows=tuple(one.row for one in every),
        generations=tuple(row for one in every for row in one.generations),
        images=len(whole),
        left_out=tuple(left_out),
        curves=curves,
        drift=make_drift([row for one in common for row in one.generations]),
        published=published,
        comparisons=compare(curves, published),
        memory=tuple(memory),
        deviations=() if expect is None else deviations(curves, expect),
        failures=outcome.failures,
        notes=tuple(notes),
    )


def _noted(rows: Sequence[MeasuredRow]) -> list[str]:
    """Say that some figures are of a picture that reading changed, or of another rate than was aimed at."""
    noted = [row for row in rows if row.note]
    if not noted:
        return []
    first = noted[0]
    example = f"{first.filename}, {first.codec}@{first.setting}: {first.note}"
    return [f"{len(noted)} of {len(rows)} measurements have a note in images.csv; the first is {example}"]


def _ordered(tasks: Sequence[ImageTask], measured: Mapping[tuple[int, str], Measurement]) -> list[Measurement]:
    keys = ((task.number, model) for task in tasks for model in task.models)
    return [measured[key] for key in keys if key in measured]


def _write(evaluation: Evaluation, store: EvaluationFolder, *, plots: bool) -> None:
    folder = store.path
    store.clear_results()
    _write_rows(folder / "images.csv", MeasuredRow, evaluation.rows)
    if evaluation.generations:
        _write_rows(folder / "generations.csv", GenerationRow, evaluation.generations)
    if evaluation.memory:
        _write_rows(folder / "memory.csv", MemoryRow, evaluation.memory)
    (folder / "results").mkdir(exist_ok=True)
    for curve in evaluation.curves:
        _write_json(folder / "results" / f"{curve.codec}.json", compressai_record(curve))
    if plots:
        from miscomp.evaluate.plots import draw_curves, draw_drift, draw_memory

        draw_curves(evaluation.curves, evaluation.published, "psnr", folder / "plots" / "psnr")
        draw_curves(evaluation.curves, evaluation.published, "ms-ssim", folder / "plots" / "ms-ssim")
        draw_drift(evaluation.drift, folder / "plots" / "generations")
        draw_memory(evaluation.memory, folder / "plots" / "memory")
    _write_json(folder / "summary.json", summary_record(evaluation))


def _write_rows(path: Path, record: type[Any], rows: Iterable[Any]) -> None:
    write_table(path, record, rows)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False) + "\n")
