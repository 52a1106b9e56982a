"""`miscomp corpus compress`: every picture of a corpus by every model that is allotted to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell, tell_above

if TYPE_CHECKING:
    from miscomp.corpus.compress.plan import CompressPlan
    from miscomp.corpus.compress.run import CompressReport, Progress


def compress(
    corpus: CorpusArgument,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, show_default=False, help="Workers; default: what cores and memory allow, or the cluster."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Who runs them: local (this machine) or ray.")] = "local",
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Of a Ray cluster, such as auto or ray://head:10001.")
    ] = "",
    gpus: Annotated[float, typer.Option("--gpus-per-worker", min=0.0, help="Share of a GPU for each worker.")] = 0.0,
    every: Annotated[
        bool, typer.Option("--all", help="Every picture with every model, not only those of its half.")
    ] = False,
    unscreened: Annotated[
        bool, typer.Option("--unscreened", help="Take pictures along that wait for a screener.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Do nothing where a model cannot be run here.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is to do, and change nothing.")] = (
        False
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many tasks.", show_default=False)] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this model; may be given again.", show_default=False)
    ] = None,
    json_object: JsonOption = False,
) -> None:
    """Compress and decompress what is not there yet, and measure it.

    Weights, programs and libraries that are missing are listed first, and their models are left out. What fails is
    tried again, then listed. Stopped in any way, even killed, the next run goes on; nothing is done twice.

    Exit code: 0 all is done, 1 something failed, was left out or stopped (it is listed), 2 the request cannot be met.

    Example: miscomp corpus compress street --jobs 4
    """
    from miscomp.corpus.compress.engines import EngineOptions, open_engine
    from miscomp.corpus.compress.plan import CompressOptions
    from miscomp.corpus.compress.run import compress_corpus, plan_only
    from miscomp.corpus.corpus import open_corpus

    options = CompressOptions(every=every, unscreened=unscreened, models=tuple(model or ()), limit=limit, strict=strict)
    opened = open_corpus(corpus)
    if dry_run:
        plan = plan_only(opened, options)
        tell_plan(plan)
        typer.echo(json.dumps(plan_record(plan)) if json_object else plan_text(plan))
        raise typer.Exit(1 if plan.missing else 0)
    runner = open_engine(engine, EngineOptions(jobs=jobs, address=address, gpus_per_worker=gpus))
    with _showing() as progress:
        report = compress_corpus(opened, runner, options, announce=_announce, progress=progress)
    tell_report(report)
    typer.echo(json.dumps(report_record(report)) if json_object else report_text(report))
    if not report.complete:
        raise typer.Exit(1)


def tell_plan(plan: CompressPlan) -> None:
    """What to know before the work, on stderr."""
    for one in plan.missing:
        tell(f"left out: {one.model} ({one.spec}) cannot be run here: {one.reason}")
    for model in plan.stand_ins:
        tell(f"stand-in: {model.model} ({model.spec}): {model.stand_in}")
    for warning in plan.warnings:
        tell(f"warning: {warning}")
    if plan.nobody_screened and plan.tasks:
        tell("nobody has screened the pictures yet: all of them are taken")
    if plan.pending:
        tell(f"left out: {plan.pending} pictures wait for a screener (--unscreened takes them along)")


def _announce(plan: CompressPlan) -> None:
    tell_plan(plan)
    tell(plan_text(plan).replace("\n", "; "))


def plan_text(plan: CompressPlan) -> str:
    """Tasks and room in words."""
    gib = 2**30
    lines = [
        f"{len(plan.tasks)} tasks to do, {plan.there} done already, {plan.left_out} of models that cannot be run here",
        f"room: about {plan.need_bytes / gib:.2f} GiB needed (an estimate), {plan.free_bytes / gib:.2f} GiB free",
    ]
    return "\n".join([*lines, *(f"{name}: {count} tasks" for name, count in plan.models.items() if count)])


def plan_record(plan: CompressPlan) -> dict[str, object]:
    """The plan as JSON has it."""
    return {
        "tasks": len(plan.tasks),
        "models": dict(plan.models),
        "there": plan.there,
        "left_out": plan.left_out,
        "missing": [{"model": one.model, "spec": one.spec, "reason": one.reason} for one in plan.missing],
        "stand_ins": {one.model: one.stand_in for one in plan.stand_ins},
        "pending_pictures": plan.pending,
        "need_bytes": plan.need_bytes,
        "free_bytes": plan.free_bytes,
    }


def tell_report(report: CompressReport) -> None:
    """What went wrong, on stderr."""
    for where in report.set_aside:
        tell(f"set aside: {where}")
    for one in report.failed:
        tell(f"failed {one.attempts} times: {one.image_sha1}.png, {one.model}: {one.reason}")
    if report.stopped:
        tell(f"stopped: {report.stopped}; what is done is kept, run it again to go on")


def report_text(report: CompressReport) -> str:
    """What was done, in a line."""
    left = len(report.plan.tasks) - report.done - len(report.failed)
    earlier = f", {report.recovered} of an earlier run taken in" if report.recovered else ""
    return f"{report.done} done{earlier}, {len(report.failed)} failed, {left} not tried to the end"


def report_record(report: CompressReport) -> dict[str, object]:
    """What was done as JSON has it."""
    failed = [
        {"image_sha1": one.image_sha1, "model": one.model, "attempts": one.attempts, "reason": one.reason}
        for one in report.failed
    ]
    return {
        **plan_record(report.plan),
        "done": report.done,
        "recovered": report.recovered,
        "failed": failed,
        "set_aside": list(report.set_aside),
        "stopped": report.stopped,
    }


@contextmanager
def _showing() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; elsewhere what fails, and a line now and then."""
    if not sys.stderr.isatty():
        yield _tell_line
        return
    with progress_bar(transient=True) as bar:
        shown = bar.add_task("", total=None)

        def update(one: Progress) -> None:
            text = f"{one.task.image_sha1[:8]} {one.task.model}"
            bar.update(shown, total=one.total, completed=one.done, description=text)
            if one.outcome != "done":
                tell_above(bar, _told(one))

        yield update


def _tell_line(one: Progress) -> None:
    if one.outcome != "done" or one.done % max(1, one.total // 20) == 0 or one.done == one.total:
        tell(_told(one))


def _told(one: Progress) -> str:
    end = {
        "done": f"{one.seconds:.1f} s",
        "again": f"failed and will be tried again: {one.reason}",
        "failed": f"failed: {one.reason}",
    }[one.outcome]
    return f"[{one.done}/{one.total}] {one.task.image_sha1}.png, {one.task.model}: {end}"
