"""The verb `stats`: tables and figures of a corpus or of bare tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from miscomp.cli.table_options import AnnotationsOption, CorpusOrTables, ImagesOption
from miscomp.cli.talk import progress_bar, tell, tell_above
from miscomp.errors import UsageError
from miscomp.report.wording import one_line

_SHOWN = (
    "model",
    "codec",
    "rate",
    "viewed",
    "share_annotated",
    "mean_boxes",
    "share_multi",
    "side_geometric",
    "side_arithmetic",
    "boxes",
)


def stats(
    corpus: CorpusOrTables = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for tables, figures and the page.")
    ],
    annotations: AnnotationsOption = None,
    images: ImagesOption = None,
    views: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv",
            help="Table of who has seen what; may be repeated. Without it, shares of what was viewed are undefined.",
        ),
    ] = None,
    models: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.csv", help="Table of models, for targets; may be repeated.")
    ] = None,
    labeler: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only these labelers, detectors too; may be repeated. Else all people."),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these models; may be repeated.")] = None,
    everyone: Annotated[
        bool,
        typer.Option(
            "--everyone", help="Where several saw the same, count the boxes of all, not of one drawn by seed."
        ),
    ] = False,
    at: Annotated[
        str, typer.Option(metavar="RATES", help="Rates in bpp at which codecs are compared, with commas.")
    ] = "0.25,0.5,0.75",
    resamples: Annotated[int, typer.Option(help="Resamples behind each interval and p-value.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn at random.")] = 0,
    factors: Annotated[
        bool, typer.Option("--factors/--no-factors", help="Fit the regression on what goes with annotations.")
    ] = True,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the figures.")] = True,
    gallery: Annotated[
        int, typer.Option(min=0, metavar="N", help="Annotations that the page shows; copies pixels of the corpus.")
    ] = 200,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the statistics in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print statistics.json on one line, no table.")] = False,
) -> None:
    """Describe what labelers found: how often, how much, of what kind, and how codecs compare.

    Every number comes with its interval and with how many it was taken from. Shares need to know what was viewed; where
    no views are recorded, they are undefined.

    Example: miscomp stats street -o street-statistics
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.stats.material import from_corpus, from_tables
    from miscomp.stats.run import STATISTICS, StatsOptions, Telling, make_statistics, statistics_record
    from miscomp.stats.write import text_table

    options = StatsOptions(
        resamples=resamples,
        seed=seed,
        labelers=tuple(labeler or ()),
        models=tuple(model or ()),
        everyone=everyone,
        targets=_rates(at),
        factors=factors,
        plots=plots,
        gallery=gallery,
        force=force,
    )
    tables = (annotations or [], images or [], views or [], models or [])
    if corpus is not None and any(tables):
        raise UsageError("give a corpus or tables, not both")
    if corpus is None and not (annotations and images):
        raise UsageError("stats needs a corpus, or tables: --annotations annotations.csv --images images.csv")
    opened = open_corpus(corpus) if corpus is not None else None
    material = from_corpus(opened) if opened is not None else from_tables(*tables)
    if not material.annotations:
        tell("there are no annotations yet: what follows from them is 0 or undefined in every table")
    title = (opened.config.about.title or opened.folder.resolve().name) if opened else tables[0][0].name
    with progress_bar(transient=True) as bar:
        task = bar.add_task("cutting out annotations", total=None, visible=False)
        telling = Telling(
            say=lambda line: tell_above(bar, line),
            cut=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
        found = make_statistics(material, output, options, corpus=opened, title=title, telling=telling)
    if json_object:
        typer.echo(json.dumps(statistics_record(found), allow_nan=False))
    else:
        shown = found.table("table2")
        typer.echo(
            text_table(shown, _SHOWN) + f"{one_line(shown.note)}\nstatistics: {one_line(str(output / STATISTICS))}"
        )
    for failure in found.failures:
        tell(f"failed: {failure.name}: {failure.reason}")
    if found.failures:
        raise typer.Exit(1)


def _rates(text: str) -> tuple[float, ...]:
    """Read `0.15,0.25`; raises `UsageError` for anything else."""
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError as error:
        raise UsageError(f"--at needs rates with commas between them, as in 0.25,0.5; got {text!r}") from error
