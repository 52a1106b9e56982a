"""`miscomp corpus export`: publish a corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, progress_bar, tell

if TYPE_CHECKING:
    from miscomp.corpus.exports.run import Exported


class Images(StrEnum):
    """How pixels go out."""

    NONE = "none"
    LINK = "link"
    COPY = "copy"


class Shown(StrEnum):
    """Whether something goes out as it is."""

    HIDE = "hide"
    KEEP = "keep"


def export(
    corpus: CorpusArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the export.")],
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="tables, parquet, coco, imagefolder, croissant or datasheet; may be repeated. Without it: all but "
            "imagefolder.",
        ),
    ] = None,
    images: Annotated[
        Images,
        typer.Option(help="Pictures: none, hard links to those of the corpus (same disk; never edit them), or copies."),
    ] = Images.NONE,
    streams: Annotated[bool, typer.Option("--streams", help="With the pictures the compressed files.")] = False,
    labelers: Annotated[
        Shown, typer.Option(help="Labelers' names: hide behind pseudonyms that stay the same, or keep.")
    ] = Shown.HIDE,
    names: Annotated[
        Shown, typer.Option(help="What photographs' files were called: hide, or keep in sources.csv.")
    ] = Shown.HIDE,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the export in DIR, what was filled in there included.")
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """Publish a corpus: tables, COCO, Parquet, an image folder, Croissant, README and data sheet, checksums.

    The same corpus gives the same bytes. A second run with the same options goes on where one was stopped, keeps what
    was filled in into README, data sheet, licences and citation, and renews the checksums. SHA256SUMS is written last,
    and only when nothing is missing.

    Example: miscomp corpus export street -o release --images copy
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.exports.release import ExportOptions
    from miscomp.corpus.exports.run import export_corpus

    options = ExportOptions(
        formats=tuple(format_ or ()),
        images=images.value,
        streams=streams,
        labelers=labelers is Shown.KEEP,
        names=names is Shown.KEEP,
        force=force,
    )
    with _bar() as progress:
        made = export_corpus(open_corpus(corpus), output, options, progress=progress)
    _tell(made, json_line=json_lines)


def _tell(made: Exported, *, json_line: bool) -> None:
    """Print the folder, or all figures; leaves with 1 if pictures failed."""
    figures = {
        "annotations": made.annotations,
        "reconstructions": made.reconstructions,
        "pictures": made.pictures,
        "removed": made.removed,
    }
    if json_line:
        failures = [{"name": one.name, "reason": one.reason} for one in made.failures]
        record = {"folder": str(made.folder), "formats": made.formats, **figures, "failures": failures}
        typer.echo(json.dumps(record))
    else:
        typer.echo(str(made.folder))
        tell(
            f"{', '.join(made.formats)}: {made.annotations} annotations of {made.reconstructions} reconstructions, "
            f"{made.pictures} picture files; {made.removed} photographs are removed ones"
        )
    for one in made.failures:
        tell(f"failed: {one.name}: {one.reason}")
    if not made.whole:
        tell("the export is not whole and has no SHA256SUMS; correct what failed, then give the same command again")
        raise typer.Exit(1)


@contextmanager
def _bar() -> Iterator[Callable[[int, int, str], None]]:
    from rich.text import Text

    with progress_bar(transient=True) as bar:
        shown = bar.add_task("", total=None)

        def update(done: int, total: int, name: str) -> None:
            # Plain text: a name must not be read as markup.
            bar.update(shown, total=total, completed=done, description=Text(name).markup)

        yield update
