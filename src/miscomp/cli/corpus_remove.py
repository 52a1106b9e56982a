"""`miscomp corpus remove`: take a picture out at a person's request."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, tell
from miscomp.errors import UsageError


def remove(
    corpus: CorpusArgument,
    pictures: Annotated[list[str], typer.Argument(metavar="SHA1...", help="Names of pictures, or how they begin.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What the manifest says; no person's name.")] = (
        "removed on request"
    ),
    force: Annotated[bool, typer.Option("--force", help="Delete. Without it, only say what would go.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Remove pictures at a person's request: their pixels go for good, coordinates and numbers stay in the tables.

    The original, compressed files and reconstructions are deleted, and their copies in every folder that this corpus
    was exported, batched or sampled to and that is still there, crops included. Tables and checksum lists in those
    folders still name it: they are listed, and are yours to make anew. The same photograph is never taken in again.

    Example: miscomp corpus remove street 01f0f60f --force
    """
    from miscomp.corpus.checks.removal import find_pictures, remove_picture
    from miscomp.corpus.corpus import open_corpus
    from miscomp.corpus.entries import Copied
    from miscomp.corpus.schema import fetch

    opened = open_corpus(corpus)
    with opened.reading() as connection:
        images = find_pictures(connection, pictures)
        copied = sorted({one.path for one in fetch(connection, Copied)})
    if not force:
        for image in images:
            typer.echo(f"{image.image_sha1} {image.name} ({image.source}, {image.width} x {image.height})")
        raise UsageError(
            f"nothing was deleted; give --force to delete these {len(images)} pictures here"
            + (f" and their copies in {', '.join(copied)}" if copied else "")
        )
    with opened.owned():
        for image in images:
            removal = remove_picture(opened, image, reason)
            look, gone = [one.path for one in removal.look], [one.path for one in removal.gone]
            if json_lines:
                files = [str(path) for path in removal.files]
                typer.echo(json.dumps({"image_sha1": image.image_sha1, "deleted": files, "look": look, "gone": gone}))
            else:
                typer.echo(f"{image.image_sha1}: {len(removal.files)} files deleted")
            for path in look:
                tell(f"look through {path}: tables in it name the picture, and what others made of it may show it")
            for path in gone:
                tell(f"{path} is not here any more; wherever it is now, the picture is still in it")
    tell("copies that others have downloaded, and backups, cannot be reached from here")
