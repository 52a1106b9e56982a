"""`miscomp corpus batch`: make batches, share them out among labelers, and take in what they wrote."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from miscomp.corpus.batches.files import HandOut
    from miscomp.corpus.batches.planning import Made, Share
    from miscomp.corpus.corpus import Corpus


def batch(
    corpus: CorpusArgument,
    *,
    labelers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Who is given batches, as in ann,bob,cem; else those who have some, or the settings'."
        ),
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Batch what is there of bulks that are not all compressed, too.")
    ] = False,
    unscreened: Annotated[
        bool, typer.Option("--unscreened", help="Take pictures that screeners have still to decide on, too.")
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write DIR/LABELER/BATCH folders with pictures and tables to fill in."),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="With --files: hard links to the corpus' files instead of copies.")
    ] = False,
    take: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take in the tables that --labeler filled in under DIR instead.")
    ] = None,
    labeler: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --files: only this labeler's; with --take: whose.")
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Put pairs of original and reconstruction into batches, and share the batches out among the labelers.

    A bulk of pictures is batched when all its pairs are compressed: in random order, 25 a batch. Every labeler is given
    the agreement batches; the others are shared out evenly. Batches once made never change, nor whose they are: running
    it again only adds. Labelers see names that tell neither picture nor codec nor source. What every labeler has is
    printed; folders that could not be written, and tables that are wrong, are listed, and the exit code is 1.

    Example: miscomp corpus batch street --files /media/lab/street
    """
    from miscomp.corpus.batches.files import HandOut
    from miscomp.corpus.batches.planning import check_labelers
    from miscomp.corpus.corpus import open_corpus

    if take is not None:
        others = (labelers is not None, incomplete, unscreened, files is not None, link)
        if labeler is None or any(others):
            raise UsageError("--take DIR goes with --labeler NAME and with nothing else that is about batches")
        _take(open_corpus(corpus), take, labeler, json_lines=json_lines)
        return
    if files is None and (link or labeler is not None):
        raise UsageError("--link and --labeler say which files to write; give --files DIR too, or --take DIR")
    opened = open_corpus(corpus)
    people = check_labelers([name.strip() for name in labelers.split(",")] if labelers is not None else _people(opened))
    wanted = None if files is None else HandOut(folder=files, labelers=[labeler] if labeler else (), link=link)
    _batch(opened, people, wanted, flags=(incomplete, unscreened), json_lines=json_lines)


def _people(corpus: Corpus) -> list[str]:
    """Who has batches already; at first those of the settings."""
    from miscomp.corpus.batches.planning import shares

    with corpus.reading() as connection:
        known = [one.labeler for one in shares(connection)]
    return known or list(corpus.config.batches.labelers)


def _batch(
    corpus: Corpus, people: tuple[str, ...], wanted: HandOut | None, *, flags: tuple[bool, bool], json_lines: bool
) -> None:
    from miscomp.corpus.batches.planning import assign, make_batches, shares
    from miscomp.corpus.manifest import write_manifest

    incomplete, unscreened = flags
    with corpus.owned():
        with corpus.writing() as connection:
            made = make_batches(connection, corpus.config, incomplete=incomplete, unscreened=unscreened)
            given = assign(connection, corpus.config, people)
            found = shares(connection)
        write_manifest(corpus)
        _tell_made(made, given=len(given))
        _print_shares(found, json_lines=json_lines)
        failed = wanted is not None and _write(corpus, wanted, {one.labeler for one in found})
    if failed:
        raise typer.Exit(1)


def _tell_made(made: Made, *, given: int) -> None:
    pairs = sum(one.size for one in made.batches)
    tell(f"{len(made.batches)} new batches with {pairs} pairs; {given} new assignments")
    for one in made.waiting:
        tell(f"bulk {one.bulk} waits: {one.there} of {one.allotted} pairs are there; --incomplete batches these now")
    if made.missing:
        tell(f"{made.missing} pairs are not compressed yet, {made.failed} of them failed: see miscomp corpus compress")
    if made.unbulked:
        tell(f"{made.unbulked} pictures are not compressed by any model yet")
    if made.undecided:
        tell(f"{made.undecided} pictures are left out until the screeners decide; --unscreened takes them")
    if made.training:
        tell(f"{made.training} pairs are left out because labelers are trained on them")


def _print_shares(found: list[Share], *, json_lines: bool) -> None:
    for one in found:
        if json_lines:
            typer.echo(json.dumps(asdict(one)))
        else:
            common = f"{one.agreement_batches} of them for agreement"
            typer.echo(f"{one.labeler}: {one.batches} batches ({common}), {one.pairs} pairs")


def _write(corpus: Corpus, wanted: HandOut, known: set[str]) -> bool:
    """Whether any folder failed."""
    from miscomp.corpus.batches.files import write_batch_files

    if unknown := sorted({*wanted.labelers} - known):
        raise UsageError(f"{', '.join(unknown)} has no batches; those who have: {', '.join(sorted(known)) or 'nobody'}")
    with progress_bar(transient=True) as bar:
        task = bar.add_task("batch folders", total=None)
        result = write_batch_files(
            corpus, wanted, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    tell(f"{len(result.written)} folders written to {wanted.folder}, {result.there} were there already")
    if result.left_out:
        tell(f"{result.left_out} pairs are left out: their picture was removed")
    for problem in result.problems:
        tell(problem)
    return bool(result.problems)


def _take(corpus: Corpus, folder: Path, labeler: str, *, json_lines: bool) -> None:
    from miscomp.corpus.batches.intake import take_batch_files
    from miscomp.corpus.manifest import write_manifest

    with corpus.owned():
        taken, problems = take_batch_files(corpus, folder, labeler)
        write_manifest(corpus)
    for one in taken:
        if json_lines:
            typer.echo(json.dumps({"labeler": labeler, **asdict(one)}))
        else:
            news = f"{one.added} new, {one.changed} changed, {one.deleted} deleted"
            typer.echo(f"{one.batch}: {one.seen} of {one.pairs} pairs seen, {one.boxes} boxes ({news})")
    for problem in problems:
        tell(problem)
    if problems:
        tell(f"{len(problems)} batches were not taken in; correct their tables and run this again")
        raise typer.Exit(1)
