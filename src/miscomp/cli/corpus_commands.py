"""The verb `corpus`: from a folder of photographs to batches for labelers and to published tables."""

from __future__ import annotations

import typer

from miscomp.cli.corpus_add import add
from miscomp.cli.corpus_batch import batch
from miscomp.cli.corpus_compress import compress
from miscomp.cli.corpus_export import export
from miscomp.cli.corpus_import import import_
from miscomp.cli.corpus_init import init, status
from miscomp.cli.corpus_remove import remove
from miscomp.cli.corpus_sample import sample
from miscomp.cli.corpus_screen import screen
from miscomp.cli.corpus_verify import verify

_HELP = "Build a corpus of miscompressions from photographs, give it to labelers, publish it."

app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.callback(help=_HELP)
def _corpus() -> None: ...


app.command("init")(init)
app.command("add")(add)
app.command("status")(status)
app.command("verify")(verify)
app.command("remove")(remove)
app.command("screen")(screen)
app.command("sample")(sample)
app.command("export")(export)
app.command("import")(import_)
app.command("batch")(batch)
app.command("compress")(compress)
