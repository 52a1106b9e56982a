"""`miscomp corpus verify`: is everything there, and is it what it was?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell
from miscomp.errors import UsageError


def verify(
    corpus: CorpusArgument,
    quick: Annotated[bool, typer.Option("--quick", help="Do not hash: only whether files are there.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode every compressed file and compare.")] = False,
    mend: Annotated[bool, typer.Option("--repair", help="Mend what can be recomputed exactly.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Check every file against its hash, every row against its file and against the other rows.

    Prints what is wrong, one line each, and leaves with 1 if anything is left. --repair restores files that can be made
    again to the same bytes or pixels, moves strays to orphans/, and never replaces what labelers have seen.

    Example: miscomp corpus verify street --decode
    """
    from miscomp.corpus.checks.repair import repair
    from miscomp.corpus.checks.verify import Report, VerifyOptions, verify_corpus
    from miscomp.corpus.corpus import open_corpus

    if quick and decode:
        raise UsageError("--quick and --decode contradict each other; leave one out")
    opened = open_corpus(corpus)

    def look() -> Report:
        with progress_bar(transient=True) as bar:
            task = bar.add_task("checking", total=None)
            options = VerifyOptions(quick=quick, decode=decode)
            return verify_corpus(
                opened, options, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )

    if mend:
        with opened.owned():
            report = look()
            found = repair(opened, report.faults) if report.faults else ()
    else:
        report = look()
        found = report.faults
    for one in found:
        typer.echo(json.dumps(asdict(one)) if json_lines else str(one))
    left = [one for one in found if not one.mended]
    what = f"{report.images} pictures, {report.reconstructions} reconstructions, {report.files} files"
    how = "found there" if quick else f"hashed, {report.decoded} decoded" if decode else "hashed"
    tell(f"{what} {how}: {len(left)} faults" + (f", {len(found) - len(left)} mended" if mend else ""))
    if left:
        raise typer.Exit(1)
