"""A disclosure goes into every format and comes back; pixels and what others wrote stay. Oracles: the decoders."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from disclosed import ENHANCED, USER_XMP, disclosure, encoded, samples, statement, stream, user_exif
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from miscomp.codecs.container import unpack
from miscomp.disclose.formats import exif
from miscomp.disclose.formats.carriers import carrier_of
from miscomp.disclose.places import place, read_places, strip_places, write_places
from miscomp.errors import ImageError, StreamError
from miscomp.images import decode

SAMPLES = samples()
PICTURES = sorted(set(SAMPLES) - {"misc"})
THEIRS = [name for name in PICTURES if name.endswith("theirs")]


def pixels(name: str, content: bytes) -> list[object]:
    """As tifffile reads them where Pillow does not know the kind."""
    if name == "tiff-bigtiff-big-endian":
        return [tifffile.imread(io.BytesIO(content)).tolist()]
    return [decode(content, name)[0].tolist()]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_is_written_is_read_back(name: str) -> None:
    said = disclosure()
    found = read_places(write_places(SAMPLES[name], said, name), name)
    places = {"stream"} if name == "misc" else {"exif", "xmp"}
    assert set(found.statements) == places
    assert all(one == said.statement for one in found.statements.values())
    captions = {"stream"} if name == "misc" else {"exif", "xmp", "disclosure"}
    captions |= {"iptc"} if name.startswith(("jpeg", "tiff")) else set()
    assert found.captions == dict.fromkeys(captions, said.caption)
    assert (found.description, found.software, found.source_type) == (said.description, said.software, ENHANCED)
    assert found.problems == () and not found.has_c2pa


@pytest.mark.parametrize("name", PICTURES)
def test_pixels_are_those_of_the_file_before(name: str) -> None:
    assert pixels(name, write_places(SAMPLES[name], disclosure(), name)) == pixels(name, SAMPLES[name])


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_second_disclosure_replaces_the_first(name: str) -> None:
    other = disclosure(statement=statement(1), caption="Another.", source_type="")
    once = write_places(SAMPLES[name], other, name)
    assert write_places(write_places(SAMPLES[name], disclosure(), name), other, name) == once
    assert set(read_places(once, name).captions.values()) == {"Another."}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_stripping_gives_the_file_back(name: str) -> None:
    stripped = strip_places(write_places(SAMPLES[name], disclosure(), name), name)
    found = read_places(stripped, name)
    assert not found.statements and not found.captions and not found.software and not found.source_type
    # These are made extended files for good; AVIF's data of others moves into a box at the end.
    if name not in ("webp-lossy", "webp-lossless", "webp-alpha", "jxl", "jxl-theirs", "avif-theirs"):
        assert stripped == SAMPLES[name]
    else:
        assert pixels(name, stripped) == pixels(name, SAMPLES[name])
        before, after = (carrier_of(c, name).read(c, name) for c in (SAMPLES[name], stripped))
        assert (before.exif, before.xmp) == (after.exif, after.xmp)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_stripping_leaves_a_file_without_a_disclosure_as_it_is(name: str) -> None:
    assert strip_places(SAMPLES[name], name) == SAMPLES[name]


@pytest.mark.parametrize("name", [name for name in THEIRS if not name.startswith(("tiff", "jxl"))])
def test_profile_orientation_maker_note_and_xmp_of_others_stay(name: str) -> None:
    before, after = (
        Image.open(io.BytesIO(c)) for c in (SAMPLES[name], write_places(SAMPLES[name], disclosure(), name))
    )
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert after.getexif()[274] == before.getexif()[274] == 6
    assert after.getexif()[271] == "A camera's maker"
    assert after.getexif().get_ifd(34665)[37500] == b"MAKER" + bytes(range(60))
    xmp = after.info["xmp"]
    start, end = USER_XMP.split(b"</rdf:RDF>")
    assert xmp.startswith(start) and xmp.rstrip(b"\0").endswith(end)


def test_metadata_of_others_in_tiff_and_jpeg_xl_stay() -> None:
    after = Image.open(io.BytesIO(write_places(SAMPLES["tiff-theirs"], disclosure(), "it")))
    before = Image.open(io.BytesIO(SAMPLES["tiff-theirs"]))
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert after.getexif()[274] == 6 and after.getexif()[271] == "A camera's maker"
    assert b"A &amp; B" in after.getexif()[700]
    after = Image.open(io.BytesIO(write_places(SAMPLES["jxl-theirs"], disclosure(), "it")))
    assert after.getexif()[274] == 6 and after.getexif().get_ifd(34665)[37500] == b"MAKER" + bytes(range(60))


def test_what_lay_in_an_exif_block_keeps_its_position() -> None:
    block = user_exif()[6:]
    added = exif.add(block, exif.Texts("said", "miscomp", "{}"), 10**6).block
    assert added is not None
    assert added[8 : len(block)] == block[8:]
    assert exif.strip(added, exif.Texts()) == block


@pytest.mark.parametrize("name", ["png", "jpeg", "webp-lossy", "avif"])
def test_texts_of_the_user_are_not_overwritten(name: str) -> None:
    their = Image.Exif()
    their[270], their[305] = "My holiday", "A camera 1.0"
    their.get_ifd(34665)[37510] = b"ASCII\0\0\0mine"
    format = {"png": "PNG", "jpeg": "JPEG", "webp-lossy": "WEBP", "avif": "AVIF"}[name]
    content = encoded(format, exif=their.tobytes())
    placed = place(content, disclosure(), name)
    found = read_places(placed.content, name)
    assert set(found.statements) == {"xmp"}
    assert found.captions["exif"] == "My holiday"
    assert {note.split()[0] for note in placed.notes} == {"exif:ImageDescription", "exif:Software", "exif:UserComment"}
    assert not any(one.startswith("exif:") for one in placed.wrote)
    stripped = read_places(strip_places(placed.content, name), name)
    assert stripped.captions == {"exif": "My holiday"} and stripped.software == "A camera 1.0"


def test_a_comment_in_utf16_is_somebodys_text_too() -> None:
    their = Image.Exif()
    their.get_ifd(34665)[37510] = b"UNICODE\0" + "grün".encode("utf-16-be")
    placed = place(encoded("PNG", exif=their.tobytes()), disclosure(), "it")
    assert "exif:UserComment" not in placed.wrote


def test_a_comment_of_blanks_is_free() -> None:
    their = Image.Exif()
    their.get_ifd(34665)[37510] = b"ASCII\0\0\0" + b" " * 40 + b"\0"
    assert "exif:UserComment" in place(encoded("PNG", exif=their.tobytes()), disclosure(), "it").wrote


def test_the_stream_keeps_its_payload_and_other_chunks() -> None:
    before, after = unpack(stream()), unpack(write_places(stream(), disclosure(), "it"))
    assert after.payloads == before.payloads and after.seed == before.seed
    assert [kind for kind, _ in after.ancillary] == ["noTe", "diSc"]


def test_a_long_statement_is_whole_in_every_format() -> None:
    long = disclosure(statement=statement(500, note="\u00e4" * 1000))
    for name in sorted(SAMPLES):
        found = read_places(write_places(SAMPLES[name], long, name), name)
        assert all(one == long.statement for one in found.statements.values()) and found.statements


def test_a_statement_that_xmp_has_no_room_for_is_in_exif_alone_and_that_is_said() -> None:
    content = carrier_of(SAMPLES["jpeg"], "it").write(SAMPLES["jpeg"], "it", {"xmp": USER_XMP + b" " * 60_000})
    placed = place(content, disclosure(statement=statement(100)), "it")
    found = read_places(placed.content, "it")
    assert set(found.statements) == {"exif"} and found.captions["disclosure"]
    assert placed.notes == ("xmp:miscomp:statement was left out: XMP holds at most 65502 bytes here",)
    full = place(carrier_of(content, "it").write(content, "it", {"xmp": USER_XMP + b" " * 64_500}), disclosure(), "it")
    assert full.notes == ("XMP was not written: it holds at most 65502 bytes here",)
    assert set(read_places(full.content, "it").captions) == {"exif"}


def test_a_statement_that_exif_has_no_room_for_is_in_xmp_alone_and_that_is_said() -> None:
    their = Image.Exif()
    their[271] = "x" * 64_500
    placed = place(encoded("JPEG", exif=their.tobytes()), disclosure(statement=statement(20)), "it")
    found = read_places(placed.content, "it")
    assert set(found.statements) == {"xmp"} and found.captions["exif"] == disclosure().caption
    assert placed.notes == ("exif:UserComment was left out: EXIF holds at most 65527 bytes here",)


def test_too_long_for_any_place_of_a_jpeg_is_an_error() -> None:
    wide = statement(500)
    far = {"x": 2**30, "y": 2**30, "w": 2**29, "h": 2**29, "score": 1 / 3, "category": "AMPLITUDE+GEOMETRY+SHAPE"}
    places = tuple(one.model_copy(update=far) for one in wide.places)
    picture = wide.picture.model_copy(update={"width": 2**31 - 1, "height": 2**31 - 1})
    huge = disclosure(statement=wide.model_copy(update={"places": places, "picture": picture, "note": "\u20ac" * 2000}))
    with pytest.raises(ImageError, match=r"no place for the statement.*write a copy as PNG"):
        place(SAMPLES["jpeg"], huge, "it")
    assert set(read_places(write_places(SAMPLES["png"], huge, "it"), "it").statements) == {"exif", "xmp"}


def test_control_characters_and_broken_unicode_in_texts_are_written_as_spaces() -> None:
    said = disclosure(caption="a\0b\ud800c\x07d]]>", description="x\uffff\x0by", software="s\ts")
    for name in ("png", "jpeg", "tiff", "misc"):
        found = read_places(write_places(SAMPLES[name], said, name), name)
        assert set(found.captions.values()) == {"a b c d]]>"}
        assert (found.description, found.software, found.problems) == ("x  y", "s s", ())


@pytest.mark.parametrize("format", ["BMP", "JPEG2000", "GIF"])
def test_formats_without_a_place_are_refused(format: str) -> None:
    with pytest.raises(ImageError, match="PNG"):
        place(encoded(format), disclosure(), "it")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_file_that_is_cut_off_is_an_error_or_stays_readable(name: str) -> None:
    content = write_places(SAMPLES[name], disclosure(), name)
    refused = 0
    for size in np.linspace(1, len(content) - 1, 60).astype(int):
        try:
            read_places(content[:size], name)
            place(content[:size], disclosure(), name)
        except (ImageError, StreamError):
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_saving_again_with_pillow_drops_xmp_unless_it_is_passed_on(format: str) -> None:
    """From Pillow 11.1 on; a statement that was in the file is then gone, and nothing shows that it was there."""
    name = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp-lossless", "AVIF": "avif"}[format]
    image = Image.open(io.BytesIO(write_places(SAMPLES[name], disclosure(), name)))
    image.load()
    packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    plain, passed = io.BytesIO(), io.BytesIO()
    image.copy().save(plain, format, exif=b"")
    assert "xmp" not in read_places(plain.getvalue(), name).statements
    if format == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.copy().save(passed, format, pnginfo=info)
    else:
        image.copy().save(passed, format, xmp=packet)
    assert "xmp" in read_places(passed.getvalue(), name).statements
