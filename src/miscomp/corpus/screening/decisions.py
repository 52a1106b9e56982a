"""Screening by hand (SCLIC 3.1): what a screener is still to decide on, the table to fill in, and what comes back.

A table is `number,filename,choice,note`, one row a picture. It comes back from spreadsheets: with semicolons or tabs,
a byte order mark, other line ends, empty rows and columns of the screener's own.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from miscomp.corpus.config import NAME, Config
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Choice, Decision, SourceImage, new_uuid, now
from miscomp.corpus.schema import DECISION, IMAGE, add, fetch
from miscomp.corpus.selection import current, shuffled
from miscomp.errors import ImageError, TableError, UsageError
from miscomp.folders import write_text
from miscomp.images import Pixels, read

COLUMNS = ("number", "filename", "choice", "note")
MAX_BYTES = 32 * 2**20
"""Of a table that is read; one of 100,000 pictures has 6 MB."""
MAX_NOTE = 2000
"""Characters of a note."""

_CHOICES = {text: one for one in Choice for text in (one.value, one.value[0])}
_ALLOWED = "include, borderline, exclude, their first letters, or nothing for undecided"
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a filled table."""

    stored: Mapping[str, int]
    """New decisions by choice."""
    unchanged: int
    """Rows that say what this screener had said last."""
    undecided: int
    """Rows without a choice."""
    faults: tuple[str, ...]
    """Rows that could not be taken: file, line, what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    filename: str
    choice: str
    note: str
    surplus: bool
    """Whether something stands beyond the last column."""


def screeners_of(connection: Connection) -> tuple[str, ...]:
    """Everyone who decided on something, sorted."""
    return tuple(sorted({one.screener for one in fetch(connection, Decision)}))


def check_screener(connection: Connection, config: Config, screener: str) -> None:
    """Raise `UsageError` for a name that no screener may have, or for one screener too many.

    A misspelt name would be a second vote of one person, and a picture could be out by that person's word alone.
    """
    if not re.fullmatch(NAME, screener):
        raise UsageError(
            f"a screener is named by up to 64 letters, digits, dots, hyphens and underscores, got {screener!r}"
        )
    known, most = screeners_of(connection), config.screening.screeners
    if screener in known:
        return
    if alike := [one for one in known if one.lower() == screener.lower()]:
        raise UsageError(f"{screener!r} differs from the screener {alike[0]!r} only in capitals; use that name")
    if len(known) >= most:
        raise UsageError(
            f"{', '.join(known)} screened already, and this corpus has {most} screener{'s' * (most > 1)}: "
            f"{screener!r} is one too many; correct the name, or screening.screeners in corpus.toml"
        )


def waiting(connection: Connection, config: Config, screener: str, *, every: bool = False) -> list[SourceImage]:
    """Pictures that this screener has not decided on, or every one, in an order that is this screener's own.

    Two screeners see the pictures in unrelated orders, so that tiredness and contrast do not strike both alike.
    """
    images = {one.image_sha1: one for one in fetch(connection, SourceImage, IMAGE.c.removed == "")}
    decided = {sha1 for sha1, _ in current(fetch(connection, Decision, DECISION.c.screener == screener))}
    wanted = [sha1 for sha1 in images if every or sha1 not in decided]
    return [images[sha1] for sha1 in shuffled(wanted, seed=config.seed, purpose=f"screening {screener}")]


def read_original(corpus: Corpus, image: SourceImage) -> Pixels:
    """A picture's pixels. Raises `ImageError` where the file is damaged or is another than was added."""
    found = read(corpus.original(image.image_sha1), max_megapixels=corpus.config.images.max_megapixels)
    if found.image_sha1 != image.image_sha1:
        raise ImageError(
            found.path, f"was changed: its SHA-1 is {found.image_sha1}; run miscomp corpus verify {corpus.folder}"
        )
    return found.pixels


def write_table(path: Path, images: Sequence[SourceImage]) -> None:
    """Write the table to fill in; nothing in it is anybody's text, so no spreadsheet takes a cell for a formula."""
    lines = [f"{number},{image.filename},," for number, image in enumerate(images, 1)]
    write_text(path, "\n".join([",".join(COLUMNS), *lines]) + "\n")


def take(corpus: Corpus, path: Path, screener: str) -> Taken:
    """Store what a screener filled in; rows that are wrong are listed, and the others stored.

    A decision is an event: nothing is replaced, and the last one of a screener on a picture counts. What was said
    last already is not stored again. Raises `TableError` for a file that is no such table: then nothing is stored.
    """
    rows = list(_read_rows(path))
    with corpus.writing() as connection:
        check_screener(connection, corpus.config, screener)
        images = {one.image_sha1: one for one in fetch(connection, SourceImage)}
        last = current(fetch(connection, Decision, DECISION.c.screener == screener))
        given, faults = _sorted_out(path, rows, images)
        time = now()
        events = [
            Decision(uuid=new_uuid(), image_sha1=sha1, screener=screener, choice=choice, note=note, time=time)
            for sha1, (choice, note) in given.items()
            if (sha1, screener) not in last
            or (last[sha1, screener].choice, last[sha1, screener].note) != (choice, note)
        ]
        add(connection, events)
    stored = {one.value: sum(event.choice == one for event in events) for one in Choice}
    return Taken(
        stored=stored,
        unchanged=len(given) - len(events),
        undecided=sum(not one.choice and not one.note for one in rows),
        faults=tuple(faults),
    )


def _sorted_out(
    path: Path, rows: Iterable[_Row], images: Mapping[str, SourceImage]
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Choice and note by picture, and what is wrong with the other rows."""
    found: defaultdict[str, list[tuple[int, tuple[str, str]]]] = defaultdict(list)
    faults: list[tuple[int, str]] = []
    for row in rows:
        sha1 = row.filename.lower().removesuffix(".png")
        if problem := _problem(row, sha1, images):
            faults.append((row.line, problem))
        elif row.choice:
            found[sha1].append((row.line, (_CHOICES[row.choice.lower()].value, row.note)))
    given = {}
    for sha1, said in found.items():
        if len({what for _, what in said}) == 1:
            given[sha1] = said[0][1]
            continue
        lines = ", ".join(str(line) for line, _ in said)
        problem = f"{sha1}.png stands in lines {lines} with different choices or notes; keep one of them"
        faults += [(line, problem) for line, _ in said]
    return given, [f"{path}, line {line}: {problem}" for line, problem in sorted(faults)]


def _problem(row: _Row, sha1: str, images: Mapping[str, SourceImage]) -> str:
    """What keeps a row from being taken; empty for nothing."""
    if row.surplus:
        return "has more cells than the header; put a note with a comma or semicolon in quotes"
    if not _SHA1.fullmatch(sha1):
        return f"the filename is {row.filename[:80]!r}; it is 40 hex digits and .png, as in the table that was written"
    if sha1 not in images:
        return f"{sha1}.png is no picture of this corpus; take the filename from the table that was written"
    if images[sha1].removed:
        return f"{sha1}.png was removed from the corpus; delete this line"
    if row.choice and row.choice.lower() not in _CHOICES:
        return f"the choice is {row.choice[:80]!r}; allowed: {_ALLOWED}"
    if row.note and not row.choice:
        return "has a note and no choice; a note is kept with a choice: add one, or clear the note"
    if len(row.note) > MAX_NOTE or "\0" in row.note:
        return f"the note has {len(row.note)} characters; at most {MAX_NOTE} are kept, and no NUL among them"
    return ""


def _read_rows(path: Path) -> Iterator[_Row]:
    """The rows that are not blank."""
    text = _read_text(path)
    delimiter, header = _header(path, text)
    place = {name: header.index(name) for name in COLUMNS if name in header}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for number, cells in enumerate(reader):
            line, begin = reader.line_num + 1, line
            if number == 0 or not any(cell.strip() for cell in cells):
                continue
            values = {name: cells[at].strip() if at < len(cells) else "" for name, at in place.items()}
            if not (values["filename"] or values["choice"] or values.get("note")):
                continue  # numbers filled downwards, or a column of the screener's own
            surplus = any(cell.strip() for cell in cells[len(header) :])
            note = values.get("note", "").removeprefix("'")
            yield _Row(begin, values["filename"], values["choice"], note, surplus)
    except csv.Error as error:
        raise TableError(
            path,
            f"line {line}: cannot be read as a table ({error}); nothing of it was stored: correct it and try again",
        ) from error


def _read_text(path: Path) -> str:
    try:
        # Asked before opening, because opening a pipe waits for its writer.
        if not path.is_file():
            raise TableError(path, "is no file; give the table that a screener filled in")
        if path.stat().st_size > MAX_BYTES:
            raise TableError(path, f"has {path.stat().st_size} bytes, at most {MAX_BYTES} are read")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise TableError(path, f"cannot be read: {error}") from error
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(path, f"is not text in UTF-8 ({error.reason}); save it as CSV UTF-8") from error


def _header(path: Path, text: str) -> tuple[str, list[str]]:
    """The delimiter with which the first line names the columns, and the names in small letters."""
    first = text.split("\n", 1)[0].rstrip("\r")[:10_000]
    for delimiter in (",", ";", "\t"):
        names = [name.strip().strip('"').strip().lower() for name in first.split(delimiter)]
        if {"filename", "choice"} <= {*names}:
            if twice := sorted({name for name in names if name in COLUMNS and names.count(name) > 1}):
                raise TableError(path, f"has the column {', '.join(twice)} twice; delete one")
            return delimiter, names
    raise TableError(
        path,
        f"begins with {first[:80]!r}; its first line must name the columns {', '.join(COLUMNS)}, as it was written",
    )
