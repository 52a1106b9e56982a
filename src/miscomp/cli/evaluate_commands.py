"""The verb `evaluate`: images through codecs, figures and curves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from miscomp.cli.audit_commands import showing_progress
from miscomp.cli.talk import MegapixelsOption, tell
from miscomp.errors import UsageError
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.evaluate.summary import Evaluation


def evaluate(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Images, or folders of images.")],
    *,
    codec: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Codec: a whole curve for a name alone, one point for a name with its setting (lucid@0.25bpp, "
            "jpeg@q75); may be repeated.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for tables, summaries and plots.")
    ],
    points: Annotated[int, typer.Option(min=2, help="Qualities that make a curve, from about 0.1 to 1.5 bpp.")] = 8,
    bpp: Annotated[
        str | None,
        typer.Option(metavar="RATES", help="Rates that make a curve instead, as in 0.15,0.25,0.5; each is searched."),
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Published curve to compare with, or `none`; may be repeated; only for the 24 Kodak images, which "
            "get some by themselves.",
        ),
    ] = None,
    expect: Annotated[
        Literal["published"] | None,
        typer.Option(
            help="Compare each point with the one published for the same weights, and leave with 1 if any differs by "
            "more than the tolerances; only for the 24 Kodak images."
        ),
    ] = None,
    tolerance_bpp: Annotated[float, typer.Option(metavar="PERCENT", help="For --expect: percent of rate.")] = 1.0,
    tolerance_psnr: Annotated[float, typer.Option(metavar="DB", help="For --expect: dB of PSNR.")] = 0.05,
    tolerance_ms_ssim: Annotated[float, typer.Option(metavar="DB", help="For --expect: dB of MS-SSIM.")] = 0.05,
    generations: Annotated[
        int, typer.Option(min=0, help="Compress each picture this many times over, and show the drift.")
    ] = 0,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Measure peak memory too, in two processes for each setting.")
    ] = True,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the curves.")] = True,
    max_megapixels: MegapixelsOption = 200.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the evaluation in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout, no table.")] = False,
) -> None:
    """Measure codecs: rate, quality and speed of real files, curves and how far they lie apart.

    A second run into the same DIR with the same settings does only what is new. What fails is listed, the rest goes
    on, and the exit code is 1.

    Example: miscomp evaluate photos --codec lucid --codec jpeg --codec webp -o evaluation
    """
    from miscomp.evaluate.expect import Tolerances
    from miscomp.evaluate.points import make_points
    from miscomp.evaluate.run import EvaluateOptions, run_evaluation

    specs = make_points(codec, points=points, bpps=_rates(bpp))
    tolerances = Tolerances(bpp_percent=tolerance_bpp, psnr_db=tolerance_psnr, ms_ssim_db=tolerance_ms_ssim)
    if expect is None and tolerances != Tolerances():
        raise UsageError("tolerances apply to --expect published only; give that too, or leave them out")
    options = EvaluateOptions(
        generations=generations,
        published=None if not published else tuple(published),
        expect=None if expect is None else tolerances,
        memory=memory,
        plots=plots,
        max_megapixels=max_megapixels,
        force=force,
    )
    with showing_progress() as progress:
        evaluation = run_evaluation(images, specs, output, options, progress=progress)
    _tell(evaluation, output, json_object=json_object)


def _rates(text: str | None) -> list[float]:
    """Read `0.15,0.25`; raises `UsageError` for anything else."""
    try:
        return [float(part) for part in text.split(",")] if text is not None else []
    except ValueError as error:
        raise UsageError(f"--bpp needs rates with commas between them, as in 0.15,0.25,0.5; got {text!r}") from error


def _tell(evaluation: Evaluation, folder: Path, *, json_object: bool) -> None:
    """Print figures on stdout, what went wrong on stderr.

    Leaves with 1 if anything failed, or if a point differs from the published one by more than is tolerated.
    """
    from miscomp.evaluate.summary import summary_record
    from miscomp.evaluate.summary_text import summary_text

    if json_object:
        typer.echo(json.dumps(summary_record(evaluation)))
    else:
        typer.echo(summary_text(evaluation).rstrip("\n"))
        typer.echo(f"summary: {one_line(str(folder / 'summary.json'))}")
    for failure in evaluation.failures:
        tell(f"failed: {failure.name}: {failure.reason}")
    differing = [one for one in evaluation.deviations if one.beyond]
    for one in differing:
        tell(f"differs from what was published: {one.codec}@{one.setting}: {', '.join(one.beyond)}")
    if evaluation.failures or differing:
        raise typer.Exit(1)
