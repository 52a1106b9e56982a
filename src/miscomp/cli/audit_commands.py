"""The verb `audit`: pairs in, a report out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.talk import MegapixelsOption, progress_bar, tell_above
from miscomp.cli.talk import tell as say
from miscomp.errors import UsageError
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.audit.run import Progress
    from miscomp.report.run import Run


def audit(
    originals: Annotated[Path, typer.Argument(metavar="ORIGINALS", help="An image, or a folder of images.")],
    reconstructions: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECONSTRUCTIONS",
            help="What a codec made of them: an image or .misc stream, or a folder; matched by name without extension.",
        ),
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report and its tables.")
    ],
    codec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="Codec to audit, as in lucid@0.25bpp, jpeg@q30 or jpeg@like:lucid (the rate that lucid reached on "
            "that image); may be repeated. Without codecs and RECONSTRUCTIONS: lucid@0.25bpp and jpeg@like:lucid.",
        ),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEEDS",
            help="Audit every codec that decodes at random with each of these seeds, as in --seed 1 --seed 2 or "
            "--seed 1,2,3, and say which findings come back.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; results do not depend on it. [default: what cores and memory allow]"),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which detector looks for changes. [default: the one that scored best]"),
    ] = None,
    faces: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Weights of a face detector: RetinaFace MobileNet 0.25 (.pth) or YuNet (.onnx)."
        ),
    ] = "",
    face_embedding: Annotated[
        str, typer.Option(metavar="FILE", help="Weights of SFace (.onnx), to tell faces apart; only with --faces.")
    ] = "",
    text: Annotated[bool, typer.Option("--text/--no-text", help="Read text in both pictures and compare it.")] = True,
    max_megapixels: MegapixelsOption = 200.0,
    disclose: Annotated[
        bool,
        typer.Option(
            "--disclose", help="Also write copies of the reconstructions that say in their metadata what was found."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the audit in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, no table.")] = False,
) -> None:
    """Find where a codec may have changed what photographs mean, and write a report.

    Originals are compared with what codecs make of them, with RECONSTRUCTIONS, or with both. Two files match
    whatever their names. Files without a partner are listed and are no failure, unless nothing matches. Sizes must
    be equal. The rate of a reconstruction is known only if it is a .misc stream or a JPEG.

    A second run into the same DIR with the same settings does only what is new. What fails is listed, the rest goes
    on, and the exit code is 1.

    Example: miscomp audit photos --codec lucid@0.25bpp --codec jpeg@like:lucid -o report
    """
    from miscomp.audit.run import DEFAULT_CODECS, AuditOptions, run_audit
    from miscomp.codecs.request import with_seeds
    from miscomp.codecs.spec import parse_spec
    from miscomp.detect.base import DEFAULT_DETECTOR, DetectSettings
    from miscomp.detect.catalog import DETECTORS

    names = codec or (DEFAULT_CODECS if reconstructions is None else ())
    row = DETECTORS[detector or DEFAULT_DETECTOR]
    reads = text and row.reads_text
    detect = DetectSettings(detector=row.name, text=reads, faces=faces, face_embedding=face_embedding)
    options = AuditOptions(jobs=jobs, max_megapixels=max_megapixels, detect=detect, force=force, disclose=disclose)
    given = None if reconstructions is None else [reconstructions]
    specs = with_seeds(tuple(map(parse_spec, names)), _seeds(seed or ()))
    with showing_progress() as progress:
        run = run_audit([originals], given, specs, output, options, progress=progress)
    tell(run, output, json_object=json_object)


def _seeds(texts: Sequence[str]) -> list[int]:
    """Read `1` and `1,2,3`; raises `UsageError` for anything else."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and len(part) <= 20)]
    if wrong:
        raise UsageError(f"--seed needs whole numbers of 0 or more with commas between them; got {wrong[0]!r}")
    return [int(part) for part in parts]


def tell(run: Run, folder: Path, *, json_object: bool) -> None:
    """Print a finished audit: figures on stdout, what went wrong on stderr. Leaves with 1 if anything failed."""
    from miscomp.report.seeds import seeds_text, summarise_seeds
    from miscomp.report.summary import summarise, summary_text

    summary = summarise(run)
    report = folder / "report.html"
    if json_object:
        figures = {"images": summary.images, "pairs": summary.reconstructions, "findings": summary.findings}
        failures = [{"name": failure.name, "reason": failure.reason} for failure in run.failures]
        record = {"report": str(report), **figures, "failures": failures, "unmatched": list(run.unmatched)}
        if run.seeds:
            record["seeds"] = [
                {"model": one.model, "seeds": one.seeds, "images": one.images, "places_by_seeds": dict(one.places)}
                for one in summarise_seeds(run.seeds)
            ]
        typer.echo(json.dumps(record))
    else:
        typer.echo(summary_text(summary).rstrip("\n"))
        if run.seeds:
            typer.echo(seeds_text(run.seeds))
        typer.echo(f"report: {one_line(str(report))}")
    if run.settings.get("detect.faces") == "":
        say("faces were not looked for: no face detector was given (--faces)")
    for missed in _missed_rates(run):
        say(f"rate not reached: {missed}")
    for name in run.unmatched:
        say(f"no partner: {name}")
    for failure in run.failures:
        say(f"failed: {failure.name}: {failure.reason}")
    if run.failures:
        raise typer.Exit(1)


def _missed_rates(run: Run) -> list[str]:
    """Codecs asked for at a rate that they did not come close to, with how often."""
    from miscomp.codecs.rate import TOLERANCE
    from miscomp.codecs.spec import parse_spec
    from miscomp.records import GIVEN

    reached: dict[str, list[bool]] = {}
    for row in (result.row for result in run.results if result.row.model != GIVEN):
        target = parse_spec(row.model).bpp
        if target is not None and row.bpp is not None:
            reached.setdefault(row.model, []).append(abs(row.bpp / target - 1) <= TOLERANCE)
    return [
        f"{model} on {oks.count(False)} of {len(oks)} images; the report says why"
        for model, oks in reached.items()
        if not all(oks)
    ]


@contextmanager
def showing_progress() -> Iterator[Callable[[Progress], None]]:
    """Show an audit's progress on stderr: a bar on a terminal, else a line for each pair."""
    if not sys.stderr.isatty():
        yield _tell_line
        return
    from rich.text import Text

    with progress_bar(transient=True) as bar:
        shown = bar.add_task("", total=None)

        def update(progress: Progress) -> None:
            what = "writing the report" if progress.outcome == "writing" else _pair(progress)
            # Plain text: a file name must not be read as markup.
            bar.update(shown, total=progress.total, completed=progress.done, description=Text(what).markup)
            if progress.outcome == "failed":
                tell_above(bar, _told(progress))

        yield update


def _tell_line(progress: Progress) -> None:
    if progress.outcome == "writing":
        say("writing the report")
    elif progress.outcome in ("done", "kept", "failed"):
        say(_told(progress))


def _told(progress: Progress) -> str:
    end = {
        "done": f"{progress.seconds:.1f} s",
        "kept": "done earlier",
        "failed": f"failed: {one_line(progress.reason)}",
    }.get(progress.outcome, progress.outcome)
    return f"[{progress.done}/{progress.total}] {_pair(progress)}: {end}"


def _pair(progress: Progress) -> str:
    return ", ".join(one_line(part) for part in (progress.name, progress.model) if part)
