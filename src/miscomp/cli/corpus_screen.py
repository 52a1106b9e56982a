"""`miscomp corpus screen`: who looks through the pictures, what they said, and how well they agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell
from miscomp.errors import UsageError
from miscomp.report.wording import one_line, visible

if TYPE_CHECKING:
    from miscomp.corpus.corpus import Corpus
    from miscomp.corpus.screening.contact_sheet import SheetOptions


def screen(
    corpus: CorpusArgument,
    screener: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose sheet is written, or whose decisions are taken.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the sheet [CORPUS/screening/NAME]."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Sheet: also pictures that were decided on.")] = False,
    suggestions: Annotated[
        bool, typer.Option("--suggestions", help="Sheet: show what detectors saw. It sways decisions, and is recorded.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Sheet: replace one that is there, filled in or not.")] = False,
    take: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Take the decisions that a screener filled in.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Say how far it is, and how well screeners agree.")] = False,
    suggest: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Let detectors look: text, faces, detail; with commas.")
    ] = None,
    faces: Annotated[str, typer.Option(metavar="FILE", help="Weights of the face detector, for --suggest faces.")] = "",
    json_object: JsonOption = False,
) -> None:
    """Screen pictures: write a sheet for a screener, take what came back, report on agreement.

    A sheet is a page of pictures with the criteria, and a table to fill in; each screener has an order of their own
    and sees nobody's decisions. A picture is out only when all screeners say exclude or borderline. Rows of a table
    that are wrong are listed, the others are stored, and the exit code is 1.

    Example: miscomp corpus screen street --screener ann
    """
    from miscomp.corpus.corpus import open_corpus

    modes = {"--take": take is not None, "--report": report, "--suggest": suggest is not None}
    asked = [name for name, given in modes.items() if given]
    of_sheet = {"-o": output is not None, "--all": every, "--suggestions": suggestions, "--force": force}
    _check(asked, [name for name, given in of_sheet.items() if given], screener=screener, faces=faces)
    opened = open_corpus(corpus)
    if report:
        told = _report(opened)
    elif take is not None:
        told = _take(opened, take, str(screener))
    elif suggest is not None:
        told = _suggest(opened, suggest, faces)
    else:
        from miscomp.corpus.screening.contact_sheet import SheetOptions

        options = SheetOptions(every=every, suggestions=suggestions, force=force)
        told = _sheet(opened, str(screener), output, options)
    typer.echo(json.dumps({**told.record, "failures": told.failures}) if json_object else visible(told.text))
    for failure in told.failures:
        tell(f"failed: {failure}")
    if told.failures:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    text: str
    record: Mapping[str, Any]
    failures: tuple[str, ...] = ()


def _check(asked: Sequence[str], of_sheet: Sequence[str], *, screener: str | None, faces: str) -> None:
    """Raise `UsageError` for options that do not go together."""
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different things; ask for one at a time")
    if asked and of_sheet:
        raise UsageError(f"{', '.join(of_sheet)} belong to a sheet, not to {asked[0]}; leave them out")
    if asked in ([], ["--take"]) and not screener:
        raise UsageError(
            f"{'--take' if asked else 'a sheet'} needs --screener NAME; or ask for --report, or --suggest text,detail"
        )
    if asked in (["--report"], ["--suggest"]) and screener:
        raise UsageError(f"{asked[0]} is about all screeners; leave --screener out")
    if faces and asked != ["--suggest"]:
        raise UsageError("--faces belongs to --suggest faces; leave it out")


def _report(corpus: Corpus) -> _Told:
    from miscomp.corpus.screening.agreement import report_record, report_text, screening_report

    with corpus.reading() as connection:
        found = screening_report(connection, corpus.config)
    return _Told(text=report_text(found), record=report_record(found))


def _take(corpus: Corpus, path: Path, screener: str) -> _Told:
    from miscomp.corpus.manifest import write_manifest
    from miscomp.corpus.screening.decisions import take

    with corpus.owned():
        taken = take(corpus, path, screener)
        write_manifest(corpus)
    new = ", ".join(f"{number} {choice}" for choice, number in taken.stored.items())
    text = (
        f"{screener}: {sum(taken.stored.values())} decisions stored ({new}); {taken.unchanged} as before, "
        f"{taken.undecided} undecided, {len(taken.faults)} wrong"
    )
    record = {"stored": dict(taken.stored), "unchanged": taken.unchanged, "undecided": taken.undecided}
    return _Told(text=text, record=record, failures=taken.faults)


def _suggest(corpus: Corpus, names: str, faces: str) -> _Told:
    from miscomp.corpus.manifest import write_manifest
    from miscomp.corpus.screening.suggest import open_suggesters, suggest

    suggesters = open_suggesters([name.strip() for name in names.split(",") if name.strip()], faces=faces)
    with corpus.owned():
        with _bar("looking") as progress:
            done = suggest(corpus, suggesters, progress=progress)
        write_manifest(corpus)
    made = ", ".join(f"{kind} {number}" for kind, number in done.made.items())
    text = f"suggestions stored: {made}; {done.kept} were there; {len(done.failures)} pictures failed"
    return _Told(text=text, record={"stored": dict(done.made), "kept": done.kept}, failures=done.failures)


def _sheet(corpus: Corpus, screener: str, folder: Path | None, options: SheetOptions) -> _Told:
    from miscomp.corpus.entries import SourceImage
    from miscomp.corpus.manifest import write_manifest
    from miscomp.corpus.schema import count
    from miscomp.corpus.screening.contact_sheet import write_sheet

    with corpus.owned():
        with _bar("drawing") as progress:
            sheet = write_sheet(corpus, screener, folder, options=options, progress=progress)
        write_manifest(corpus)
    record = {"pictures": sheet.pictures, "page": str(sheet.page), "table": str(sheet.table)}
    if not sheet.pictures and not sheet.failures:
        with corpus.reading() as connection:
            if not count(connection, SourceImage):
                tell("the corpus has no pictures yet; add some with miscomp corpus add")
        return _Told(text=f"{screener} has nothing left to decide on", record={"pictures": 0})
    tell(f"{sheet.pictures} pictures for {screener}: look at the page, fill in the table, then give it to --take")
    return _Told(
        text=f"{one_line(str(sheet.page))}\n{one_line(str(sheet.table))}", record=record, failures=sheet.failures
    )


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    with progress_bar(transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
