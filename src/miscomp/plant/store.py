"""The folder of planted pairs: a set of pairs as `miscomp.pairset` says, and what a run needs to go on.

    settings.json                  what was asked for; another request needs another folder
    originals/, reconstructions/   pictures
    sheets/STEM.png                each plant before, after and coded
    pictures/KEY.json              the rows of one photograph, written when all its pictures are there

A killed run loses the photograph it was at and nothing else. Tables are made from the rows at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_type_hints

from miscomp.folders import ResultsFolder, write_text
from miscomp.pairset import ANNOTATIONS, IMAGES, MODELS, NEGATIVES, PLANTS
from miscomp.records import Annotation, ImageRow, Plant

UNREADABLE = "unreadable.csv"
SUMMARY = "summary.json"
WRITTEN = (ANNOTATIONS, IMAGES, MODELS, NEGATIVES, PLANTS, UNREADABLE, SUMMARY)
"""What is made at the end, beside the settings."""

_FOLDERS = ("originals", "reconstructions", "sheets", "pictures")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureResult:
    """Everything that came of one photograph."""

    name: str
    """The photograph's file name."""
    images: tuple[ImageRow, ...] = ()
    labels: tuple[Annotation, ...] = ()
    negatives: tuple[Annotation, ...] = ()
    unreadable: tuple[Annotation, ...] = ()
    plants: tuple[Plant, ...] = ()
    files: tuple[str, ...] = ()
    """Pictures written, relative to the folder."""
    missing: tuple[str, ...] = ()
    """Kinds that found no place, once for each plant."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    failures: tuple[str, ...] = ()
    kept: bool = False
    """Whether it was made by an earlier run."""
    seconds: float = 0.0


_STORED = ("images", "labels", "negatives", "unreadable", "plants")
_WORDS = ("files", "missing", "notes")


@dataclass(frozen=True, slots=True)
class PlantFolder(ResultsFolder):
    """One request's folder; one process at a time may own it."""

    kind: ClassVar[str] = "planting"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Go on in a folder made with the same settings; with `force`, start anew in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the
        files of an earlier planting and nothing else.
        """
        try:
            if not force:
                self.check_settings(settings)
            elif self.saved_settings() is not None:
                self._clear()
            for name in _FOLDERS:
                (self.path / name).mkdir(exist_ok=True)
            self.write_settings(settings)
        except OSError as error:
            raise self.useless(error) from error

    def _clear(self) -> None:
        for name in WRITTEN:
            (self.path / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)

    def load(self, key: str) -> PictureResult | None:
        """A finished photograph; none where there is none, or where its files are damaged or missing."""
        try:
            saved = json.loads((self.path / "pictures" / f"{key}.json").read_text(encoding="ascii"))
            result = _result(saved)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return result if all((self.path / name).is_file() for name in result.files) else None

    def save(self, key: str, result: PictureResult) -> None:
        """Keep what came of a photograph, without the time that it took."""
        record: dict[str, Any] = {"name": result.name}
        record |= {name: [dataclasses.asdict(row) for row in getattr(result, name)] for name in _STORED}
        record |= {name: list(getattr(result, name)) for name in _WORDS}
        write_text(self.path / "pictures" / f"{key}.json", json.dumps(record, ensure_ascii=True, indent=1) + "\n")


def picture_key(filename: str, image_sha1: str, about: str) -> str:
    """Name of one photograph's rows: 32 hex digits over its file's name and content, and what is planted in it."""
    text = json.dumps([filename, image_sha1, about], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


Row = TypeVar("Row", Annotation, ImageRow, Plant)


def _result(saved: dict[str, Any]) -> PictureResult:
    files, missing, notes = (tuple(str(one) for one in saved[name]) for name in _WORDS)
    return PictureResult(
        name=str(saved["name"]),
        images=_rows(ImageRow, saved["images"]),
        labels=_rows(Annotation, saved["labels"]),
        negatives=_rows(Annotation, saved["negatives"]),
        unreadable=_rows(Annotation, saved["unreadable"]),
        plants=_rows(Plant, saved["plants"]),
        files=files,
        missing=missing,
        notes=notes,
        kept=True,
    )


def _rows(record: type[Row], rows: list[dict[str, Any]]) -> tuple[Row, ...]:
    """Records from JSON; raises `TypeError` where a value is not of its field's type."""
    hints = get_type_hints(record)
    for row in rows:
        for name, value in row.items():
            if not isinstance(value, hints[name]) and not (type(value) is int and isinstance(0.0, hints[name])):
                raise TypeError(f"{name} is {value!r}")
    return tuple(record(**row) for row in rows)
