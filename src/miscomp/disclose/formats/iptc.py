"""The IPTC caption, dataset 2:120 of IIM, and the Photoshop resources that carry IIM in JPEG.

Sources: IPTC-NAA Information Interchange Model 4.2, chapters 3 and 6; Adobe Photoshop file formats, image resources.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from miscomp.disclose.formats.base import Unreadable, bounded

CAPTION = (2, 120)
MAX_CAPTION = 2000
"""Bytes, by the standard."""
IIM_RESOURCE, DIGEST_RESOURCE = 0x0404, 0x0425

_UTF8 = b"\x1b%G"
_CODED_SET, _VERSION = (1, 90), (2, 0)
_KINDS = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")


class Dataset(NamedTuple):
    """One dataset and where it stands."""

    key: tuple[int, int]
    value: bytes
    start: int
    end: int


def datasets(block: bytes) -> list[Dataset]:
    """All datasets of a block; padding behind the last is ignored. Raises `Unreadable`."""
    bounded(block, "the IPTC block")
    found: list[Dataset] = []
    at = 0
    while at < len(block) and block[at] == 0x1C:
        size, start = int.from_bytes(block[at + 3 : at + 5], "big"), at + 5
        if size & 0x8000:
            width = size & 0x7FFF
            size, start = int.from_bytes(block[start : start + min(width, 8)], "big"), start + width
        if start + size > len(block):
            raise Unreadable("a dataset of the IPTC block reaches past its end")
        found.append(Dataset((block[at + 1], block[at + 2]), block[start : start + size], at, start + size))
        at = start + size
    if block[at:].strip(b"\0"):
        raise Unreadable(f"the IPTC block is damaged {at} bytes from its begin")
    return found


def caption(block: bytes) -> str:
    """The caption, empty where there is none. Raises `Unreadable`."""
    found = datasets(block)
    text = next((one.value for one in found if one.key == CAPTION), b"")
    try:
        return text.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return text.decode("latin-1").strip(" \0")


def add(block: bytes | None, text: str) -> tuple[bytes | None, tuple[str, ...], tuple[str, ...]]:
    """The block with a caption where it had none, what was written, and why it was not. Raises `Unreadable`."""
    coded = text.encode("utf-8")
    if not coded or len(coded) > MAX_CAPTION:
        return block, (), ((f"iptc:Caption holds at most {MAX_CAPTION} bytes and was left out",) if coded else ())
    if not block:
        head = _pack(_CODED_SET, _UTF8) + _pack(_VERSION, b"\x00\x04")
        return head + _pack(CAPTION, coded), ("iptc:Caption", "iptc:new"), ()
    found = datasets(block)
    if any(one.key == CAPTION for one in found):
        return block, (), ("iptc:Caption holds another text and was left as it is",)
    if not text.isascii() and not any(one.key == _CODED_SET and one.value == _UTF8 for one in found):
        return block, (), ("iptc:Caption was left out: the IPTC texts that are there are not marked as UTF-8",)
    at = max((one.end for one in found if one.key <= CAPTION), default=0)
    return block[:at] + _pack(CAPTION, coded) + block[at:], ("iptc:Caption",), ()


def strip(block: bytes, text: str, *, made: bool) -> bytes | None:
    """The block without a caption that is ours; with `made` the block itself was, and goes when nothing else is in it.

    Raises `Unreadable`.
    """
    found = datasets(block)
    ours = [one for one in found if one.key == CAPTION and one.value == text.encode("utf-8")]
    if not ours:
        return block
    if made and all(one.key in (CAPTION, _CODED_SET, _VERSION) for one in found) and len(found) == 3:
        return None
    return block[: ours[0].start] + block[ours[0].end :]


def _pack(key: tuple[int, int], value: bytes) -> bytes:
    return bytes((0x1C, *key)) + len(value).to_bytes(2, "big") + value


class Resource(NamedTuple):
    """A Photoshop image resource; `head` is everything before its length."""

    number: int
    head: bytes
    content: bytes


def resources(block: bytes) -> list[Resource]:
    """The resources of a block. Raises `Unreadable`."""
    bounded(block, "the block of Photoshop resources")
    found: list[Resource] = []
    at = 0
    while at < len(block):
        name_size = (block[at + 6] + 2) // 2 * 2 if at + 6 < len(block) else 0
        start = at + 6 + name_size + 4
        size = int.from_bytes(block[start - 4 : start], "big")
        if block[at : at + 4] not in _KINDS or start + size > len(block):
            if block[at:].strip(b"\0"):
                raise Unreadable("the Photoshop resources are damaged or cut off")
            break
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        found.append(Resource(number, block[at : start - 4], block[start : start + size]))
        at = start + size + size % 2
    return found


def set_iim(found: list[Resource], block: bytes | None) -> bytes:
    """The resources with other IIM datasets, or without any; a digest that was right is made right again."""
    old = next((one.content for one in found if one.number == IIM_RESOURCE), b"")
    digest, right = (hashlib.md5(one, usedforsecurity=False).digest() for one in (old, block or b""))
    parts: list[Resource] = []
    for one in found:
        if one.number == DIGEST_RESOURCE and one.content == digest:
            parts.append(one._replace(content=right))
        elif one.number != IIM_RESOURCE:
            parts.append(one)
        elif block is not None:
            parts.append(one._replace(content=block))
            block = None
    if block is not None:
        parts.append(Resource(IIM_RESOURCE, b"8BIM" + IIM_RESOURCE.to_bytes(2, "big") + b"\0\0", block))
    packed = (
        one.head + len(one.content).to_bytes(4, "big") + one.content + b"\0" * (len(one.content) % 2) for one in parts
    )
    return b"".join(packed)
