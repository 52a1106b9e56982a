"""The verb `agree`: how well labelers agree, of a corpus or of bare tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from miscomp.cli.table_options import AnnotationsOption, CorpusOrTables, ImagesOption
from miscomp.errors import UsageError
from miscomp.report.wording import visible

if TYPE_CHECKING:
    from miscomp.stats.material import Material


def agree(
    corpus: CorpusOrTables = None,
    *,
    annotations: AnnotationsOption = None,
    images: ImagesOption = None,
    views: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv",
            help="Table of who has seen what; may be repeated. Without it, every labeler of the boxes has seen every "
            "reconstruction.",
        ),
    ] = None,
    per_side: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Units per side, with commas; 4 cuts an image into 16 tiles.")
    ] = "1,2,4,8,16",
    rule: Annotated[
        Literal["majority", "largest"],
        typer.Option(help="Which tile a box counts in: the one with more than half of it, if any, or with most of it."),
    ] = "majority",
    labeler: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these labelers; may be repeated.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these models' reconstructions; may be repeated.")
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes/--no-boxes", help="Also match the boxes of every two labelers one to one.")
    ] = True,
    resamples: Annotated[int, typer.Option(help="Resamples behind each interval.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    method: Annotated[
        Literal["percentile", "bca"], typer.Option(help="How the resamples make the interval of a coefficient.")
    ] = "percentile",
    json_object: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, no tables.")] = False,
) -> None:
    """Measure how well labelers agree on where images were miscompressed.

    What counts are the reconstructions that at least two of the labelers have seen. A detector is a labeler too.

    Example: miscomp agree street --per-side 1,4,16
    """
    from miscomp.stats.agreement import agree as measure
    from miscomp.stats.agreement import check_request, participants
    from miscomp.stats.agreement_text import agreement_record, agreement_text
    from miscomp.stats.boxmatch import box_agreement

    numbers = _numbers(per_side)
    check_request(numbers, rule, resamples, method)
    material = participants(_material(corpus, annotations or [], images or [], views or []), labeler or (), model or ())
    found = measure(material, numbers, rule=rule, resamples=resamples, seed=seed, method=method)
    if boxes:
        found = replace(found, on_boxes=box_agreement(material, resamples=resamples, seed=seed))
    typer.echo(json.dumps(agreement_record(found), allow_nan=False) if json_object else visible(agreement_text(found)))


def _numbers(text: str) -> list[int]:
    """Read `1,2,4`; raises `UsageError` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"--per-side needs whole numbers with commas between them, as in 1,2,4; got {text!r}")
    return [int(part) for part in parts]


def _material(corpus: Path | None, annotations: list[Path], images: list[Path], views: list[Path]) -> Material:
    """Raises `UsageError` unless there is either a corpus or both tables."""
    from miscomp.stats.material import from_corpus, from_tables

    if corpus is not None:
        if annotations or images or views:
            raise UsageError("give a corpus or tables, not both")
        from miscomp.corpus.corpus import open_corpus

        return from_corpus(open_corpus(corpus))
    if not annotations or not images:
        raise UsageError("agree needs a corpus, or tables: --annotations annotations.csv --images images.csv")
    return from_tables(annotations, images, views)
