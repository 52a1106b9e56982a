"""The verbs below `disclose`: say in a picture's file what a codec may have changed, and read it back."""

from __future__ import annotations

import typer

from miscomp.cli.disclose_read import read, verify
from miscomp.cli.disclose_write import keygen, mark, write

_HELP = "Say what a codec may have changed: in a picture's file, in a signed manifest, and to the eye."

app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.callback(help=_HELP)
def _disclose() -> None: ...


app.command("write")(write)
app.command("read")(read)
app.command("verify")(verify)
app.command("mark")(mark)
app.command("keygen")(keygen)
