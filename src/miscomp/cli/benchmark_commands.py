"""The verb `benchmark`: labelled pairs and detectors in, scores out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.audit_commands import showing_progress
from miscomp.cli.talk import MegapixelsOption, tell
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.benchmark.run import Benchmark


def benchmark(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="Folder of labelled pairs, as `miscomp plant` writes it, or annotations by people laid out alike.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for scores, tables, plots and the page.")
    ],
    detector: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Detector to score; may be repeated. Without it: the default detector and all baselines.",
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text/--no-text", help="Let detectors read text (needs the extra `text`).")
    ] = True,
    resamples: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resamples of the bootstrap; 0 leaves intervals out.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    plots: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Draw the curves (needs the extra `plots`).")
    ] = True,
    max_megapixels: MegapixelsOption = 200.0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace the benchmark in DIR, or write beside other files there. What detectors saw is kept as far "
            "as it still holds.",
        ),
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print all figures as JSON on stdout, no table.")] = False,
) -> None:
    """Score detectors on pairs whose changes of meaning are known: how much they find, and what is false.

    A second run into the same DIR with the same settings does only what is new. Pairs that fail are listed, the rest
    goes on, and the exit code is 1.

    Example: miscomp benchmark planted --detector rules --detector ssim -o scores
    """
    from miscomp.benchmark.run import BenchmarkOptions, choose_detectors, detect_settings, run_benchmark

    options = BenchmarkOptions(
        resamples=resamples,
        seed=seed,
        plots=plots,
        max_megapixels=max_megapixels,
        force=force,
        detect=detect_settings(text=text),
    )
    rows = choose_detectors(detector or (), text=text)
    with showing_progress() as progress:
        scored = run_benchmark(pairs, rows, output, options, progress=progress)
    _tell(scored, output, json_object=json_object)


def _tell(scored: Benchmark, folder: Path, *, json_object: bool) -> None:
    """Print figures on stdout, what went wrong on stderr. Leaves with 1 if anything failed."""
    from miscomp.benchmark.page import PAGE
    from miscomp.benchmark.summary import record, summary_text

    if json_object:
        typer.echo(json.dumps(record(scored)))
    else:
        typer.echo(summary_text(scored).rstrip("\n"))
        typer.echo(f"page: {one_line(str(folder / PAGE))}")
    for failure in scored.failures:
        tell(f"failed: {failure.name}: {failure.reason}")
    if scored.failures:
        raise typer.Exit(1)
