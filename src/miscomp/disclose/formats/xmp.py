"""The disclosure in an XMP packet: a description of its own beside those that are there, which stay to the byte.

The namespace is a URN of a random UUID (RFC 9562): it names no domain that somebody else might own, now or later.
The `#` ends it as XMP asks for (ISO 16684-1, 6.2), so that namespace and name do not run into each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import escape

from miscomp.disclose.formats.base import MAX_BLOCK, Unreadable
from miscomp.disclose.formats.packet import RDF, Description, Name, Packet, Property, parse

NAMESPACE = "urn:uuid:eaba4d60-b808-4141-82b5-30abff62a955#"
PREFIX = "miscomp"
DESCRIPTION = Name("http://purl.org/dc/elements/1.1/", "description")
SOURCE_TYPE = Name("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "DigitalSourceType")

SYNTHETIC = (
    "trainedAlgorithmicMedia",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicMedia",
)
"""Source types that say more than a coded photograph's would; none of them is replaced by a weaker one."""

MAX_PACKET = MAX_BLOCK

_HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="miscomp"><rdf:RDF xmlns:rdf="{RDF}">'
)
_TAIL = '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
FIELDS = ("codec", "kind", "compared", "findings", "risk", "riskForm")
_OWN = ("statement", "caption", "description", "software", "sourceType", "replacedSourceType", "wrote")


class Record(NamedTuple):
    """What stands in a packet, of ours and of what others may read; empty where nothing is."""

    statement: str = ""
    caption: str = ""
    description: str = ""
    software: str = ""
    source_type: str = ""
    """The DigitalSourceType that we asked for."""
    replaced_source_type: str = ""
    wrote: tuple[str, ...] = ()
    """Which places hold a text of ours, so that it can be taken out again."""
    digital_source_type: str = ""
    """As it stands in the packet, whoever wrote it."""
    dc_description: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    """Our plain properties that stand there, of `FIELDS`."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be written."""

    statement: str
    """JSON; empty to leave it out."""
    caption: str
    description: str
    software: str
    source_type: str
    fields: Mapping[str, str]
    """The statement's main fields as plain properties."""
    wrote: tuple[str, ...]


def read(content: bytes) -> Record:
    """What a packet says. Raises `Unreadable`."""
    packet = parse(content)
    statement, caption, description, software, asked, replaced, wrote = (_own(packet, name) for name in _OWN)
    stands, text = packet.get(SOURCE_TYPE), packet.get(DESCRIPTION)
    return Record(
        statement=statement,
        caption=caption,
        description=description,
        software=software,
        source_type=asked,
        replaced_source_type=replaced,
        wrote=tuple(wrote.split()),
        digital_source_type=stands.text if stands else "",
        dc_description=text.text if text else "",
        fields=tuple((name, one.text) for name in FIELDS if (one := packet.get(Name(NAMESPACE, name)))),
    )


def _own(packet: Packet, name: str) -> str:
    found = packet.get(Name(NAMESPACE, name))
    return found.text if found else ""


def add(content: bytes | None, wish: Wish) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """The packet with our description in it, what was written of the common properties, and why others were not.

    There must be none of ours in it yet. Raises `Unreadable` for a packet that cannot be read, which then stays.
    """
    if not content:
        content = (_HEAD + _TAIL).encode("utf-8")
    packet = parse(content)
    own = {"form": "1", "statement": wish.statement, **wish.fields, "caption": wish.caption}
    own |= {"description": wish.description, "software": wish.software}
    common, wrote, notes = "", [f"xmp:{PREFIX}"], []
    if packet.get(DESCRIPTION) is not None:
        notes.append("xmp:dc:description holds another text and was left as it is")
    elif wish.caption:
        text = f'<rdf:Alt><rdf:li xml:lang="x-default">{_clean(wish.caption)}</rdf:li></rdf:Alt>'
        common += f'<dc:description xmlns:dc="{DESCRIPTION.uri}">{text}</dc:description>'
        wrote.append("xmp:dc:description")
    if wish.source_type:
        stands = packet.get(SOURCE_TYPE)
        kept = None if stands is None else _why_kept(stands, wish.source_type)
        if kept:
            notes.append(kept)
        elif stands is None or stands.text != wish.source_type:
            wrote.append("xmp:Iptc4xmpExt:DigitalSourceType")
            own["sourceType"] = wish.source_type
        if stands is None:
            element = f"Iptc4xmpExt:{SOURCE_TYPE.local}"
            common += f'<{element} xmlns:Iptc4xmpExt="{SOURCE_TYPE.uri}">{_clean(wish.source_type)}</{element}>'
        elif not kept and stands.text != wish.source_type:
            own["replacedSourceType"] = stands.text
            content, packet = _put(content, stands, wish.source_type)
    own["wrote"] = " ".join((*wish.wrote, *wrote))
    about = next((one.about for one in packet.descriptions), "")
    head = f'<rdf:Description xmlns:rdf="{RDF}" xmlns:{PREFIX}="{NAMESPACE}" rdf:about="{_quoted(about)}">'
    body = "".join(f"<{PREFIX}:{name}>{_clean(text)}</{PREFIX}:{name}>" for name, text in own.items() if text)
    ours = f"{head}{body}{common}</rdf:Description>".encode()
    at = packet.insert_at
    return content[:at] + ours + content[at:], tuple(wrote), tuple(notes)


def _why_kept(stands: Property, asked: str) -> str:
    if stands.text == asked:
        return ""
    kind = stands.text.rstrip("/").rpartition("/")[2]
    if kind in SYNTHETIC:
        return f"xmp:Iptc4xmpExt:DigitalSourceType says {kind}, which is more, and was left as it is"
    if stands.inside is None:
        return "xmp:Iptc4xmpExt:DigitalSourceType is not a plain value and was left as it is"
    return ""


def _put(content: bytes, stands: Property, text: str) -> tuple[bytes, Packet]:
    """The packet with another value of a property, read again."""
    if stands.inside is None:
        raise Unreadable("a property of the XMP packet has no plain value that could be replaced")
    start, end = stands.inside
    content = content[:start] + _quoted(text).encode() + content[end:]
    return content, parse(content)


def _clean(text: str) -> str:
    """Text for an element: characters that XML does not allow become spaces."""
    legal = "".join(
        c if c in "\t\n" or " " <= c < "\ud800" or (c >= "\ue000" and c not in "\ufffe\uffff") else " " for c in text
    )
    return escape(legal)


def _quoted(text: str) -> str:
    return _clean(text).replace('"', "&quot;").replace("'", "&apos;")


def strip(content: bytes) -> bytes | None:
    """The packet without what is ours, the rest to the byte; none where it was ours alone. Raises `Unreadable`."""
    record = read(content)
    if record.source_type and record.replaced_source_type and record.digital_source_type == record.source_type:
        stands = parse(content).get(SOURCE_TYPE)
        if stands is not None and stands.inside is not None:
            content, _ = _put(content, stands, record.replaced_source_type)
            record = read(content)
    packet = parse(content)
    spans = [span for one in packet.descriptions for span in _ours(one, record)]
    kept, at = [], 0
    for start, end in sorted(spans):
        kept.append(content[at:start])
        at = end
    content = b"".join((*kept, content[at:]))
    return None if spans and content.rstrip(b"\0") == (_HEAD + _TAIL).encode("utf-8") else content


def _ours(description: Description, record: Record) -> list[tuple[int, int]]:
    """What to cut out of a description: the whole of it, where nothing else is in it."""
    own = [one for one in description.properties if one.name.uri == NAMESPACE]
    if "xmp:dc:description" in record.wrote:
        own += [p for p in description.properties if p.name == DESCRIPTION and p.text == record.caption]
    if record.source_type and not record.replaced_source_type:
        own += [p for p in description.properties if p.name == SOURCE_TYPE and p.text == record.source_type]
    if own and len(own) == len(description.properties) and not description.others:
        return [(description.start, description.end)]
    return [(one.start, one.end) for one in own]
