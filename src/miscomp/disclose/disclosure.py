"""What is written into files and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from miscomp.disclose.statement import Statement


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What is written into a file."""

    statement: Statement
    caption: str
    """One sentence, for readers that show ImageDescription."""
    description: str
    """The same in full."""
    source_type: str
    """URI of the IPTC digital source type; empty leaves what is there."""
    software: str


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in a file. That nothing does, proves nothing."""

    statements: dict[str, Statement] = field(default_factory=dict)
    """By place: `xmp`, `exif`, `stream`."""
    captions: dict[str, str] = field(default_factory=dict)
    """By place: `exif`, `iptc`, `xmp` (whoever wrote them), `disclosure` (our namespace's), `stream`."""
    description: str = ""
    software: str = ""
    source_type: str = ""
    """`Iptc4xmpExt:DigitalSourceType` as it stands, whoever wrote it."""
    problems: tuple[str, ...] = ()
    """What was found and cannot be read."""
    disagreements: tuple[str, ...] = ()
    """Texts of ours that say another thing than the statement beside them."""
    has_c2pa: bool = False


class Placed(NamedTuple):
    """A file with a disclosure."""

    content: bytes
    wrote: tuple[str, ...]
    """Places that now hold a text of ours, such as `exif:UserComment`."""
    notes: tuple[str, ...]
    """What was left out or left as it was, and why."""


def plain(text: str) -> str:
    """Text that every place can hold: control characters and halves of characters become spaces."""
    return "".join(c if c == "\n" or (c.isprintable() and not "\ud800" <= c < "\ue000") else " " for c in text).strip()
