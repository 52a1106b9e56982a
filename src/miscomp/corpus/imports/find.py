"""Which of a release's CSV files is which, known by their headers."""

from __future__ import annotations

from pathlib import Path

from miscomp.corpus.imports.mapping import FIELDS, Mapping
from miscomp.corpus.imports.tables import Table, lacking, open_table, read_header
from miscomp.errors import TableError

_MOST_TABLES = 200
"""CSV files of a release that are looked into."""


def find_tables(folder: Path, mapping: Mapping, given: dict[str, Path]) -> dict[str, Table]:
    """The tables of a release, by what they are: those given, the others known by their headers.

    Raises `TableError` where annotations or images are not found, or several files could be them.
    """
    found = {role: open_table(path, mapping, role) for role, path in given.items()}
    named = {path.resolve() for path in given.values()}
    others = [path for path in _csv_files(folder) if path.resolve() not in named]
    for role in FIELDS:
        if role in found:
            continue
        candidates = _candidates(others, mapping, role)
        if len(candidates) > 1:
            names = ", ".join(str(one.path) for one in candidates)
            raise TableError(folder, f"has several tables that could be the {role}: {names}; name one with --{role}")
        if candidates:
            found[role] = candidates[0]
        elif role in ("annotations", "images"):
            raise TableError(folder, _not_found(others, mapping, role))
    return found


def _candidates(paths: list[Path], mapping: Mapping, role: str) -> list[Table]:
    """Tables that could be it; one with exactly miscomp's own header stands above the others."""
    found = []
    for path in paths:
        try:
            table = read_header(path, mapping, role)
        except TableError:
            continue  # listed with its reason where nothing fits
        if not lacking(table):
            found.append(table)
    if role == "images":  # boxes have a width and a height too
        found = [one for one in found if lacking(read_header(one.path, mapping, "annotations"))]
    return [one for one in found if one.own] or found


def _not_found(paths: list[Path], mapping: Mapping, role: str) -> str:
    lines = []
    for path in paths[:20]:
        try:
            table = read_header(path, mapping, role)
        except TableError as error:
            lines.append(str(error))
        else:
            lines.append(f"{path.name} lacks {', '.join(lacking(table))}, its headers: {', '.join(table.header)[:500]}")
    seen = "; ".join(lines) or "there is no CSV file in it or in its folders"
    accepted = "; ".join(f"{name}: {', '.join(names)}" for name, names in mapping.headers(role).items())
    return (
        f"no table of {role} was found: {seen}. Accepted headers: {accepted}. Name the file with --{role} FILE; for "
        "other headers, write the mapping with --write-mapping FILE, edit it, and give it with --mapping FILE"
    )


def _csv_files(folder: Path) -> list[Path]:
    """CSV files in a folder and in the folders in it; not deeper, where the pictures are."""
    try:
        if not folder.is_dir():
            raise TableError(folder, "is no folder; give the folder of the release, unpacked")
        found = [one for pattern in ("*.csv", "*/*.csv") for one in folder.glob(pattern) if one.is_file()]
    except OSError as error:
        raise TableError(folder, f"cannot be listed: {error}; check its permissions") from error
    if len(found) > _MOST_TABLES:
        problem = f"has {len(found)} CSV files, up to {_MOST_TABLES} are looked into"
        raise TableError(folder, f"{problem}; name the two with --annotations and --images")
    return sorted(found)
