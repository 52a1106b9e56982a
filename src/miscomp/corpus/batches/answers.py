"""What labelers wrote into the tables of their batch folders: `batch.csv` and `boxes.csv`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from miscomp.corpus.batches.files import BATCH_COLUMNS, BATCH_TABLE, BOXES_COLUMNS, BOXES_TABLE
from miscomp.errors import TableError
from miscomp.records import Box
from miscomp.taxonomy import MultiKind, split_categories

MAX_BYTES = 16 * 1024 * 1024
"""Larger tables are not read."""
_MAX_ERRORS = 20
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A pair as the database has it, for comparing."""

    position: int
    alias: str
    image_sha1: str
    model: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A line of `boxes.csv`."""

    box: Box
    category: str
    symbol: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said of a pair that was looked at."""

    pair: Known
    multi: bool | None
    """None: nothing was written."""
    multi_kind: str
    note: str
    boxes: tuple[Drawn, ...]


def read_batch_files(folder: Path, pairs: Sequence[Known]) -> list[Answer]:
    """What a folder's tables say of the pairs that were looked at: `seen`, a box or a word on multi says that.

    Tables may be those of a spreadsheet: commas, semicolons or tabs, columns in any order. Raises `TableError` that
    names the lines that are wrong, twenty at most.
    """
    names = {one.alias: one for one in pairs} | {str(one.position): one for one in pairs}
    boxes = _read_boxes(folder / BOXES_TABLE, names)
    met: set[str] = set()
    answers: list[Answer] = []

    def read(row: Mapping[str, str]) -> None:
        pair = _pair(row["alias"], names)
        if pair.alias in met:
            raise ValueError("this pair has a line already")
        met.add(pair.alias)
        seen, multi = _yes(row, "seen"), _yes(row, "multi")
        kind = row["multi_kind"].lower()
        if kind and (not multi or kind not in tuple(MultiKind)):
            raise ValueError(f"multi_kind is {kind!r}; allowed with multi = 1: {', '.join(MultiKind)}")
        drawn = boxes.pop(pair.alias, {}).values()
        if seen is False and (drawn or multi):
            raise ValueError("seen is 0, and yet there are boxes or multi = 1; write 1, or take them out")
        if seen or (seen is None and (drawn or multi is not None)):
            answers.append(Answer(pair=pair, multi=multi, multi_kind=kind, note=row["note"], boxes=tuple(drawn)))
        elif row["note"]:
            raise ValueError("has a note and is not marked as seen; write 1 into seen, or take the note out")

    _each_line(folder / BATCH_TABLE, BATCH_COLUMNS, read)
    if boxes:
        numbers = ", ".join(f"{names[alias].position:03d}" for alias in sorted(boxes))
        raise TableError(folder / BOXES_TABLE, f"has boxes for pairs {numbers}, of which {BATCH_TABLE} has no line")
    return answers


def _read_boxes(path: Path, names: Mapping[str, Known]) -> dict[str, dict[Box, Drawn]]:
    found: dict[str, dict[Box, Drawn]] = {}

    def read(row: Mapping[str, str]) -> None:
        pair = _pair(row["alias"], names)
        for name in "xywh":
            if not _NUMBER.fullmatch(row[name]):
                raise ValueError(f"{name} is {row[name][:40]!r}, needs a whole number of pixels")
        box = Box(*(int(row[name]) for name in "xywh"))
        box.check_inside(pair.width, pair.height)
        if box in found.get(pair.alias, {}):
            raise ValueError("this box has a line already")
        category = row["category"].upper()
        split_categories(category)
        symbol = bool(_yes(row, "symbol"))
        drawn = Drawn(box=box, category=category, symbol=symbol, note=row["note"])
        found.setdefault(pair.alias, {})[box] = drawn

    _each_line(path, BOXES_COLUMNS, read)
    return found


def _pair(name: str, names: Mapping[str, Known]) -> Known:
    pair = names.get(name.lstrip("0") if _NUMBER.fullmatch(name) else name.lower())
    if pair is None:
        raise ValueError(f"alias {name[:60]!r} is not of this batch; write the alias or the number of a picture's file")
    return pair


def _yes(row: Mapping[str, str], name: str) -> bool | None:
    if row[name] not in ("", "0", "1"):
        raise ValueError(f"{name} is {row[name][:40]!r}; allowed: 1, 0 or nothing")
    return row[name] == "1" if row[name] else None


def _each_line(path: Path, columns: tuple[str, ...], read: Callable[[Mapping[str, str]], None]) -> None:
    """Have every line read that is not empty. Raises `TableError` with all that `read` finds wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TableError(path, f"has {path.stat().st_size} bytes, at most {MAX_BYTES} are read")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(path, f"cannot be read: {error}; save it as CSV in UTF-8") from error
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    errors = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        header = [cell.strip().lower() for cell in next(reader, [])]
        if sorted(header) != sorted(columns):
            raise TableError(path, f"the header is {header}, needs {list(columns)}")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                if len(cells) != len(header):
                    raise ValueError(f"has {len(cells)} cells, the header has {len(header)}")
                if any("\0" in cell for cell in cells):
                    raise ValueError("has a NUL character, which no database keeps; take it out")
                read({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
            except ValueError as error:
                errors.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        raise TableError(path, f"cannot be read as a table: {error}") from error
    if errors:
        more = f"; and {len(errors) - _MAX_ERRORS} more" if len(errors) > _MAX_ERRORS else ""
        raise TableError(path, "; ".join(errors[:_MAX_ERRORS]) + more)
