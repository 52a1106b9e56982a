"""Our own container: an ancillary chunk `diSc` with the disclosure as JSON."""

from __future__ import annotations

from dataclasses import replace

from miscomp.codecs.container import pack, unpack
from miscomp.disclose.formats.base import Changes, Metadata, Unreadable, bounded

KIND = "diSc"


def read(content: bytes, where: object) -> Metadata:
    """Raises `StreamError` for a damaged stream."""
    found = [body for kind, body in unpack(content, where).ancillary if kind == KIND]
    problems = ["the stream has several disclosures; the first was read"] if len(found) > 1 else []
    block = None
    try:
        block = bounded(found[0], "the disclosure in the stream") if found else None
    except Unreadable as error:
        problems.append(str(error))
    return Metadata(stream=block, places=frozenset({"stream"}), problems=tuple(problems))


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The stream with another disclosure; its payload and other chunks stay."""
    stream = unpack(content, where)
    others = tuple(one for one in stream.ancillary if one[0] != KIND)
    block = changes.get("stream")
    return pack(replace(stream, ancillary=others if block is None else (*others, (KIND, block))))
