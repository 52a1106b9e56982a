"""`miscomp corpus import`: take a published release, an exported corpus or a table of annotations into a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell

if TYPE_CHECKING:
    from miscomp.corpus.corpus import Corpus
    from miscomp.corpus.imports.files import Taken
    from miscomp.corpus.imports.mapping import Mapping
    from miscomp.corpus.imports.plan import Plan
    from miscomp.corpus.imports.run import Planned
    from miscomp.corpus.imports.tables import Problem

_SHOWN = 50
"""Problems that are told; with --problems all are written."""
_EXAMPLES = 5


class Files(StrEnum):
    """How pictures come in."""

    NONE = "none"
    LINK = "link"
    COPY = "copy"


def import_(
    corpus: CorpusArgument,
    release: Annotated[
        Path | None, typer.Argument(metavar="RELEASE", help="Folder of a release or of an exported corpus.")
    ] = None,
    *,
    annotations: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of boxes; without RELEASE it may come alone.")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="FILE", help="Table of reconstructions.")] = None,
    files: Annotated[
        Files, typer.Option(help="Pictures of RELEASE: none, hard links (same disk; never edit them), or copies.")
    ] = Files.NONE,
    labeler: Annotated[str, typer.Option(metavar="NAME", help="Who drew boxes that name nobody.")] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="Model of all boxes, whatever the table says.")] = "",
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of columns, models and folders, edited.")
    ] = None,
    write_mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the default mapping for editing, and do nothing else.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what would be done, and change nothing.")] = False,
    problems: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every problem as a line of JSON.")
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Take in a published release such as SCLIC's, an exported corpus, or a table of annotations.

    Rows that are wrong are listed with file and line, the others are taken; leaves with 1 if there were any. Importing
    again adds nothing twice. Rates and measures are kept as the release states them. The layout of the published SCLIC
    release is known from its paper only: if a column or model is not understood, write the mapping, edit it, use it.

    Example: miscomp corpus import sclic downloads/sclic --files link
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.imports.mapping import read_mapping
    from miscomp.corpus.imports.mapping import write_mapping as write
    from miscomp.corpus.imports.run import Request, apply_plan, plan_import
    from miscomp.corpus.manifest import write_manifest
    from miscomp.errors import UsageError

    if write_mapping is not None:
        write(write_mapping)
        typer.echo(str(write_mapping))
        return
    if files is not Files.NONE and release is None:
        raise UsageError(f"--files {files.value} needs the folder of the RELEASE that the pictures are in")
    names = read_mapping(mapping)
    opened = open_corpus(corpus)
    request = Request(release=release, annotations=annotations, images=images, labeler=labeler, model=model)
    taken: Taken | None = None
    with opened.owned():
        planned = plan_import(opened, request, names)
        if not check:
            apply_plan(opened, planned.plan)
            try:
                if files is not Files.NONE and release is not None:
                    taken = _take(opened, planned, release, names, link=files is Files.LINK)
            finally:
                write_manifest(opened)
    found = planned.plan.problems + (taken.problems if taken else [])
    _tell(planned.plan, taken, names)
    _tell_problems(found, problems)
    _print(planned.plan, taken, json_line=json_lines)
    if check:
        tell("nothing was changed: --check")
    if found:
        raise typer.Exit(1)


def _take(corpus: Corpus, planned: Planned, release: Path, names: Mapping, *, link: bool) -> Taken:
    from miscomp.corpus.imports.run import import_files

    with progress_bar(transient=True) as bar:
        shown = bar.add_task("files", total=None)
        return import_files(
            corpus,
            planned,
            release,
            names,
            mode="link" if link else "copy",
            step=lambda done, of: bar.update(shown, completed=done, total=of),
        )


def _tell(plan: Plan, taken: Taken | None, names: Mapping) -> None:
    """What was read, what disagrees, and how it compares with what the release's authors state."""
    from miscomp.corpus.imports.run import differences

    for table in plan.tables:
        tell(f"{table.role}: {table.path}" + (" (as miscomp writes it)" if table.own else ""))
    for kind, examples in plan.notes.items():
        rest = f" ... ({len(examples)} in all)" if len(examples) > _EXAMPLES else ""
        tell(f"note: {kind}: {'; '.join(examples[:_EXAMPLES])}{rest}")
    for note in (taken.notes if taken else [])[:_SHOWN]:
        tell(f"note: {note}")
    for line in differences(plan, names):
        tell(f"differs: {line}")


def _tell_problems(found: Iterable[Problem], file: Path | None) -> None:
    from miscomp.errors import UsageError
    from miscomp.folders import write_text

    listed = list(found)
    if file is not None:
        lines = [json.dumps({"file": one.file, "line": one.line, "reason": one.reason}) + "\n" for one in listed]
        try:
            write_text(file, "".join(lines))
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error}; choose another file for --problems") from error
    for one in listed[:_SHOWN]:
        tell(f"not taken: {one}")
    if len(listed) > _SHOWN:
        more = f"in {file}" if file else "give --problems FILE to have all"
        tell(f"not taken: {len(listed) - _SHOWN} more; {more}")


def _print(plan: Plan, taken: Taken | None, *, json_line: bool) -> None:
    files = dict(sorted(taken.files.items())) if taken else {}
    problems = len(plan.problems) + (len(taken.problems) if taken else 0)
    if json_line:
        typer.echo(json.dumps({"added": plan.rows, "there": dict(plan.there), "files": files, "not_taken": problems}))
        return
    for name, count in plan.rows.items():
        there = f" ({plan.there[name]} were there)" if plan.there[name] else ""
        typer.echo(f"{name}: {count} new{there}")
    for name, count in files.items():
        typer.echo(f"files of {name}: {count}")
    typer.echo(f"not taken: {problems}")
