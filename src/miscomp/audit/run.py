"""A whole audit: originals and codecs or reconstructions in, a folder with tables and a report out.

Results depend on the files and the settings alone, never on the number of jobs, their order or the clock;
how long it took stands in `timings.json`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from miscomp.audit.disclosing import write_disclosed
from miscomp.audit.plan import DEFAULT_CODECS, AuditOptions, ImageTask, Plan, make_plan, make_tasks
from miscomp.audit.processes import run_tasks
from miscomp.audit.store import AuditFolder
from miscomp.audit.work import Event
from miscomp.codecs.spec import CodecSpec
from miscomp.errors import InputError, MissingExtra, UsageError
from miscomp.folders import write_text
from miscomp.pairs import match_files
from miscomp.records import Annotation, Failure, ImageRow, ModelRow, PairResult
from miscomp.report.page import write_html
from miscomp.report.run import DISCLOSED, Run, write_json
from miscomp.report.seeds import compare_seeds
from miscomp.tables import write as write_table
from miscomp.workers import cores, memory

__all__ = ["DEFAULT_CODECS", "AuditOptions", "Progress", "default_jobs", "run_audit"]

_MEMORY_PER_JOB = 3 * 2**30
"""A pair of 24 megapixels stays under 2 GB, and the libraries take their share."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an audit is; the first one, `planned`, comes before any work."""

    done: int
    """Pairs, in `total`."""
    total: int
    outcome: Literal["planned", "started", "done", "kept", "failed", "writing"]
    name: str = ""
    """The original's file name."""
    model: str = ""
    """Empty where the original itself failed."""
    reason: str = ""
    seconds: float = 0.0


def run_audit(
    originals: Sequence[Path],
    reconstructions: Sequence[Path] | None,
    specs: tuple[CodecSpec, ...],
    folder: Path,
    options: AuditOptions,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Run:
    """Audit every pair that is not yet in `folder`, and write its tables and report.

    Paths are files or folders, matched as `miscomp.pairs.match_files` says. What fails is listed in the run and the
    rest goes on. Raises `UsageError` for a request that cannot be carried out, before anything is written.
    """
    if not specs and reconstructions is None:
        raise UsageError(f"nothing to audit: give reconstructions, or codecs such as {' and '.join(DEFAULT_CODECS)}")
    matching = match_files(originals, reconstructions)
    tasks, failures = make_tasks(matching, specs)
    jobs = min(options.jobs or default_jobs(len(tasks)), max(1, len(tasks)))
    plan = make_plan(specs, folder, options, given=reconstructions is not None, threads=max(1, cores() // jobs))
    _check_reader(plan)
    store = AuditFolder(folder)
    with store.owned():
        store.open(plan.all_settings, force=options.force)
        begin = time.perf_counter()
        try:
            ended = _follow(plan, tasks, jobs, progress)
        finally:
            store.clean()
        results = _results(tasks, ended)
        run = Run(
            version=plan.version,
            settings=plan.settings,
            results=results,
            failures=(*failures, *_failures(tasks, ended)),
            unmatched=matching.unmatched,
            detector=plan.detector_version,
            seeds=compare_seeds(results, plan.models),
        )
        pairs = sum(len(task.models) for task in tasks)
        progress(Progress(done=pairs, total=pairs, outcome="writing"))
        _write_timings(folder, tasks, ended, jobs=jobs, seconds=time.perf_counter() - begin)
        _write(run, plan.models, folder, disclosed=options.disclose)
    return run


def _check_reader(plan: Plan) -> None:
    """Say once, before any work, what every pair would otherwise fail with."""
    if plan.detect.text and not (find_spec("rapidocr") and find_spec("onnxruntime")):
        raise MissingExtra("rapidocr and onnxruntime", "text", "reading text (--no-text leaves it out)")


def default_jobs(images: int) -> int:
    """As many as cores, memory and at least two images for each allow: a process takes seconds to start."""
    return max(1, min(cores(), memory() // _MEMORY_PER_JOB, images // 2))


def _follow(
    plan: Plan, tasks: Sequence[ImageTask], jobs: int, progress: Callable[[Progress], None]
) -> dict[tuple[int, str], Event]:
    """Do the work and return how each pair ended, by image and model."""
    total = sum(len(task.models) for task in tasks)
    left = {task.number: set(task.models) for task in tasks}
    ended: dict[tuple[int, str], Event] = {}
    done = 0
    progress(Progress(done=done, total=total, outcome="planned"))
    with closing(run_tasks(plan, tasks, jobs)) as events:
        for event in events:
            if event.kind != "started":
                ended[event.task, event.model] = event
                over = left[event.task] & {event.model} if event.model else left[event.task]
                done += len(over)
                left[event.task] = left[event.task] - over
            progress(
                Progress(
                    done=done,
                    total=total,
                    outcome=event.kind,
                    name=tasks[event.task].path.name,
                    model=event.model,
                    reason=event.reason,
                    seconds=event.seconds,
                )
            )
    return ended


def _in_order(tasks: Sequence[ImageTask], ended: Mapping[tuple[int, str], Event]) -> list[Event]:
    keys = [(task.number, model) for task in tasks for model in ("", *task.models)]
    return [ended[key] for key in keys if key in ended]


def _results(tasks: Sequence[ImageTask], ended: Mapping[tuple[int, str], Event]) -> tuple[PairResult, ...]:
    return tuple(event.result for event in _in_order(tasks, ended) if event.result is not None)


def _failures(tasks: Sequence[ImageTask], ended: Mapping[tuple[int, str], Event]) -> list[Failure]:
    return [
        Failure(name=tasks[event.task].path.name, reason=": ".join(filter(None, (event.model, event.reason))))
        for event in _in_order(tasks, ended)
        if event.kind == "failed"
    ]


def _write(run: Run, models: Sequence[ModelRow], folder: Path, *, disclosed: bool) -> None:
    annotations = [finding.annotation for result in run.results for finding in result.findings]
    write_table(folder / "annotations.csv", Annotation, annotations)
    write_table(folder / "images.csv", ImageRow, [result.row for result in run.results])
    write_table(folder / "models.csv", ModelRow, models)
    write_json(run, folder / "report.json")
    problems = write_disclosed(run, folder) if disclosed else []
    write_html(run, folder)
    if problems:
        raise InputError(folder / DISCLOSED, f"the report is whole, copies are missing: {'; '.join(problems)}")


def _write_timings(
    folder: Path, tasks: Sequence[ImageTask], ended: Mapping[tuple[int, str], Event], *, jobs: int, seconds: float
) -> None:
    pairs = [
        {"filename": tasks[event.task].path.name, "model": event.model, "outcome": event.kind, "seconds": event.seconds}
        for event in _in_order(tasks, ended)
    ]
    content = {"jobs": jobs, "seconds": seconds, "pairs": pairs}
    write_text(folder / "timings.json", json.dumps(content, indent=1) + "\n")
