"""What the commands share: an option, and how they speak on stderr.

A message is one line that no file name can break up or hide in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")]

MegapixelsOption = Annotated[
    float, typer.Option("--max-megapixels", min=1e-6, help="Refuse pictures with more pixels, in millions.")
]


def tell(message: str) -> None:
    """Write a line to stderr."""
    typer.echo(one_line(message), err=True)


def progress_bar(*, transient: bool = False) -> Progress:
    """A bar on stderr with count, time left and a description; `transient` leaves nothing behind."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=transient,
    )


def tell_above(bar: Progress, message: str) -> None:
    """Write a line above a bar, as plain text: a file name must not be read as markup."""
    from rich.text import Text

    bar.console.print(Text(one_line(message)), soft_wrap=True)
