"""TIFF and BigTIFF files: tags 700 (XMP) and 33723 (IPTC) in the first directory; the texts of EXIF in the file itself.

Nothing is moved: see `ifd`. A file of several pages is refused, since a statement is about one picture.
Sources: TIFF 6.0; XMP Specification Part 3, 3.2.
"""

from __future__ import annotations

from miscomp.disclose.formats import ifd
from miscomp.disclose.formats.base import MAX_BLOCK, Changes, Metadata, Unreadable
from miscomp.errors import ImageError

_TAGS = {"xmp": 700, "iptc": 33723}
_TYPES = {"xmp": ifd.BYTE, "iptc": ifd.UNDEFINED}
_C2PA = 52545


def _first(content: bytes, where: object) -> tuple[ifd.Form, ifd.Directory]:
    try:
        form = ifd.form_of(content)
        return form, ifd.first(content, form)
    except Unreadable as error:
        raise ImageError(where, f"is damaged: {error}; copy or export it again") from error


def read(content: bytes, where: object) -> Metadata:
    """What the first page holds. Raises `ImageError` where its directory is damaged."""
    form, main = _first(content, where)
    blocks: dict[str, bytes] = {}
    locked: dict[str, str] = {}
    problems: list[str] = []
    for place, tag in _TAGS.items():
        entry = main.get(tag)
        if entry is not None:
            try:
                blocks[place] = ifd.value(content, form, entry, MAX_BLOCK)
            except Unreadable as error:
                locked[place] = str(error)
                problems.append(str(error))
    if main.next:
        problems.append("the TIFF has further pages, which were not read")
    return Metadata(
        exif=content,
        xmp=blocks.get("xmp"),
        iptc=blocks.get("iptc"),
        places=frozenset({"exif", "xmp", "iptc"}),
        limits={"exif": 2**63 if form.big else 2**32 - 2},
        locked=locked,
        problems=tuple(problems),
        has_c2pa=main.get(_C2PA) is not None,
    )


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other blocks; `exif` is the whole file with other texts. Raises `ImageError` for several pages."""
    content = changes.get("exif") or content
    _, main = _first(content, where)
    if main.next:
        raise ImageError(where, "holds more than one page; a statement is about one picture: export the one you mean")
    new = {_TAGS[place]: (_TYPES[place], block) for place, block in changes.items() if place in _TAGS and block}
    gone = {tag for place, tag in _TAGS.items() if place in changes and tag not in new}
    try:
        if new:
            content = ifd.append(content, new, {})
            main = ifd.first(content, ifd.form_of(content))
        return ifd.remove(content, main.at, gone)
    except Unreadable as error:
        raise ImageError(where, f"cannot be written: {error}; save it as BigTIFF or PNG") from error
