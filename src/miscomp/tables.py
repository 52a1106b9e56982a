"""CSV tables of the records: one column per field, in order; written and read back identically.

Booleans are 0 or 1, an empty cell is none, floats are written with all their digits. A text that a
spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break) is written
behind an apostrophe, as is a text that begins with one; reading takes exactly one apostrophe off.
"""

from __future__ import annotations

import csv
import operator
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from miscomp.errors import TableError
from miscomp.folders import replacing
from miscomp.records import Annotation, ImageRow, ModelRow, Plant, View

Record = TypeVar("Record", Annotation, ImageRow, View, ModelRow, Plant)

MAX_CELL = 131_072
"""Characters of a cell; the csv module refuses to read longer ones."""

_GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def columns(record: type[Any]) -> tuple[str, ...]:
    """Column names of a record's table, in order."""
    return tuple(f.name for f in fields(record))


def guarded(text: str) -> str:
    """The text behind an apostrophe where a spreadsheet would run it as a formula, and where it begins with one."""
    return "'" + text if text.startswith(_GUARDED) else text


def _types(record: type[Any]) -> dict[str, tuple[type, bool]]:
    """For each column its plain type and whether an empty cell means none."""
    hints = typing.get_type_hints(record)
    result: dict[str, tuple[type, bool]] = {}
    for name in columns(record):
        hint = hints[name]
        if isinstance(hint, types.UnionType):
            plain = next(part for part in hint.__args__ if part is not type(None))
            result[name] = (plain, True)
        else:
            result[name] = (hint, False)
    return result


def _write_cell(value: Any, kind: type) -> str:
    if value is None:
        return ""
    if kind is bool:
        return str(int(value))
    if kind is float:
        return repr(float(value))  # a NumPy number's own repr names its type
    if kind is int:
        return str(operator.index(value))
    text = guarded(str(value))
    if len(text) > MAX_CELL:
        raise ValueError(f"has {len(text)} characters, at most {MAX_CELL} can be read back; shorten it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[:80]!r} cannot be written as UTF-8; rename the file or correct the text") from error
    return text


def _read_cell(text: str, kind: type, optional: bool) -> object:
    if kind is str:
        return text[1:] if text.startswith("'") else text
    if not text and optional:
        return None
    if kind is bool:
        if text not in ("0", "1"):
            raise ValueError(f"needs 0 or 1, got {text!r}")
        return text == "1"
    return kind(text)


class _LineFeeds:
    """Ends rows in a line feed. The csv module quotes a carriage return only where it is part of the row's end."""

    def write(self, row: str) -> str:
        return row.removesuffix("\r\n") + "\n"


def lines(path: Path, record: type[Record], rows: Iterable[Record]) -> Iterator[str]:
    """A table line by line, the header first; `path` is what a `TableError` names."""
    kinds = _types(record)
    # What the file's write returns, the writer's writerow returns.
    writer = csv.writer(_LineFeeds(), lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    yield str(writer.writerow(kinds))
    for number, row in enumerate(rows, 1):
        yield str(writer.writerow(_write_row(path, number, row, kinds)))


def write(path: Path, record: type[Record], rows: Iterable[Record]) -> None:
    """Write a table (header always) to `path`, atomically. Raises `TableError` for what could not be read back."""
    try:
        with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines(path, record, rows))
    except OSError as error:
        raise TableError(path, f"cannot be written: {error}; check the folder, its permissions and space") from error


def _write_row(path: Path, number: int, row: Record, kinds: dict[str, tuple[type, bool]]) -> list[str]:
    cells = []
    for name, (kind, _) in kinds.items():
        try:
            cells.append(_write_cell(getattr(row, name), kind))
        except ValueError as error:
            raise TableError(path, f"record {number}, column {name}: {error}") from error
    return cells


def read(path: Path, record: type[Record]) -> list[Record]:
    """Read a table. Raises `TableError` naming file, line and column for anything that is not a record."""
    kinds = _types(record)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header is None or tuple(header) != tuple(kinds):
                raise TableError(path, f"the header is {header}, a table of {record.__name__} needs {list(kinds)}")
            return [_read_row(path, reader.line_num, row, record, kinds) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(path, f"cannot be read as a table: {error}") from error


def _read_row(
    path: Path, line: int, row: list[str], record: type[Record], kinds: dict[str, tuple[type, bool]]
) -> Record:
    if len(row) != len(kinds):
        raise TableError(path, f"line {line} has {len(row)} cells, the header has {len(kinds)}")
    values: dict[str, Any] = {}
    for (name, (kind, optional)), text in zip(kinds.items(), row, strict=True):
        try:
            values[name] = _read_cell(text, kind, optional)
        except ValueError as error:
            raise TableError(path, f"line {line}, column {name}: {error}") from error
    try:
        return record(**values)
    except ValueError as error:
        raise TableError(path, f"line {line}: {error}") from error
