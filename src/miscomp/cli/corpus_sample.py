"""`miscomp corpus sample`: crops of a corpus."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import progress_bar, tell
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from miscomp.corpus.samples.crops import Sample

Many = list[str] | None


def sample(
    corpus: CorpusArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for crops, table and sheet.")],
    size: Annotated[str | None, typer.Option(metavar="PIXELS", help="256 or 320x256. [default: 256]")] = None,
    count: Annotated[int, typer.Option(min=0, help="At most so many places; 0 for all there are.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    annotated: Annotated[bool, typer.Option("--annotated", help="Each crop holds an annotation.")] = False,
    free: Annotated[bool, typer.Option("--free", help="No annotation reaches into a crop.")] = False,
    context: Annotated[
        float | None,
        typer.Option(metavar="FACTOR", min=1.0, max=100.0, help="An annotation and its surroundings, so much larger."),
    ] = None,
    matched: Annotated[
        bool, typer.Option("--matched", help="To each annotated or context crop a similar one free of annotations.")
    ] = False,
    codec: Annotated[Many, typer.Option(metavar="NAME", help="Such as C3; may be repeated, as the next four.")] = None,
    model: Annotated[Many, typer.Option(metavar="NAME", help="Such as 03L.")] = None,
    rate: Annotated[Many, typer.Option(metavar="LETTER", help="Last letter of the model: L or H.")] = None,
    source: Annotated[Many, typer.Option(metavar="NAME", help="Where the photograph is from.")] = None,
    split: Annotated[Many, typer.Option(metavar="NAME", help="Such as train or test.")] = None,
    min_bpp: Annotated[float | None, typer.Option(min=0, help="Real rate of the reconstruction.")] = None,
    max_bpp: Annotated[float | None, typer.Option(min=0, help="Real rate of the reconstruction.")] = None,
    min_annotations: Annotated[int, typer.Option(min=0, help="That the whole reconstruction has.")] = 0,
    labeler: Annotated[str, typer.Option(metavar="NAME", help="Only around annotations of this one.")] = "",
    category: Annotated[str, typer.Option(metavar="NAME", help="Only around AMPLITUDE, GEOMETRY or SHAPE.")] = "",
    symbol: Annotated[bool, typer.Option("--symbol", help="Only around annotations of symbols.")] = False,
    detections: Annotated[bool, typer.Option("--detections", help="Detectors' boxes count as annotations.")] = False,
    unviewed: Annotated[
        bool, typer.Option("--unviewed", help="What nobody looked through may count as free of annotations.")
    ] = False,
    all_models: Annotated[
        bool, typer.Option("--all-models/--no-all-models", help="Cut the same area from every other model.")
    ] = True,
    show: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Enlarge to this side, by whole pixels.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the sample in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON on stdout.")] = False,
) -> None:
    """Cut crops at random, by a seed: with annotations, free of them, around them, or anywhere.

    Crops free of annotations never come from reconstructions that are flagged multi, nor from those that nobody looked
    through. The corpus remembers DIR, which holds copies of its pixels. The path of the table is printed on stdout.
    Fewer than asked for is said; none, or damaged files, leave with 1.

    Example: miscomp corpus sample street -o sample --annotated --matched --rate L --count 50 --seed 1
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.samples.crops import SampleOptions, make_sample
    from miscomp.corpus.samples.draw import Kind, Request
    from miscomp.corpus.samples.pool import Filters
    from miscomp.corpus.samples.rows import TABLE

    around = annotated or context is not None
    _check(around=around, annotated=annotated, free=free, context=context, size=size)
    if not around and (matched or labeler or category or symbol):
        raise UsageError("--matched, --labeler, --category and --symbol need --annotated or --context")
    width, height = _size(size or "256")
    kind = Kind.CONTEXT if context is not None else Kind.ANNOTATED if annotated else Kind.FREE if free else Kind.RANDOM
    request = Request(
        kind=kind,
        width=width,
        height=height,
        context=context or 2.0,
        count=count,
        seed=seed,
        labeler=labeler,
        category=category.upper(),
        symbol=symbol,
        matched=matched,
    )
    filters = Filters(
        codecs=tuple(codec or ()),
        models=tuple(model or ()),
        rates=tuple(rate or ()),
        min_bpp=min_bpp,
        max_bpp=max_bpp,
        sources=tuple(source or ()),
        splits=tuple(split or ()),
        min_annotations=min_annotations,
        detections=detections,
        unviewed=unviewed,
    )
    options = SampleOptions(all_models=all_models, show=show, force=force)
    with progress_bar(transient=True) as bar:
        task = bar.add_task("reading the corpus", total=None)
        found = make_sample(
            open_corpus(corpus),
            output,
            request,
            filters,
            options=options,
            report=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )
    _tell(found, output / TABLE, json_object=json_object)


def _check(*, around: bool, annotated: bool, free: bool, context: float | None, size: str | None) -> None:
    """Raise `UsageError` for kinds of crops that exclude each other."""
    if free and around:
        raise UsageError("--free contradicts --annotated and --context; make two samples in two folders")
    if context is not None and annotated:
        raise UsageError("--context crops hold their annotation anyway; leave out --annotated")
    if context is not None and size is not None:
        raise UsageError("--context crops are as large as their annotation asks for; leave out --size")


def _size(text: str) -> tuple[int, int]:
    """Read `256` and `320x256`. Raises `UsageError` for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?", text)
    if found is None:
        raise UsageError(f"--size needs pixels, as in 256 or 320x256 (width x height); got {text!r}")
    return int(found[1]), int(found[2] or found[1])


def _tell(found: Sample, table: Path, *, json_object: bool) -> None:
    """Print figures on stdout, what is short or went wrong on stderr. Leaves with 1 for no crop, or a failure."""
    record: dict[str, Any] = {
        "table": str(table),
        "asked": found.asked or None,
        "found": found.found,
        "crops": len(found.rows),
        "unmatched": found.unmatched,
        "passed_over": dict(found.passed_over),
        "missing_originals": found.missing_originals,
        "failures": [{"name": one.name, "reason": one.reason} for one in found.failures],
    }
    typer.echo(json.dumps(record) if json_object else str(table))
    tell(f"{found.found} places, {len(found.rows)} crops of reconstructions")
    if found.found < found.asked:
        reasons = "; ".join(f"{number} {why}" for why, number in found.passed_over)
        note = f"; reconstructions passed over: {reasons}" if reasons else ""
        tell(f"{found.asked} were asked for, there are no more that meet the request{note}")
    if found.unmatched:
        tell(f"{found.unmatched} have no matched crop: no room free of annotations, or no original to compare with")
    if found.missing_originals:
        tell(f"{found.missing_originals} originals are not there; their cells are empty")
    for one in found.failures:
        tell(f"failed: {one.name}: {one.reason}")
    if found.failures or not found.found:
        raise typer.Exit(1)
