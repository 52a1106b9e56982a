"""Where things stand in an XMP packet: its properties as spans of bytes, so that it can be changed without a rewrite.

Read by expat, hardened: no document type and so no entities, limits on bytes, depth and elements; UTF-8 alone.
Source of the layout: ISO 16684-1 (XMP), clause 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from miscomp.disclose.formats.base import Unreadable, bounded

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MAX_DEPTH = 100
MAX_ELEMENTS = 50_000
"""With attributes; the histories of heavily edited pictures have ten thousands."""

_XML = ("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/")
_SEPARATOR = "\x01"
"""Between namespace, name and prefix; no character of XML."""
_ATTRIBUTE = re.compile(rb"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG_NAME = re.compile(rb"<[^\s/>]+")


class Name(NamedTuple):
    """Namespace and local name."""

    uri: str
    local: str


class Property(NamedTuple):
    """A property of the picture, as an element or as an attribute of the description."""

    name: Name
    text: str
    start: int
    end: int
    inside: tuple[int, int] | None
    """Where its text or URI stands; none for one that has parts."""


@dataclass(slots=True)
class Description:
    """An element that holds properties."""

    start: int
    end: int = 0
    about: str = ""
    properties: list[Property] = field(default_factory=list)
    others: bool = False
    """Whether something else stands in it."""


@dataclass(slots=True)
class Packet:
    """What was found; positions are in the packet's bytes."""

    descriptions: list[Description] = field(default_factory=list)
    insert_at: int = -1
    """Before the end tag of `rdf:RDF`."""

    def get(self, name: Name) -> Property | None:
        """The first property of that name."""
        return next((p for one in self.descriptions for p in one.properties if p.name == name), None)


def parse(content: bytes) -> Packet:
    """Raises `Unreadable` for what is no well-formed XMP in UTF-8, or is more than the limits allow."""
    reader = _Reader(bounded(content, "the XMP packet").rstrip(b"\0"))
    try:
        reader.parser.Parse(reader.content, True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise Unreadable(f"the XMP packet is not well-formed XML in UTF-8: {error}") from error
    if reader.packet.insert_at < 0:
        raise Unreadable("the XMP packet has no rdf:RDF element that is open")
    return reader.packet


def attributes(content: bytes, start: int) -> tuple[dict[str, tuple[int, int, int]], int]:
    """Of the start tag at `start`: where each attribute, as spelt, and its value begin and end; and the tag's end."""
    name = _TAG_NAME.match(content, start)
    if name is None:
        raise Unreadable("the XMP packet is not well-formed XML in UTF-8: no tag where one is said to be")
    found: dict[str, tuple[int, int, int]] = {}
    at = name.end()
    while match := _ATTRIBUTE.match(content, at):
        found[match[1].decode("utf-8")] = (match.start(), match.start(2) + 1, match.end(2) - 1)
        at = match.end()
    return found, content.index(b">", at) + 1


def _split(name: str) -> tuple[Name, str]:
    """The name, and how the document spells it."""
    uri, _, rest = name.rpartition(_SEPARATOR) if name.count(_SEPARATOR) == 1 else name.partition(_SEPARATOR)
    local, _, prefix = rest.partition(_SEPARATOR)
    return Name(uri, local), f"{prefix}:{local}" if prefix else local


class _Reader:
    """Collects descriptions and their properties while expat reads."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.packet = Packet()
        self.parser = expat.ParserCreate("utf-8", _SEPARATOR)
        self.parser.namespace_prefixes = True
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.depth = self.elements = self.rdf_depth = self.last_start = 0
        self.done = False
        self.property: tuple[Name, int, int, tuple[int, int] | None, str] | None = None
        self.pieces: list[str] = []
        self.parts = 0

    def _refuse(self, *_: object) -> None:
        raise Unreadable("the XMP packet has a document type or entities, which no XMP needs; it was not read")

    def _start(self, name: str, found: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1 + len(found)
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise Unreadable(f"the XMP packet has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} within each other")
        self.last_start = self.elements
        at = self.parser.CurrentByteIndex
        key, _ = _split(name)
        if self.done:
            return
        if not self.rdf_depth:
            if key == Name(RDF, "RDF"):
                self.rdf_depth = self.depth
        elif self.depth == self.rdf_depth + 1:
            self._describe(at, found)
        elif self.depth == self.rdf_depth + 2:
            spans, end = attributes(self.content, at)
            uri = next((a for a in found if _split(a)[0] == Name(RDF, "resource")), None)
            inside = spans[_split(uri)[1]][1:] if uri else None
            self.property, self.parts = (key, at, end, inside, found[uri] if uri else ""), self.elements
            self.pieces = []

    def _describe(self, at: int, found: dict[str, str]) -> None:
        description = Description(at)
        self.packet.descriptions.append(description)
        spans, _ = attributes(self.content, at)
        for spelt, text in found.items():
            key, raw = _split(spelt)
            if key.uri == RDF or key.uri in _XML or not key.uri:
                description.about = text if key == Name(RDF, "about") else description.about
            else:
                start, first, last = spans[raw]
                description.properties.append(Property(key, text.strip(), start, last + 1, (first, last)))

    def _end(self, _: str) -> None:
        at = self.parser.CurrentByteIndex
        # Of an empty element expat gives the position behind it, of any other that of its end tag.
        empty = self.last_start == self.elements and self.content[at - 2 : at] == b"/>"
        end = at if empty else self.content.index(b">", at) + 1
        self.last_start = 0
        level = self.depth - self.rdf_depth if self.rdf_depth and not self.done else -1
        self.depth -= 1
        if level == 2 and self.property is not None:
            name, start, tag_end, inside, uri = self.property
            whole = self.parts == self.elements and not empty
            span = inside or ((tag_end, at) if whole else None)
            text = uri or "".join(self.pieces).strip()
            self.packet.descriptions[-1].properties.append(Property(name, text, start, end, span))
            self.property = None
        elif level == 1:
            self.packet.descriptions[-1].end = end
        elif level == 0:
            self.done = True
            self.packet.insert_at = -1 if empty else at

    def _text(self, text: str) -> None:
        if self.property is not None:
            self.pieces.append(text)
        elif self.rdf_depth and not self.done and self.depth == self.rdf_depth + 1 and text.strip():
            self.packet.descriptions[-1].others = True
