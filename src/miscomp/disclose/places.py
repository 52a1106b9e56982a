"""The disclosure in a file's metadata: put in, read back, and taken out again; pixels are neither read nor moved.

What others wrote stays: a text goes only where none is, and what was left out is said. Writing again replaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from miscomp.disclose.disclosure import Disclosure, Found, Placed, plain
from miscomp.disclose.draft import Draft, fields_of
from miscomp.disclose.formats import exif, iptc, xmp
from miscomp.disclose.formats.base import Metadata, Unreadable
from miscomp.disclose.formats.carriers import carrier_of
from miscomp.disclose.statement import Statement, from_json, to_json
from miscomp.errors import ImageError

__all__ = ["Disclosure", "Found", "Placed", "place", "read_places", "strip_places", "write_places"]


_CAPTIONS = {"exif:ImageDescription": "exif", "iptc:Caption": "iptc", "xmp:dc:description": "xmp"}
"""By token in `xmp.Record.wrote`, the place's name in `Found.captions`."""


def write_places(content: bytes, disclosure: Disclosure, where: object) -> bytes:
    """The file with the disclosure in EXIF, XMP and IPTC; see `place`, which also says what was left out."""
    return place(content, disclosure, where).content


def place(content: bytes, disclosure: Disclosure, where: object) -> Placed:
    """Put a disclosure into a file's bytes, instead of one that is there.

    Raises `ImageError` or `StreamError` for a damaged file, and where the statement finds no place at all.
    """
    carrier = carrier_of(content, where)
    content = strip_places(content, where)
    metadata = carrier.read(content, where)
    notes: list[str] = []
    if metadata.has_c2pa:
        notes.append("the signed C2PA manifest in the file no longer fits it; sign the new file")
    if "stream" in metadata.places:
        return Placed(carrier.write(content, where, {"stream": _chunk(disclosure)}), ("stream",), ())
    draft = Draft(metadata, disclosure, notes)
    draft.put_exif()
    draft.put_iptc_and_xmp()
    if not {"exif:UserComment", "xmp:miscomp"} & set(draft.wrote):
        raise ImageError(where, f"has no place for the statement: {'; '.join(draft.notes)}; write a copy as PNG")
    written = carrier.write(content, where, draft.changes)
    # A file whose lists contradict each other may take a block and not give it back.
    if disclosure.statement not in read_places(written, where).statements.values():
        raise ImageError(where, "is damaged: what is written into it cannot be read back; copy or export it again")
    return Placed(written, tuple(draft.wrote), tuple(draft.notes))


def _chunk(disclosure: Disclosure) -> bytes:
    content = {"statement": json.loads(to_json(disclosure.statement)), "caption": plain(disclosure.caption)}
    content |= {"description": plain(disclosure.description), "source_type": disclosure.source_type}
    content["software"] = plain(disclosure.software)
    return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def read_places(content: bytes, where: object) -> Found:
    """What a file says, from every place. Raises `ImageError` or `StreamError` where the file itself is damaged."""
    metadata = carrier_of(content, where).read(content, where)
    problems = list(metadata.problems)
    if metadata.stream is not None:
        return _from_stream(metadata.stream, problems)
    statements: dict[str, Statement] = {}
    captions: dict[str, str] = {}
    record = _record(metadata, problems)
    texts = _texts(metadata, problems)
    comment = texts.comment if texts.comment.startswith(exif.OURS) else ""
    for name, text in (("xmp", record.statement), ("exif", comment)):
        if text:
            try:
                statements[name] = from_json(text)
            except ValueError as error:
                problems.append(f"{name}: {error}")
    captions |= {"exif": texts.description, "xmp": record.dc_description, "disclosure": record.caption}
    if metadata.iptc is not None:
        try:
            captions["iptc"] = iptc.caption(metadata.iptc)
        except Unreadable as error:
            problems.append(str(error))
    return Found(
        statements=statements,
        captions={name: text for name, text in captions.items() if text},
        description=record.description,
        software=record.software or texts.software,
        source_type=record.digital_source_type,
        problems=tuple(problems),
        disagreements=tuple(_disagreements(record, statements, captions)),
        has_c2pa=metadata.has_c2pa,
    )


def _disagreements(
    record: xmp.Record, statements: Mapping[str, Statement], captions: Mapping[str, str]
) -> Iterator[str]:
    """Where captions and plain properties that were ours were changed: that is what most programs show."""
    said = next(iter(statements.values()), None)
    if said is not None:
        meant = fields_of(said)
        for name, text in record.fields:
            if text.strip() != meant.get(name, ""):
                yield f"xmp:{xmp.PREFIX}:{name} says {text[:100]!r}, the statement {meant.get(name, 'nothing of it')!r}"
    for token, name in _CAPTIONS.items():
        if token in record.wrote and captions.get(name) and captions[name].strip() != record.caption.strip():
            yield f"the caption in {token} is not the one that was written there"


def _texts(metadata: Metadata, problems: list[str]) -> exif.Texts:
    if metadata.exif:
        try:
            return exif.read(metadata.exif)
        except Unreadable as error:
            problems.append(f"EXIF: {error}")
    return exif.Texts()


def _record(metadata: Metadata, problems: list[str]) -> xmp.Record:
    """What XMP says; a statement that another program moved to the extended packet is found there."""
    record = xmp.Record()
    for packet in (metadata.xmp, metadata.more_xmp):
        if packet and not record.statement:
            try:
                found = xmp.read(packet)
            except Unreadable as error:
                problems.append(str(error))
                continue
            known = {name: text for name, text in record._asdict().items() if text}
            record = found._replace(**known)
    return record


def _from_stream(block: bytes, problems: list[str]) -> Found:
    try:
        content: Any = json.loads(block)
        texts = {name: str(content.get(name, "")) for name in ("caption", "description", "source_type", "software")}
        statement = from_json(json.dumps(content.get("statement")))
    except (AttributeError, RecursionError, ValueError) as error:
        return Found(problems=(*problems, f"stream: the disclosure cannot be read: {error}"))
    return Found(
        statements={"stream": statement},
        captions={"stream": texts["caption"]} if texts["caption"] else {},
        description=texts["description"],
        software=texts["software"],
        source_type=texts["source_type"],
        problems=tuple(problems),
    )


def strip_places(content: bytes, where: object) -> bytes:
    """The file without what this project wrote; the rest stays, also a WebP's or JPEG XL's extended form.

    Raises `ImageError` or `StreamError` for a damaged file. What cannot be read stays too.
    """
    carrier = carrier_of(content, where)
    metadata = carrier.read(content, where)
    if "stream" in metadata.places:
        return content if metadata.stream is None else carrier.write(content, where, {"stream": None})
    record = _record(metadata, [])
    if metadata.exif and "exif" not in metadata.locked:
        with suppress(Unreadable):
            new = exif.strip(metadata.exif, _known(record))
            if new != metadata.exif:
                content = carrier.write(content, where, {"exif": new})
                metadata = carrier.read(content, where)
    changes: dict[str, bytes | None] = {}
    if metadata.xmp and "xmp" not in metadata.locked:
        with suppress(Unreadable):
            changes["xmp"] = xmp.strip(metadata.xmp)
    if metadata.iptc and "iptc" not in metadata.locked and "iptc:Caption" in record.wrote:
        with suppress(Unreadable):
            changes["iptc"] = iptc.strip(metadata.iptc, record.caption, made="iptc:new" in record.wrote)
    old = {"xmp": metadata.xmp, "iptc": metadata.iptc}
    changes = {name: block for name, block in changes.items() if block != old[name]}
    return carrier.write(content, where, changes) if changes else content


def _known(record: xmp.Record) -> exif.Texts:
    """Texts in EXIF that are known to be ours."""
    description = record.caption if "exif:ImageDescription" in record.wrote else ""
    return exif.Texts(description, record.software if "exif:Software" in record.wrote else "")
