"""Files made to do harm: an error or a problem that is said, in bounded time and memory, and never a crash."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from disclosed import USER_XMP, disclosure, samples, stream, user_exif
from mutations import KINDS, damaged, mutations

from miscomp.disclose.formats import ifd, png, tiff
from miscomp.disclose.formats.base import Unreadable
from miscomp.disclose.formats.carriers import carrier_of
from miscomp.disclose.places import place, read_places, strip_places, write_places
from miscomp.disclose.statement import from_json, to_json
from miscomp.errors import ImageError, InputError

SAMPLES = samples()
WRITTEN = {name: write_places(content, disclosure(), name) for name, content in SAMPLES.items()}
RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'


def check(content: bytes, name: str) -> bool:
    """Whether the file was taken; if so, the disclosure stands in it and no other does."""
    said = disclosure()
    try:
        read_places(content, name)
        strip_places(content, name)
    except InputError as error:
        assert str(error).startswith(name)
    try:
        placed = place(content, said, name)
    except InputError as error:
        assert str(error).startswith(name)
        return False
    found = read_places(placed.content, name).statements
    assert found and all(one == said.statement for one in found.values())
    return True


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"misc"}))
def test_damage_anywhere_in_a_file_is_an_error_or_harmless(name: str) -> None:
    rng = np.random.default_rng(sum(name.encode()))
    contents = [SAMPLES[name], WRITTEN[name]]
    taken = sum(check(damaged(rng, contents[i % 2], KINDS[i % 4], contents[i // 2 % 2]), name) for i in range(40))
    assert 0 <= taken < 40


@pytest.mark.parametrize("where", ["exif", "xmp", "iptc"])
@pytest.mark.parametrize(
    "name", ["png-theirs", "jpeg-theirs", "webp-theirs", "avif-theirs", "jxl-theirs", "tiff-theirs"]
)
def test_damage_in_a_block_of_metadata_leaves_the_file_usable(name: str, where: str) -> None:
    rng = np.random.default_rng(sum((name + where).encode()))
    carrier = carrier_of(WRITTEN[name], name)
    block = getattr(carrier.read(WRITTEN[name], name), where)
    if block is None or (where == "exif" and name.startswith("tiff")):
        return
    taken = 0
    for number in range(30):
        changed = damaged(rng, block, KINDS[number % 4], USER_XMP if where == "xmp" else user_exif())
        # What does not fit into the format cannot stand in a file of it.
        content = carrier.write(WRITTEN[name], name, {where: changed[:60_000]})
        taken += check(content, name)
    assert taken > 24


def test_damaged_streams_are_errors_or_harmless() -> None:
    taken = [check(one.content, "misc") for one in mutations([stream(), WRITTEN["misc"]], 200, seed=5)]
    assert any(taken) and not all(taken)


def laughs() -> bytes:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (i + 1, b"&e%d;" % i * 10) for i in range(30))
    return b'<!DOCTYPE x [<!ENTITY e0 "ha">' + entities + b"]>" + RDF + b"&e30;</rdf:RDF>"


@pytest.mark.parametrize(
    "packet",
    [
        laughs(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + RDF + b"</rdf:RDF>",
        RDF + b"<a>" * 1_000_000,
        RDF + b"<rdf:Description>" + b"<a/>" * 900_000,
        RDF + b"<rdf:Description a='" + b"x" * 3_000_000,
        RDF + b" " * 5_000_000 + b"</rdf:RDF>",
    ],
    ids=["laughs", "outside", "deep", "wide", "cut", "large"],
)
def test_harmful_xmp_is_said_kept_and_soon_done(packet: bytes) -> None:
    content = png.write(SAMPLES["png"], "it", {"xmp": packet})
    start = time.process_time()
    found, placed = read_places(content, "it"), place(content, disclosure(), "it")
    assert time.process_time() - start < 10
    assert "XMP packet" in found.problems[0]
    assert packet in placed.content and set(read_places(placed.content, "it").statements) == {"exif"}
    assert placed.notes[0].startswith("XMP was not written")


def test_what_unpacks_to_very_much_is_not_unpacked() -> None:
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"\0" * 100_000_000, 9)
    chunk = len(body).to_bytes(4, "big") + b"iTXt" + body + zlib.crc32(b"iTXt" + body).to_bytes(4, "big")
    content = SAMPLES["png"][:33] + chunk + SAMPLES["png"][33:]
    tracemalloc.start()
    found = read_places(content, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "unpacks to more than" in found.problems[0] and peak < 20_000_000


@pytest.mark.parametrize(
    "comment", ["[" * 100_000, "{}", "9" * 5000, '{"miscomp_disclosure":2}', "\0", '{"miscomp_disclosure"']
)
def test_a_statement_that_is_none_is_a_problem_and_not_an_error(comment: str) -> None:
    packet = RDF + b'<rdf:Description xmlns:m="urn:uuid:eaba4d60-b808-4141-82b5-30abff62a955#"><m:statement>'
    packet += comment.replace("\0", "zero").encode() + b"</m:statement></rdf:Description></rdf:RDF>"
    block = ifd.append(ifd.EMPTY, {}, {37510: (7, b"ASCII\0\0\0" + comment.encode())})
    content = png.write(SAMPLES["png"], "it", {"xmp": packet, "exif": block})
    found = read_places(content, "it")
    assert not found.statements
    assert [problem[:4] for problem in found.problems] == ["xmp:", "exif"][: 1 + comment.startswith('{"m')]
    check(content, "it")


def entry(tag: int, kind: int, units: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, units, value)


@pytest.mark.parametrize(
    "block",
    [
        b"II\x2a\0\x08\0\0\0\x01\0" + entry(34665, 4, 1, 8) + b"\x08\0\0\0",  # its EXIF directory and next are itself
        b"II\x2a\0\x08\0\0\0\xff\xff",
        b"II\x2a\0\xf0\xff\xff\xff",
        b"II\x2a\0\x08\0\0\0\x01\0" + entry(270, 2, 0xFFFFFFFF, 8) + b"\0\0\0\0",
        b"II\x2a\0\x08\0\0\0\x01\0" + entry(270, 99, 1, 8) + b"\0\0\0\0",
        b"II\x2a\0\x08\0\0\0\x01\0" + entry(34665, 5, 1, 8) + b"\0\0\0\0",
        b"MM\0\x2b\0\x08\0\0" + b"\xff" * 8,
        b"MM\0\x2b\0\x08\0\0" + (16).to_bytes(8, "big") + b"\xff" * 8,
        b"", b"II", b"\xff" * 20,
    ],
)  # fmt: skip
def test_lies_of_a_tiff_structure_about_positions_and_counts(block: bytes) -> None:
    for name in ("png", "webp-lossy", "avif"):
        content = carrier_of(SAMPLES[name], name).write(SAMPLES[name], name, {"exif": block})
        assert check(content, name)
    if block[:2] in (b"II", b"MM") and len(block) > 2:
        check(block + b"\0" * 20, "it")


def test_marks_of_ours_within_each_other_do_not_take_long() -> None:
    block = ifd.EMPTY
    for _ in range(300):
        block = ifd.append(block, {270: (2, b"x")}, {})
    peeled = ifd.peel(block)
    assert peeled is not None and len(peeled) < len(block)
    assert check(png.write(SAMPLES["png"], "it", {"exif": block}), "it")


def test_a_mark_that_does_not_fit_is_not_followed() -> None:
    block = ifd.append(user_exif()[6:], {270: (2, b"said\0")}, {})
    assert ifd.peel(block) == user_exif()[6:]
    at = int.from_bytes(block[4:8], "big")
    for place_, byte in ((at + 5, 1), (at - 28, 1), (at - 12, 0xFF), (len(block) - 1, 9)):
        assert ifd.peel(block[:place_] + bytes((block[place_] ^ byte,)) + block[place_ + 1 :]) is None
    assert ifd.peel(block + b"\0") is None


def test_directories_that_would_outgrow_their_offsets_are_refused() -> None:
    class Long(bytes):
        """A block that says that it has 4 GiB."""

        def __len__(self) -> int:
            return 2**32

    with pytest.raises(Unreadable, match="4 GiB"):
        ifd.append(Long(ifd.EMPTY), {270: (2, b"x" * 10)}, {})


def test_lists_of_an_avif_that_say_too_much_are_errors() -> None:
    content = SAMPLES["avif-theirs"]
    for kind in (b"iloc", b"iinf", b"iref", b"pitm", b"meta"):
        at = content.index(kind) + 4
        for offset in range(0, 12, 2):
            for byte in (0x00, 0x7F, 0xFF):
                check(content[: at + offset] + bytes((byte,)) + content[at + offset + 1 :], "it")


def test_random_bytes_behind_every_signature_are_errors() -> None:
    rng = np.random.default_rng(3)
    for name, content in SAMPLES.items():
        if name == "jxl":  # a bare codestream, of which nothing but the begin is looked at
            continue
        for size in (0, 1, 10, 1000):
            with pytest.raises(InputError):
                place(content[:12] + rng.bytes(size), disclosure(), "it")


def test_a_tiff_that_is_only_a_header_is_an_error() -> None:
    for content in (b"II\x2a\0", b"MM\0\x2b\0\x08\0\0", b"II\x2a\0\0\0\0\0" + io.BytesIO().getvalue()):
        with pytest.raises(ImageError, match="is damaged"):
            tiff.read(content, "it")


@pytest.mark.parametrize("kind", [b"eXIf", b"iTXt"])
def test_a_second_block_in_a_png_is_said_because_others_may_read_that_one(kind: bytes) -> None:
    content = WRITTEN["png"]
    at = content.index(kind) - 4
    end = at + 12 + int.from_bytes(content[at : at + 4], "big")
    assert not read_places(content, "it").problems
    assert "several" in read_places(content[:end] + content[at:end] + content[end:], "it").problems[0]


def test_a_second_block_in_a_webp_is_said() -> None:
    content = WRITTEN["webp-theirs"]
    at = content.index(b"XMP ")
    doubled = content + content[at:]
    doubled = doubled[:4] + (len(doubled) - 8).to_bytes(4, "little") + doubled[8:]
    assert not read_places(content, "it").problems
    assert "several" in read_places(doubled, "it").problems[0]


def test_a_key_that_stands_twice_is_refused_because_others_may_take_the_other() -> None:
    text = to_json(disclosure().statement)
    assert from_json(text) == disclosure().statement
    with pytest.raises(ValueError, match="same key twice"):
        from_json(text.replace('"findings":', '"findings":0,"findings":', 1))
