"""One way to speak on stderr: a message is one line that no file name can break up or hide in."""

from __future__ import annotations

import typer

from miscomp.report.wording import one_line


def tell(message: str) -> None:
    """Write a line to stderr."""
    typer.echo(one_line(message), err=True)
