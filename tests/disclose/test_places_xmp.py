"""Our description in a packet of somebody else: nothing of theirs is lost; oracle: ElementTree, and bytes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from disclosed import BASE, ENHANCED, USER_XMP

from miscomp.disclose.formats import xmp
from miscomp.disclose.formats.base import Unreadable
from miscomp.disclose.formats.packet import RDF, Name, parse

IPTC = 'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'


def wish(source_type: str = ENHANCED, caption: str = "said <&> \"'") -> xmp.Wish:
    return xmp.Wish(
        statement='{"a":"<&>"}', caption=caption, description="long", software="miscomp", source_type=source_type,
        fields={"codec": "hific"}, wrote=("exif:UserComment",),
    )  # fmt: skip


def packet(inside: str, *, attributes: str = "") -> bytes:
    head = f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" xmlns:x="urn:x" {attributes}>'
    return f"{head}{inside}</rdf:Description></rdf:RDF>".encode()


def tag(name: Name) -> str:
    return f"{{{name.uri}}}{name.local}"


def properties(content: bytes) -> dict[str, list[str]]:
    """By expanded name, as ElementTree sees them in all descriptions."""
    found: dict[str, list[str]] = {}
    for one in ElementTree.fromstring(content.rstrip(b"\0")).iter(f"{{{RDF}}}Description"):
        for name, text in one.attrib.items():
            found.setdefault(name, []).append(text)
        for child in one:
            found.setdefault(child.tag, []).append("".join(child.itertext()).strip())
    return found


def test_a_new_packet_is_rdf_that_says_what_was_asked() -> None:
    made, wrote, notes = xmp.add(None, wish())
    found = properties(made)
    assert found[f"{{{xmp.NAMESPACE}}}statement"] == ['{"a":"<&>"}']
    assert found[f"{{{xmp.NAMESPACE}}}caption"] == ["said <&> \"'"] == found[tag(xmp.DESCRIPTION)]
    assert found[tag(xmp.SOURCE_TYPE)] == [ENHANCED]
    assert notes == () and wrote == ("xmp:miscomp", "xmp:dc:description", "xmp:Iptc4xmpExt:DigitalSourceType")
    assert xmp.strip(made) is None


def test_a_packet_of_others_stays_to_the_byte_around_ours() -> None:
    made, _, _ = xmp.add(USER_XMP, wish())
    at = USER_XMP.index(b"</rdf:RDF>")
    assert made.startswith(USER_XMP[:at]) and made.endswith(USER_XMP[at:])
    assert xmp.strip(made) == USER_XMP
    before, after = properties(USER_XMP), properties(made)
    assert {name: after[name] for name in before if "about" not in name} == {
        name: texts for name, texts in before.items() if "about" not in name
    }


@pytest.mark.parametrize(
    "inside",
    [
        "<dc:description xmlns:dc='http://purl.org/dc/elements/1.1/'><rdf:Alt>"
        "<rdf:li xml:lang='x-default'>mine</rdf:li></rdf:Alt></dc:description>",
        "<d:description xmlns:d='http://purl.org/dc/elements/1.1/'/>",
    ],
)
def test_a_description_of_others_is_not_touched(inside: str) -> None:
    content = packet(inside)
    made, wrote, notes = xmp.add(content, wish())
    assert "xmp:dc:description" not in wrote and notes[0].startswith("xmp:dc:description holds another text")
    assert len(properties(made)[tag(xmp.DESCRIPTION)]) == 1
    assert xmp.strip(made) == content


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("place", ["attribute", "element", "resource"])
@pytest.mark.parametrize("kind", ["digitalCapture", "minorHumanEdits", "negativeFilm"])
def test_a_weaker_source_type_is_replaced_in_place_and_put_back(place: str, kind: str, quote: str) -> None:
    uri = BASE + kind
    attribute = f"{IPTC} e:DigitalSourceType = {quote}{uri}{quote}" if place == "attribute" else IPTC
    inside = f"<e:DigitalSourceType>{uri}</e:DigitalSourceType>" if place == "element" else ""
    inside += f"<e:DigitalSourceType rdf:resource={quote}{uri}{quote}/>" if place == "resource" else ""
    content = packet(f"<x:a>b</x:a>{inside}<x:c/>", attributes=attribute)
    made, wrote, notes = xmp.add(content, wish())
    record = xmp.read(made)
    assert "xmp:Iptc4xmpExt:DigitalSourceType" in wrote and not notes
    assert (record.digital_source_type, record.replaced_source_type) == (ENHANCED, uri)
    assert made.count(b"e:DigitalSourceType") == content.count(b"e:DigitalSourceType")
    assert xmp.strip(made) == content


@pytest.mark.parametrize("kind", xmp.SYNTHETIC)
def test_a_source_type_that_says_more_is_kept(kind: str) -> None:
    """A picture that a model made whole must not be called a coded photograph."""
    content = packet(f"<e:DigitalSourceType {IPTC}>{BASE}{kind}</e:DigitalSourceType>")
    made, _, notes = xmp.add(content, wish())
    assert xmp.read(made).digital_source_type == BASE + kind
    assert kind in notes[0]
    assert xmp.strip(made) == content


def test_the_same_source_type_is_nobodys_to_take_away() -> None:
    content = packet(f"<e:DigitalSourceType {IPTC}>{ENHANCED}</e:DigitalSourceType>")
    made, _, _ = xmp.add(content, wish())
    assert xmp.strip(made) == content


def test_without_a_source_type_what_is_there_stays() -> None:
    content = packet(f"<e:DigitalSourceType {IPTC}>{BASE}digitalCapture</e:DigitalSourceType>")
    assert xmp.read(xmp.add(content, wish(source_type=""))[0]).digital_source_type == BASE + "digitalCapture"
    assert xmp.read(xmp.add(None, wish(source_type=""))[0]).digital_source_type == ""


def test_ours_is_taken_out_also_where_another_program_merged_the_descriptions() -> None:
    ours = f'xmlns:m="{xmp.NAMESPACE}" m:form="1" m:codec="a&gt;b" m:wrote="xmp:dc:description" m:caption="said"'
    description = '<dc:description xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Alt><rdf:li>said</rdf:li></rdf:Alt>'
    made = packet(
        f"<m:statement>&lt;</m:statement><x:a>b</x:a>{description}</dc:description>", attributes=ours + ' x:y="z"'
    )
    assert xmp.read(made).statement == "<"
    left = xmp.strip(made)
    assert left is not None
    assert {name: texts for name, texts in properties(left).items() if "about" not in name} == {
        "{urn:x}a": ["b"], "{urn:x}y": ["z"],
    }  # fmt: skip


def test_our_description_is_about_the_same_picture_as_those_that_are_there() -> None:
    content = packet("").replace(b'rdf:about=""', b"rdf:about='uuid:1&amp;\"2'")
    made, _, _ = xmp.add(content, wish())
    assert [p.about for p in parse(made).descriptions] == ['uuid:1&"2'] * 2


@pytest.mark.parametrize("text", ["a", "ä\u20ac\U0001f600", "x" * 5000, "<a/>", "]]>", "/>", "a\nb"])
def test_positions_are_right_whatever_stands_around(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    content = packet(f"<x:a  b='{escaped}'\n>{escaped}</x:a ><x:e />\t<x:f></x:f><!-- <x:g> --><x:h><x:i/></x:h>")
    found = parse(content).descriptions[0].properties
    assert [content[one.start : one.end].split()[0][:4] for one in found] == [b"<x:a", b"<x:e", b"<x:f", b"<x:h"]
    assert [content[one.start : one.end][-1:] for one in found] == [b">"] * 4
    assert found[0].text == text and found[0].inside is not None
    assert content[slice(*found[0].inside)].decode() == escaped
    assert [one.inside is None for one in found[1:]] == [True, False, True]
    assert xmp.strip(xmp.add(content, wish())[0]) == content


@pytest.mark.parametrize(
    "content",
    [
        b"<a", b"", b"\0", b"<a/>", b"text", packet("<x:a>"), packet("<y:a/>"), packet("\xe4").replace(b"\xc3", b""),
        f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(), packet("").decode().encode("utf-16"), packet("&nbsp;"),
        b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "file:///etc/passwd">' + packet(""),
        b'<!DOCTYPE a [<!ENTITY a "b">]>' + packet("&a;"), packet("<x:a>" * 101 + "</x:a>" * 101),
        packet("<x:a/>" * 50_001), packet("", attributes=" ".join(f'x:a{i}=""' for i in range(50_001))),
        packet(" " * 2**22),
    ],
    ids=lambda content: content[-40:].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_decent_packet_is_not_read(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^the XMP packet"):
        xmp.read(content)
    if content:
        with pytest.raises(Unreadable):
            xmp.add(content, wish())
