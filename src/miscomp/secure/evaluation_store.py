"""The folder of an evaluation of a self-destructing codec.

    settings.json                  what was asked for; another request needs another folder
    journal.jsonl                  one line per picture, written when all of it is measured
    pictures/KEY/NAME.png          small copies of the first pictures and of what became of them

A line counts when it is whole, so a killed run loses the picture that it was measuring and nothing else. Tables,
page, sheets and plots are made from these at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

import numpy as np
from PIL import Image

from miscomp.evaluate.measure import MeasuredRow
from miscomp.folders import ResultsFolder, add_line, read_lines
from miscomp.images import Pixels, write_png
from miscomp.records import Failure
from miscomp.secure.trials import CodedRow, PictureResult, TrialRow

JOURNAL = "journal.jsonl"
PICTURES = "pictures"
WRITTEN = (
    "images.csv",
    "edits.csv",
    "curve.csv",
    "evaluation.json",
    "evaluation.html",
    "sheets/again.png",
    "sheets/edits-*.png",
    "plots/*.png",
    "plots/*.svg",
)
"""What is made from the journal and the small copies."""

SMALL = 240
"""Most pixels a side of a small copy."""

_KEY = re.compile("[0-9a-f]{32}")

_Row = TypeVar("_Row", CodedRow, TrialRow, MeasuredRow, Failure)


@dataclass(frozen=True, slots=True)
class EvaluationFolder(ResultsFolder):
    """One evaluation's folder; one process at a time may own it."""

    kind: ClassVar[str] = "secure-evaluation"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Go on in a folder made with the same settings; with `force`, start anew in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the
        files of an earlier evaluation and nothing else.
        """
        if not force:
            self.check_settings(settings)
        elif self.saved_settings() is not None:
            (self.path / JOURNAL).unlink(missing_ok=True)
            self.keep_pictures(())
            self.clear_results()
        self.write_settings(settings)

    def clear_results(self) -> None:
        """Remove what an earlier run made from the journal, so that nothing in the folder is of another request."""
        self.clear(WRITTEN, ("sheets", "plots"))

    def keep_pictures(self, keys: tuple[str, ...]) -> None:
        """Remove the small copies of all other pictures; what else may lie there stays."""
        for folder in (self.path / PICTURES).glob("*"):
            if folder.name not in keys and _KEY.fullmatch(folder.name) and not folder.is_symlink():
                for file in folder.glob("*.png"):
                    file.unlink()
                with suppress(OSError):  # it holds something else
                    folder.rmdir()

    def load(self) -> dict[str, PictureResult]:
        """What was measured, by key. A line that is torn or damaged is dropped, to be measured again."""
        return read_lines(self.path / JOURNAL, _read_line)

    def add(self, key: str, result: PictureResult) -> None:
        """Write one line, and have it on the disk before going on."""
        add_line(self.path / JOURNAL, {"key": key, **dataclasses.asdict(result)})

    def small_copy(self, key: str, name: str) -> Path:
        """Where the small copy `name` of a picture lies."""
        return self.path / PICTURES / key / f"{name}.png"

    def add_small(self, key: str, name: str, pixels: Pixels) -> None:
        """Write a small copy, reduced by areas; a picture that is small already stays as it is."""
        path = self.small_copy(key, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, _reduced(pixels))


def picture_key(filename: str, image_sha1: str) -> str:
    """Name of one picture in an evaluation: 32 hex digits over the file's name and content."""
    text = json.dumps([filename, image_sha1], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def _reduced(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = SMALL / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _read_line(line: str) -> list[tuple[str, PictureResult]]:
    """Key and content of a whole line; nothing for another. Infinity stands as Python's JSON writes it."""
    if not line.endswith("\n"):
        return []
    try:
        record = json.loads(line)
        result = PictureResult(
            coded=_row(CodedRow, record["coded"]),
            trials=tuple(_row(TrialRow, one) for one in record["trials"]),
            curve=tuple(_row(MeasuredRow, one) for one in record["curve"]),
            failures=tuple(_row(Failure, one) for one in record["failures"]),
        )
        return [(str(record["key"]), result)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _row(kind: type[_Row], values: Mapping[str, Any]) -> _Row:
    """A record from its fields. Raises `TypeError` for missing, unknown and wrongly typed ones."""
    row = kind(**values)
    for name, hint in get_type_hints(kind).items():
        value = getattr(row, name)
        whole_for_float = type(value) is int and isinstance(0.5, hint)
        if not (isinstance(value, hint) or whole_for_float):
            raise TypeError(f"{name} is {value!r}")
    return row
