"""A table that others wrote: its delimiter, what its columns are, its rows one by one."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from miscomp.corpus.exports.snapshot import SourceRow
from miscomp.corpus.imports.mapping import Headers, Mapping, Values, plain
from miscomp.errors import TableError
from miscomp.records import Annotation, ImageRow, View
from miscomp.tables import MAX_CELL, columns

MAX_TABLE_BYTES = 2**30
MAX_LINE = 2**20
"""Characters of a line; a record may have several."""
MAX_ROWS = 2_000_000

_OWN = {
    "annotations": columns(Annotation),
    "images": columns(ImageRow),
    "sources": columns(SourceRow),
    "views": columns(View),
}
_NEEDED = {
    "annotations": ("model", "x", "y", "w", "h"),
    "images": ("model", "width", "height"),
    "sources": ("width", "height", "licence", "split"),
    "views": ("model", "labeler", "opened", "closed"),
}
_WHOLE = re.compile(r"([+-]?\d{1,12})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:e[+-]?\d{1,3})?|inf", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row or a file that was not taken, and why."""

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.file}{line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV file of which the header was understood."""

    path: Path
    role: str
    """`annotations`, `images`, `sources` or `views`."""
    delimiter: str
    header: tuple[str, ...]
    fields: dict[str, int]
    """The column of each field that it has."""
    values: Values

    @property
    def own(self) -> bool:
        """Whether it is a table as miscomp writes it, in which texts may stand behind an apostrophe."""
        return self.header == _OWN[self.role]

    @property
    def unused(self) -> tuple[str, ...]:
        """Headers that no field was found for."""
        used = {*self.fields.values()}
        return tuple(name for column, name in enumerate(self.header) if column not in used)

    def rows(self) -> Iterator[Row | Problem]:
        """The rows one after the other. Raises `TableError` where the file cannot be read on."""
        with _opened(self.path) as file:
            reader = csv.reader(_lines(file, self.path), delimiter=self.delimiter, strict=True)
            next(reader)
            for number, cells in enumerate(reader, 1):
                if number > MAX_ROWS:
                    raise TableError(self.path, f"has more than {MAX_ROWS} rows; split it and import the parts")
                if not any(cells):
                    continue
                if len(cells) != len(self.header):
                    reason = f"has {len(cells)} cells, the header has {len(self.header)}"
                    yield Problem(str(self.path), reader.line_num, reason)
                elif any("\0" in cell for cell in cells):
                    yield Problem(str(self.path), reader.line_num, "holds a zero byte, which no text may")
                else:
                    yield Row(self, reader.line_num, cells)


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a table; what its cells say is read by field, and a field without a column is empty."""

    table: Table
    line: int
    cells: list[str]

    def has(self, field: str) -> bool:
        """Whether the table has a column for it."""
        return field in self.table.fields

    def text(self, field: str) -> str:
        """A cell without blanks around it; in a table of miscomp's own, exactly as it was written."""
        column = self.table.fields.get(field)
        if column is None:
            return ""
        cell = self.cells[column]
        if self.table.own:
            return cell[1:] if cell.startswith("'") else cell
        return cell.strip()

    def whole(self, field: str) -> int:
        """A whole number; `12.0` is one. Raises `ValueError` for anything else."""
        if found := _WHOLE.fullmatch(self._digits(field)):
            return int(found[1])
        raise ValueError(f"{field} needs a whole number, got {self.text(field)[:80]!r}")

    def number(self, field: str) -> float | None:
        """A number, or none for a cell that says so. Raises `ValueError` for anything else."""
        digits = self._digits(field)
        if digits.casefold() in self.table.values.missing:
            return None
        if not _NUMBER.fullmatch(digits) or (math.isinf(float(digits)) and digits.casefold() != "inf"):
            raise ValueError(f"{field} needs a number, got {self.text(field)[:80]!r}")
        return float(digits)

    def truth(self, field: str) -> bool | None:
        """Yes or no, no where there is no column; none for a text that the mapping does not know."""
        if not self.has(field):
            return False
        text = self.text(field).strip().casefold()
        if text in self.table.values.no:
            return False
        return True if text in self.table.values.yes else None

    def problem(self, reason: object) -> Problem:
        """Why this row is not taken."""
        return Problem(str(self.table.path), self.line, str(reason))

    def _digits(self, field: str) -> str:
        text = self.text(field).strip()
        # Where cells are not divided by commas, a comma can only be the decimal one.
        return text if self.table.delimiter == "," else text.replace(",", ".", 1)


def open_table(path: Path, mapping: Mapping, role: str, *, without: tuple[str, ...] = ()) -> Table:
    """Understand a table's header. Fields in `without` need no column.

    Raises `TableError` that lists the headers found and the names that would be accepted for what is missing.
    """
    table = read_header(path, mapping, role)
    missing = [name for name in lacking(table) if name not in without]
    if not missing:
        return table
    accepted = mapping.headers(role)
    wanted = "; ".join(f"{name}: {', '.join(accepted.get(name, ())) or 'nothing'}" for name in missing)
    raise TableError(
        path,
        f"has no column for {', '.join(missing)} of the {role}; its headers: {', '.join(table.header)[:2000]}; "
        f"accepted are, for {wanted}; write the mapping with --write-mapping FILE, add the header to its [{role}], "
        "and give it with --mapping FILE",
    )


def lacking(table: Table) -> list[str]:
    """The fields that it needs and has no column for."""
    found = [name for name in _NEEDED[table.role] if name not in table.fields]
    return found if {"filename", "image_sha1"} & {*table.fields} else ["filename", *found]


def read_header(path: Path, mapping: Mapping, role: str) -> Table:
    """A table as its header says, whatever it lacks: the delimiter is the one that gives most known columns."""
    with _opened(path) as file:
        line = next(_lines(file, path), "")
        accepted = mapping.headers(role)
        best: Table | None = None
        for delimiter in (",", ";", "\t"):
            header = tuple(cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), []))
            fields = _match(header, accepted)
            table = Table(
                path=path, role=role, delimiter=delimiter, header=header, fields=fields, values=mapping.values
            )
            if best is None or (len(fields), len(header)) > (len(best.fields), len(best.header)):
                best = table
    if best is None or not any(best.header):
        raise TableError(path, "is empty; a table begins with a line of headers")
    used = [plain(best.header[column]) for column in best.fields.values()]
    names = [plain(one) for one in best.header]
    if twice := sorted({one for one in used if names.count(one) > 1}):
        raise TableError(path, f"has several columns called {', '.join(twice)}; remove or rename all but one")
    return best


def _match(header: tuple[str, ...], accepted: Headers) -> dict[str, int]:
    places: dict[str, int] = {}
    for column, name in enumerate(header):
        places.setdefault(plain(name), column)
    found = {}
    for field, names in accepted.items():
        present = [places[plain(one)] for one in names if plain(one) in places]
        if present:
            found[field] = present[0]
    return found


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A table's text. Raises `TableError` for what is none, also while it is read."""
    try:
        if not path.is_file():
            raise TableError(path, "is no file; give a CSV table")
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise TableError(path, f"has more than {MAX_TABLE_BYTES} bytes; split it and import the parts")
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise TableError(path, f"is not UTF-8 ({error}); save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise TableError(path, f"cannot be read as a table: {error}; cells have up to {MAX_CELL} characters") from error


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Lines of bounded length: a file without line ends would otherwise be read whole."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise TableError(path, f"has a line of more than {MAX_LINE} characters; is it a table?")
        yield line
