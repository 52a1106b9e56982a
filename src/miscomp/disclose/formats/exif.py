"""The three EXIF texts: ImageDescription, Software and UserComment (Exif 2.32, 4.6.4 and 4.6.5).

What the user wrote there stays; a text is put only where none is.
"""

from __future__ import annotations

from typing import NamedTuple

from miscomp.disclose.formats import ifd
from miscomp.disclose.formats.base import MAX_BLOCK

IMAGE_DESCRIPTION, SOFTWARE, USER_COMMENT, EXIF_VERSION = 270, 305, 37510, 36864
OURS = '{"miscomp_disclosure"'
"""How a statement begins; a comment that does so is no user's."""

MAX_LAYERS = 4
"""Of ours, one on the other; a TIFF file gets up to three, one for each time that it is gone through."""

_ASCII = b"ASCII\0\0\0"


class Texts(NamedTuple):
    """What is there; empty where nothing is."""

    description: str = ""
    software: str = ""
    comment: str = ""


class Added(NamedTuple):
    """A changed block, which texts it now holds of ours, and why others were left out."""

    block: bytes | None
    wrote: tuple[str, ...]
    notes: tuple[str, ...]


def read(block: bytes) -> Texts:
    """The texts of a block. Raises `Unreadable`."""
    form = ifd.form_of(block)
    main = ifd.first(block, form)
    inner = ifd.exif_directory(block, form, main)
    description, software = (_text(block, form, main.get(tag)) for tag in (IMAGE_DESCRIPTION, SOFTWARE))
    return Texts(description, software, _comment(block, form, inner.get(USER_COMMENT) if inner else None))


def _text(block: bytes, form: ifd.Form, entry: ifd.Entry | None) -> str:
    if entry is None:
        return ""
    return _decode(ifd.value(block, form, entry, MAX_BLOCK).split(b"\0", 1)[0]).strip()


def _comment(block: bytes, form: ifd.Form, entry: ifd.Entry | None) -> str:
    if entry is None:
        return ""
    content = ifd.value(block, form, entry, MAX_BLOCK)
    code, rest = content[:8], content[8:]
    if code == b"UNICODE\0":
        return rest.decode("utf-16-le" if form.order == "<" else "utf-16-be", "replace").strip(" \0")
    # Writers that leave the code out are common; what they wrote is still somebody's text.
    return _decode(rest if code in (_ASCII, b"\0" * 8, b"JIS\0\0\0\0\0") else content).strip(" \0")


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def add(block: bytes | None, texts: Texts, limit: int) -> Added:
    """Put the texts where none are; `limit` is the most bytes that the block may have.

    Raises `Unreadable` for a block that cannot be read.
    """
    base = ifd.EMPTY if block is None else block
    there = read(base)
    notes: list[str] = []
    main: dict[int, ifd.Value] = {}
    inner: dict[int, ifd.Value] = {}
    wrote: list[str] = []
    for tag, name, old, new in (
        (IMAGE_DESCRIPTION, "exif:ImageDescription", there.description, texts.description),
        (SOFTWARE, "exif:Software", there.software, texts.software),
    ):
        if old:
            notes.append(f"{name} holds another text and was left as it is")
        elif new:
            main[tag] = (ifd.ASCII, new.encode("utf-8") + b"\0")
            wrote.append(name)
    if there.comment:
        notes.append("exif:UserComment holds another text and was left as it is")
    elif texts.comment:
        inner[USER_COMMENT] = (ifd.UNDEFINED, _ASCII + texts.comment.encode("ascii"))
        wrote.append("exif:UserComment")
        if not _has_exif_directory(base):
            inner[EXIF_VERSION] = (ifd.UNDEFINED, b"0232")
    if not main and not inner:
        return Added(block, (), tuple(notes))
    changed = ifd.append(base, main, inner)
    if len(changed) <= limit:
        return Added(changed, tuple(wrote), tuple(notes))
    if inner:
        shorter = add(block, texts._replace(comment=""), limit)
        note = f"exif:UserComment was left out: EXIF holds at most {limit} bytes here"
        return shorter._replace(notes=(*shorter.notes, note))
    return Added(block, (), (*notes, f"EXIF was left as it is: it holds at most {limit} bytes here"))


def _has_exif_directory(block: bytes) -> bool:
    return ifd.first(block, ifd.form_of(block)).get(ifd.EXIF_DIRECTORY) is not None


def strip(block: bytes, ours: Texts) -> bytes | None:
    """The block without our texts, as it was to the byte where nobody changed it since; none where nothing is left.

    `ours` are the texts known to be ours; a comment that is a statement is ours in any case. Raises `Unreadable`.
    """
    peeled = False
    for _ in range(MAX_LAYERS):
        inner = ifd.peel(block)
        if inner is None:
            break
        block, peeled = inner, True
    if peeled:
        return None if block == ifd.EMPTY else block
    form = ifd.form_of(block)
    main, there = ifd.first(block, form), read(block)
    exif = ifd.exif_directory(block, form, main)
    tags = {IMAGE_DESCRIPTION} if there.description and there.description == ours.description else set()
    tags |= {SOFTWARE} if there.software and there.software == ours.software else set()
    if exif is not None and there.comment.startswith(OURS):
        block = ifd.remove(block, exif.at, {USER_COMMENT})
    block = ifd.remove(block, main.at, tags)
    return block if ifd.first(block, form).entries else None
