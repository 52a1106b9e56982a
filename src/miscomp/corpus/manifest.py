"""`manifest.json`: what is in a corpus, for people and programs. It is an export: the database is the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from miscomp.corpus.config import Config, explain
from miscomp.corpus.corpus import MANIFEST, Corpus
from miscomp.corpus.entries import LabelEvent
from miscomp.corpus.inventory import take_inventory
from miscomp.corpus.manifest_form import FORM, Manifest
from miscomp.corpus.schema import count
from miscomp.errors import InputError
from miscomp.folders import write_text

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are no manifests."""
_ANEW = "any command that changes the corpus writes it anew"


def summary(connection: Connection, config: Config) -> dict[str, Any]:
    """Counts of everything, in one line each: those of the manifest."""
    found = take_inventory(connection, config, title="")
    images = found.screening.verdicts.model_dump()
    return {
        "images": sum(images.values()),
        "rejected files": sum(one.files for one in found.rejected),
        "removed at a person's request": len(found.removed),
        "screening": {name: number for name, number in images.items() if number},
        "reconstructions": sum(one.done for one in found.models),
        "by model": {one.model: f"{one.done} (allotted {one.allotted})" for one in found.models},
        "failed tasks": sum(one.failed for one in found.models),
        "batches": found.batches.batches,
        "pairs in batches": found.batches.pairs,
        "batches that nobody was given": found.batches.unassigned,
        "pairs seen": {one.labeler: one.seen for one in found.labelers},
        "boxes": {f"{one.labeler} ({one.origin})": one.boxes for one in found.annotations},
        "pairs with multi-miscompressions": found.multi_pairs,
        "label events": count(connection, LabelEvent),
    }


def manifest_of(connection: Connection, corpus: Corpus) -> Manifest:
    """What the database says now."""
    return take_inventory(connection, corpus.config, title=corpus.folder.resolve().name)


def manifest_text(connection: Connection, corpus: Corpus) -> str:
    """The file's content: the same database gives the same text."""
    content = manifest_of(connection, corpus).model_dump(mode="json")
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_manifest(corpus: Corpus) -> None:
    """Write `manifest.json` anew from the database."""
    with corpus.reading() as connection:
        text = manifest_text(connection, corpus)
    write_text(corpus.folder / MANIFEST, text)


def read_manifest(path: Path) -> Manifest:
    """Read a `manifest.json`. Raises `InputError` that names every key that is wrong, and for a later form."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(path, f"has {path.stat().st_size} bytes, a manifest at most {MAX_BYTES}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            path, f"cannot be read as a manifest: {error}; any command that changes the corpus writes it anew"
        ) from error
    number = content.get("miscomp_manifest") if isinstance(content, dict) else None
    if type(number) is not int:
        raise InputError(path, "is no manifest of a corpus: it has no number miscomp_manifest")
    if number > FORM:
        raise InputError(path, f"has form {number}, this release knows up to {FORM}; update miscomp")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(path, f"{explain(error)}; {_ANEW}") from error
