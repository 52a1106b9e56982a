"""The tables as one ZIP file, made piece by piece while it is sent; the same snapshot gives the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from miscomp.corpus.exports.snapshot import Snapshot
from miscomp.corpus.exports.tables import tables_of
from miscomp.tables import lines

PIECE = 2**16
"""Characters of a table that are compressed at a time; beside the snapshot, little more is held."""
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file knows: no clock is in it."""


class _Sent(io.RawIOBase):
    """Takes what a ZIP file consists of, and gives it away; there is no going back in it."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What came since the last time."""
        found = b"".join(self._waiting)
        self._waiting.clear()
        return found


def zipped_tables(snapshot: Snapshot) -> Iterator[bytes]:
    """The CSV tables of an export, in pieces of a ZIP file. Raises `TableError` for a row that no table may hold."""
    sent = _Sent()
    with zipfile.ZipFile(sent, "w") as archive:
        for table in tables_of(snapshot):
            name = f"{table.name}.csv"
            about = zipfile.ZipInfo(name, _BEGINNING)
            about.compress_type, about.create_system, about.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            with archive.open(about, "w") as file:
                for piece in _pieces(lines(Path(name), table.record, table.rows)):
                    file.write(piece)
                    if made := sent.taken():
                        yield made
    yield sent.taken()


def _pieces(texts: Iterator[str]) -> Iterator[bytes]:
    waiting, size = [], 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()
