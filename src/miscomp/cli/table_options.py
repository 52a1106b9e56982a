"""Options that `agree` and `stats` share: a corpus, or bare tables in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CorpusOrTables = Annotated[
    Path | None, typer.Argument(metavar="[CORPUS]", help="Folder of the corpus; or give tables instead.")
]
AnnotationsOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.csv", help="Table of boxes; may be repeated: tables are put together."),
]
ImagesOption = Annotated[
    list[Path] | None, typer.Option(metavar="FILE.csv", help="Table of reconstructions; may be repeated.")
]
