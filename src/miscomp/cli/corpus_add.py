"""`miscomp corpus add`: photographs in, with where they come from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell
from miscomp.workers import cores

if TYPE_CHECKING:
    from miscomp.corpus.config import Images
    from miscomp.corpus.intake.files import Listing
    from miscomp.corpus.intake.outcome import Result

_MOST_JOBS = 8
_MOST_KINDS = 8


def add(
    corpus: CorpusArgument,
    photographs: Annotated[
        list[Path], typer.Argument(metavar="SOURCE", help="Folders of photographs, or single files.")
    ],
    *,
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="The data set that they come from.")],
    licence: Annotated[
        str, typer.Option("--licence", metavar="TEXT", help="Under which they may be used: SPDX, or its words.")
    ],
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which part of the data set. [default: none is stated]")
    ] = "",
    recursive: Annotated[bool, typer.Option("--recursive/--flat", help="Look into folders of folders, too.")] = True,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Threads; results do not depend on it. [default: cores, at most 8]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each file.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Take photographs in: crop, scale down and store as PNG what is new, list what is not taken in and why.

    Rejected are pictures that are not stored as three channels, too small, too large, there already under another
    name, or removed earlier at a person's request. That is no failure. What cannot be read is: it is listed, the
    rest goes on, and the exit code is 1.

    A second run adds only what is new; one that was cut off goes on. The original files are not changed.

    Example: miscomp corpus add street photos --source RAISE --licence "research use only" --split test
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.intake.add import add_pictures
    from miscomp.corpus.intake.files import find_pictures
    from miscomp.corpus.intake.outcome import Outcome, Provenance, Result
    from miscomp.corpus.manifest import write_manifest

    provenance = Provenance(source=source, licence=licence, split=split)
    opened = open_corpus(corpus)
    listing = find_pictures(photographs, corpus, recursive=recursive)
    _tell_plan(listing, opened.config.images, source)
    results = [
        Result(path=Path(problem.where), name="", outcome=Outcome.FAILED, reason=problem.problem)
        for problem in listing.problems
    ]
    whole = False
    try:
        with nullcontext() if dry_run else opened.owned():
            work = add_pictures(
                opened, listing.files, provenance, jobs=jobs or min(cores(), _MOST_JOBS), dry_run=dry_run
            )
            with closing(work), progress_bar(transient=True) as bar:
                for result in bar.track(work, total=len(listing.files), description=""):
                    results.append(result)  # one by one: what is there when an error comes is told
            if not dry_run:
                write_manifest(opened)
        whole = True
    finally:
        # Also where the disk is full: what was added stays, and is told.
        if whole or results:
            _print(results, json_lines=json_lines)
            _tell_results(results)
    if dry_run:
        tell("nothing was written: --dry-run")
    if any(one.outcome == Outcome.FAILED for one in results):
        raise typer.Exit(1)


def _tell_plan(listing: Listing, images: Images, source: str) -> None:
    from miscomp.corpus.intake.preprocess import share_of

    share = share_of(images.scales, source)
    scaled = f"{share:.4g} of its size and " if share < 1 else ""
    tell(
        f"{len(listing.files)} files of {source}: each is cropped to multiples of {images.multiple} pixels and scaled "
        f"down to {scaled}at most {images.max_side} a side"
    )
    if listing.passed_over:
        most = Counter(listing.passed_over).most_common(_MOST_KINDS)
        rest = sum(listing.passed_over.values()) - sum(number for _, number in most)
        kinds = [f"{kind} {number}" for kind, number in most] + ([f"others {rest}"] if rest else [])
        tell(f"passed over, by suffix: {', '.join(kinds)}")


def _print(results: Sequence[Result], *, json_lines: bool) -> None:
    from miscomp.corpus.intake.outcome import Outcome

    if json_lines:
        for one in results:
            typer.echo(json.dumps(_record(one)))
        return
    for outcome in Outcome:
        chosen = [one for one in results if one.outcome == outcome]
        if outcome == Outcome.RESTORED and not chosen:
            continue
        kinds = sorted(Counter(one.kind for one in chosen if outcome == Outcome.REJECTED).items())
        listed = f" ({', '.join(f'{kind} {number}' for kind, number in kinds)})" if kinds else ""
        typer.echo(f"{outcome.value}: {len(chosen)}{listed}")


def _record(one: Result) -> dict[str, str]:
    return {
        "path": str(one.path),
        "name": one.name,
        "outcome": one.outcome.value,
        "image_sha1": one.image_sha1,
        "kind": one.kind,
        "reason": one.reason,
        "same_as": one.same_as,
        "note": one.note,
    }


def _tell_results(results: Sequence[Result]) -> None:
    """Every file that was not taken in, and how often something was noted of those that are."""
    from miscomp.corpus.intake.outcome import Outcome

    for one in results:
        if one.outcome in (Outcome.REJECTED, Outcome.FAILED):
            kind = f"{one.kind}: " if one.kind else ""
            same = f" ({one.same_as})" if one.same_as else ""
            tell(f"{one.outcome.value}: {one.path}: {kind}{one.reason}{same}")
    for (outcome, note), number in Counter((one.outcome, one.note) for one in results if one.note).most_common():
        tell(f"{outcome.value}: {number} of which it is noted: {note}")
