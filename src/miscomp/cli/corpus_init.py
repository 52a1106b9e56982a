"""`miscomp corpus init` and `status`: begin a corpus, and see how far it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, tell


def init(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="A new folder.")],
    profile: Annotated[str, typer.Option(metavar="NAME", help="Codecs to begin with: sclic, sclic-tfci, builtin.")] = (
        "sclic"
    ),
) -> None:
    """Begin a corpus: a folder with commented settings, whose defaults are SCLIC's, and an empty database.

    Edit its corpus.toml, then add photographs. The path of that file is printed on stdout.

    Example: miscomp corpus init street --profile builtin
    """
    from miscomp.corpus.config import CONFIG
    from miscomp.corpus.corpus import create_corpus
    from miscomp.corpus.manifest import write_manifest
    from miscomp.corpus.profiles import PROFILES

    row = PROFILES[profile]
    corpus = create_corpus(name, row.config())
    write_manifest(corpus)
    typer.echo(str(name / CONFIG))
    for model in row.models:
        if model.stand_in:
            tell(f"{model.model} ({model.spec}): a stand-in; {model.stand_in}")
    tell(
        f"next: look through {name / CONFIG}, then: miscomp corpus add {name} PHOTOGRAPHS --source NAME --licence NAME"
    )


def status(corpus: CorpusArgument, json_lines: JsonOption = False) -> None:
    """Say how far a corpus is: pictures, screening, reconstructions by model, batches, annotations.

    Example: miscomp corpus status street
    """
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.manifest import summary

    opened = open_corpus(corpus)
    with opened.reading() as connection:
        found = summary(connection, opened.config)
    if json_lines:
        typer.echo(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        text = "; ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else value
        typer.echo(f"{name:{width}}  {'-' if text == '' else text}")
