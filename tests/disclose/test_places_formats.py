"""What is peculiar to each format: offsets, flags, order, and what must stay to the byte. Oracles: specifications."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from disclosed import USER_XMP, disclosure, encoded, photo, samples, user_exif
from PIL import Image, ImageSequence

from miscomp.disclose.formats import heif, iptc, jpeg, jxl_boxes, png, webp
from miscomp.disclose.formats.boxes import boxes, pack
from miscomp.disclose.places import place, read_places, strip_places, write_places
from miscomp.errors import ImageError
from miscomp.images import decode

SAMPLES = samples()
PACKET = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>'


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


# JPEG


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-theirs"])
def test_a_jpegs_tables_and_scans_are_the_same_bytes(name: str) -> None:
    before, after = SAMPLES[name], write_places(SAMPLES[name], disclosure(), name)
    assert after.endswith(before[before.index(b"\xff\xdb") :])


def test_segments_stand_in_the_order_that_readers_expect() -> None:
    after = write_places(SAMPLES["jpeg"], disclosure(), "it")
    order = [
        after.index(mark) for mark in (b"JFIF\0", b"Exif\0", b"http://ns.adobe.com/xap", b"Photoshop 3.0", b"\xff\xdb")
    ]
    assert order == sorted(order)


def pictures(order: str, more: bytes) -> bytes:
    """A JPEG of two pictures, as a camera writes it; from CIPA DC-007."""
    first = encoded("JPEG", exif=user_exif())
    at = first.index(b"\xff\xdb")
    head = {"<": b"II\x2a\0", ">": b"MM\0\x2a"}[order]
    index = head + struct.pack(order + "IHHHI", 8, 2, 45057, 4, 1) + struct.pack(order + "I", 2)
    index += struct.pack(order + "HHIII", 45058, 7, 32, 8 + 2 + 24 + 4, 0)
    start = at + 4 + 4
    size = len(first) + 4 + 4 + len(index) + 32
    entries = struct.pack(order + "IIIHH", 0x20030000, size, 0, 0, 0)
    entries += struct.pack(order + "IIIHH", 0, len(more), size - start, 0, 0)
    return first[:at] + segment(0xE2, b"MPF\0" + index + entries) + first[at:] + more


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_second_picture_behind_a_jpeg_is_found_where_the_index_says(order: str) -> None:
    content = pictures(order, encoded("JPEG", quality=30))
    frames = [np.asarray(one) for one in ImageSequence.Iterator(Image.open(io.BytesIO(content)))]
    after = write_places(content, disclosure(), "it")
    for given in (after, write_places(after, disclosure(caption="x"), "it")):
        image = Image.open(io.BytesIO(given))
        assert image.format == "MPO" and image.n_frames == 2  # type: ignore[attr-defined]
        for before, one in zip(frames, ImageSequence.Iterator(image), strict=True):
            assert np.array_equal(before, np.asarray(one))
        sizes = [entry["Size"] for entry in image.mpinfo[45058]]  # type: ignore[attr-defined]
        assert sum(sizes) == len(given)
    assert strip_places(after, "it") == content


def test_an_index_of_pictures_that_cannot_be_kept_right_is_refused() -> None:
    content = pictures("<", b"x").replace(b"MPF\0II\x2a\0", b"MPF\0II\x2b\0")
    with pytest.raises(ImageError, match="export it as one picture"):
        write_places(content, disclosure(), "it")


def extended(packet: bytes, parts: int = 2) -> bytes:
    """Extended XMP, XMP Specification Part 3, 1.1.3.1."""
    digest = hashlib.md5(packet).hexdigest().upper().encode()
    step = -(-len(packet) // parts)
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest + len(packet).to_bytes(4, "big")
    found = [segment(0xE1, head + at.to_bytes(4, "big") + packet[at : at + step]) for at in range(0, len(packet), step)]
    return b"".join(reversed(found))


def test_extended_xmp_stays_and_a_statement_in_it_is_found() -> None:
    said = disclosure()
    packet = png.read(write_places(SAMPLES["png"], said, "it"), "it").xmp
    assert packet is not None
    content = SAMPLES["jpeg"][:2] + extended(packet) + SAMPLES["jpeg"][2:]
    assert read_places(content, "it").statements == {"xmp": said.statement}
    assert extended(packet) in write_places(content, said, "it")
    gap = (
        SAMPLES["jpeg"][:2]
        + extended(packet).replace(len(packet).to_bytes(4, "big"), b"\xff" * 4)
        + SAMPLES["jpeg"][2:]
    )
    assert "extended XMP" in read_places(gap, "it").problems[0]


def test_photoshop_resources_of_others_stay() -> None:
    theirs = (
        b"8BIM\x03\xed\x03abc\0\0\0\x03xyz\0"
        + b"8BIM\x04\x04\0\0\0\0\0\x05\x1c\x02\x69\0\0\0"
        + b"8BIM\x04\x0a\0\0\0\0\0\1\1\0"
    )
    content = SAMPLES["jpeg"][:2] + segment(0xED, b"Photoshop 3.0\0" + theirs) + SAMPLES["jpeg"][2:]
    after = write_places(content, disclosure(caption="plain"), "it")
    body = after[after.index(b"Photoshop 3.0\0") + 14 :]
    size = 14 + len(theirs) + 10
    assert iptc.resources(body[: size - 14])[0].content == b"xyz"
    assert [one.number for one in iptc.resources(body[: size - 14])] == [0x3ED, 0x404, 0x40A]
    assert read_places(after, "it").captions["iptc"] == "plain"
    assert strip_places(after, "it") == content
    twice = content[:2] + segment(0xED, b"Photoshop 3.0\0" + theirs) + content[2:]
    assert "iptc:Caption was not written" in place(twice, disclosure(), "it").notes[0]
    broken = SAMPLES["jpeg"][:2] + segment(0xED, b"Photoshop 3.0\0" + theirs[:-5] + b"12345") + SAMPLES["jpeg"][2:]
    assert "damaged" in read_places(broken, "it").problems[0]
    assert broken[2:60] in write_places(broken, disclosure(), "it")


# PNG


def test_a_compressed_packet_is_read_and_other_chunks_keep_their_order() -> None:
    plain = SAMPLES["png"]
    packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(USER_XMP))
    own, after_pixels = chunk(b"prVt", b"1"), chunk(b"tEXt", b"a\0b")
    content = plain[:33] + own + packed + plain[33:-12] + after_pixels + plain[-12:]
    assert png.read(content, "it").xmp == USER_XMP
    written = write_places(content, disclosure(), "it")
    at = [written.index(kind) for kind in (b"IHDR", b"prVt", b"iTXt", b"eXIf", b"IDAT", b"tEXt", b"IEND")]
    assert at == sorted(at)
    with pytest.raises(ImageError, match="checksum"):
        write_places(content.replace(b"prVt1", b"prVt2"), disclosure(), "it")


def test_exif_as_imagemagick_wrote_it_is_not_hidden_by_a_second_one() -> None:
    content = (
        SAMPLES["png"][:33] + chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"x")) + SAMPLES["png"][33:]
    )
    placed = place(content, disclosure(), "it")
    assert b"eXIf" not in placed.content and "raw profile" in placed.notes[0]


# WebP


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("webp-lossy", 0x0C),
        ("webp-lossless", 0x0C),
        ("webp-alpha", 0x1C),
        ("webp-lossy-alpha", 0x1C),
        ("webp-theirs", 0x2C),
    ],
)
def test_the_extended_header_has_the_right_canvas_and_flags(name: str, flags: int) -> None:
    after = write_places(SAMPLES[name], disclosure(), name)
    assert after[12:16] == b"VP8X" and after[20] == flags
    assert [int.from_bytes(after[at : at + 3], "little") + 1 for at in (24, 27)] == [32, 24]
    assert int.from_bytes(after[4:8], "little") == len(after) - 8
    assert Image.open(io.BytesIO(after)).mode == Image.open(io.BytesIO(SAMPLES[name])).mode


def test_a_prefix_that_some_writers_put_before_exif_is_kept() -> None:
    content = webp.write(SAMPLES["webp-lossy"], "it", {"exif": user_exif()})
    assert read_places(content, "it").problems == ()
    after = write_places(content, disclosure(), "it")
    assert b"Exif\0\0MM" in after and read_places(after, "it").statements
    assert strip_places(after, "it") == content


# AVIF


def test_offsets_are_right_where_the_last_box_has_no_length() -> None:
    content = SAMPLES["avif"]
    last = boxes(content, 0, len(content))[-1]
    assert last.kind == b"mdat"
    opened = content[: last.start] + b"\0\0\0\0" + content[last.start + 4 :]
    after = write_places(opened, disclosure(), "it")
    assert np.array_equal(decode(after, "it")[0], decode(content, "it")[0])
    assert read_places(after, "it").statements


def test_data_before_the_description_does_not_move() -> None:
    """Offsets of a file whose pixels come first stay, and those of one whose pixels follow grow."""
    content = SAMPLES["avif"]
    found = {one.kind: content[one.start : one.end] for one in boxes(content, 0, len(content))}
    at = len(found[b"ftyp"]) + 8
    old = content.index(found[b"mdat"]) + 8
    meta = found[b"meta"].replace(old.to_bytes(4, "big"), at.to_bytes(4, "big"))
    turned = found[b"ftyp"] + found[b"mdat"] + meta
    pixels = decode(turned, "it")[0]
    after = write_places(turned, disclosure(), "it")
    assert np.array_equal(decode(after, "it")[0], pixels) and after.startswith(found[b"ftyp"] + found[b"mdat"])


def test_an_image_sequence_is_refused() -> None:
    file = io.BytesIO()
    photo().save(file, "AVIF", save_all=True, append_images=[photo().rotate(180)], speed=10)
    with pytest.raises(ImageError, match="sequence"):
        write_places(file.getvalue(), disclosure(), "it")


def test_items_that_are_packed_or_lie_elsewhere_are_left_alone() -> None:
    content = SAMPLES["avif-theirs"].replace(b"application/rdf+xml\0", b"application/rdf+xml\0gzip\0", 1)
    with pytest.raises(ImageError):  # the lengths around it are wrong now
        heif.read(content, "it")
    protected = SAMPLES["avif-theirs"].replace(b"\0\0Exif", b"\0\1Exif", 1)
    found = read_places(protected, "it")
    assert "exif item is packed, encrypted or elsewhere" in found.problems[0]
    assert any("EXIF was not written" in note for note in place(protected, disclosure(), "it").notes)


# JPEG XL


def test_metadata_packed_with_brotli_is_seen_and_stays() -> None:
    content = jxl_boxes.write(SAMPLES["jxl"], "it", {"exif": user_exif()[6:]})
    at = content.index(b"\0\0\0\x0fjxlc") if b"\0\0\0\x0fjxlc" in content else content.index(b"jxlc") - 4
    packed = content[:at] + pack(b"brob", b"xml \x0bsomething") + content[at:]
    found = read_places(packed, "it")
    assert found.problems == ("a box xml is packed with Brotli and was not read",)
    placed = place(packed, disclosure(), "it")
    assert b"brobxml \x0bsomething" in placed.content and set(read_places(placed.content, "it").statements) == {"exif"}
    both = packed[:at] + pack(b"brob", b"Exif\x0bsomething") + packed[at:]
    with pytest.raises(ImageError, match="no place for the statement"):
        write_places(both, disclosure(), "it")


def test_boxes_from_which_a_jpeg_can_be_rebuilt_are_left_as_they_are() -> None:
    content = jxl_boxes.write(SAMPLES["jxl"], "it", {"exif": user_exif()[6:]})
    content = content[:32] + pack(b"jbrd", b"x") + content[32:]
    placed = place(content, disclosure(), "it")
    assert pack(b"Exif", b"\0\0\0\0", user_exif()[6:]) in placed.content
    assert set(read_places(placed.content, "it").statements) == {"xmp"}


def test_a_bare_codestream_is_put_into_a_container_whole() -> None:
    after = write_places(SAMPLES["jxl"], disclosure(), "it")
    assert [one.kind for one in boxes(after, 0, len(after))] == [b"JXL ", b"ftyp", b"Exif", b"xml ", b"jxlc"]
    assert after.endswith(SAMPLES["jxl"])
    with pytest.raises(ImageError, match="without a codestream"):
        write_places(after[: after.index(b"jxlc") - 4], disclosure(), "it")


# TIFF


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith("tiff")])
def test_nothing_in_a_tiff_moves_but_the_headers_offset(name: str) -> None:
    before, after = SAMPLES[name], write_places(SAMPLES[name], disclosure(), name)
    start = 16 if "bigtiff" in name else 8
    assert after[start : len(before)] == before[start:]
    if "theirs" not in name:  # tifffile needs another library for LZW
        assert tifffile.imread(io.BytesIO(after)).tolist() == tifffile.imread(io.BytesIO(before)).tolist()


def test_pages_are_refused_and_a_page_added_later_is_not_lost() -> None:
    file = io.BytesIO()
    photo().save(file, "TIFF", save_all=True, append_images=[photo()])
    with pytest.raises(ImageError, match="more than one page"):
        write_places(file.getvalue(), disclosure(), "it")
    assert "further pages" in read_places(file.getvalue(), "it").problems[0]
    later = io.BytesIO(write_places(SAMPLES["tiff-strips"], disclosure(), "it"))
    tifffile.imwrite(later, np.asarray(photo()), photometric="rgb", append=True, metadata=None)
    assert len(tifffile.TiffFile(io.BytesIO(later.getvalue())).pages) == 2
    with pytest.raises(ImageError, match="more than one page"):
        strip_places(later.getvalue(), "it")


@pytest.mark.parametrize("name", ["jpeg", "png", "webp-lossy", "avif", "jxl", "tiff"])
def test_an_exif_block_that_cannot_be_read_stays_and_is_said(name: str) -> None:
    modules = {"jpeg": jpeg, "png": png, "webp-lossy": webp, "avif": heif, "jxl": jxl_boxes}
    if name == "tiff":
        with pytest.raises(ImageError, match="damaged"):
            read_places(SAMPLES[name][:4] + b"\xff" * 4 + SAMPLES[name][8:], name)
        return
    bad = b"II\x2a\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\xff\xff\xff\xff\0\0\0\0"
    content = modules[name].write(SAMPLES[name], name, {"exif": bad, "xmp": PACKET})
    assert read_places(content, name).problems[0].startswith("EXIF: a directory")
    placed = place(content, disclosure(), name)
    assert bad in placed.content and set(read_places(placed.content, name).statements) == {"xmp"}
    assert placed.notes[0].startswith("EXIF was not written: a directory")
