"""What can be wrong with a corpus, as `miscomp corpus verify` reports it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What sort of thing is wrong."""

    MISSING = "missing"
    """A row names a file that is not there."""
    DAMAGED = "damaged"
    """A file is not what its row says."""
    ORPHAN = "orphan"
    """A file that no row names."""
    UNFINISHED = "unfinished"
    """What a killed run left behind; harmless."""
    LEFTOVER = "leftover"
    """Pixels of a picture that was removed at a person's request."""
    DUPLICATE = "duplicate"
    """Two pictures with the same pixels, or a box that stands twice."""
    BOX = "box"
    """A label that does not lie in its picture, or that no annotation could be."""
    ROW = "row"
    """Rows that contradict each other, or themselves."""
    MANIFEST = "manifest"
    """The manifest is not what the database says."""
    DATABASE = "database"
    """The database file itself is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    kind: Kind
    where: str
    """File from the corpus' folder on, or what row."""
    problem: str
    image_sha1: str = ""
    model: str = ""
    outcome: str = ""
    """What a repair did about it, in words; empty where nothing was tried."""
    mended: bool = False

    def __str__(self) -> str:
        """As it is told: `damaged originals/ab/...: its SHA-256 is another`."""
        return f"{self.kind} {self.where}: {self.problem}" + (f"; {self.outcome}" if self.outcome else "")
