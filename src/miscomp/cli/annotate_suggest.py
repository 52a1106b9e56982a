"""`miscomp annotate suggest`: put what detectors found into a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, tell

_SHOWN = 50
"""Problems that are told."""


def suggest(
    corpus: CorpusArgument,
    reports: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT...", help="Folders of audits, or tables of boxes that detectors found."),
    ],
    *,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Model of all boxes, as where reconstructions were given to an audit.")
    ] = "",
    detector: Annotated[
        str, typer.Option(metavar="NAME", help="What the detector is called in the corpus; else as the rows say.")
    ] = "",
    json_line: JsonOption = False,
) -> None:
    """Take in what detectors found, as suggestions to labelers where the settings show them.

    Rows are matched by the picture's SHA-1 and the model's name or spec. Best audit the corpus' own files: any other
    reconstruction may have its faults elsewhere. What a detector found on the same pairs before is superseded; taking
    the same again changes nothing. Labelers are shown suggestions only with suggestions = true in [annotate] of
    corpus.toml. They sway people: who sees them looks there, and less elsewhere. What was shown is recorded.

    Rows that are wrong are listed, their pairs are left as they are, and the exit code is 1.

    Example: miscomp annotate suggest street report-03L --model 03L
    """
    from miscomp.annotate.suggestions import take_findings
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.manifest import write_manifest

    opened = open_corpus(corpus)
    with opened.owned():
        taken = take_findings(opened, reports, detector=detector, model=model)
        write_manifest(opened)
    for problem in taken.problems[:_SHOWN]:
        tell(f"not taken: {problem}")
    if len(taken.problems) > _SHOWN:
        tell(f"not taken: {len(taken.problems) - _SHOWN} more")
    if not opened.config.annotate.suggestions:
        tell("labelers are shown none of them: suggestions is false in [annotate] of corpus.toml")
    counts = {"pairs": taken.pairs, "added": taken.added, "there": taken.there, "superseded": taken.superseded}
    if json_line:
        typer.echo(json.dumps({**counts, "not_taken": len(taken.problems)}))
    else:
        typer.echo(
            f"{taken.pairs} pairs: {taken.added} boxes new, {taken.there} were there, {taken.superseded} superseded; "
            f"{len(taken.problems)} rows not taken"
        )
    if taken.problems:
        raise typer.Exit(1)
