"""Which bytes are accepted as a picture, and what is said about the others."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_jxl  # noqa: F401  (registers the JPEG XL writer the tests use)
import pytest
from PIL import Image, ImageCms

from miscomp.errors import ImageError
from miscomp.formats import format_of
from miscomp.images import decode


def photo(height: int = 24, width: int = 32) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 7 % 256, y * 9 % 256, (x + y) * 4 % 256], -1).astype(np.uint8))


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    body = header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(width: int, height: int, tags: dict[int, int | tuple[int, ...]], samples: bytes) -> bytes:
    """A little-endian TIFF of one strip, written from the TIFF 6.0 specification."""
    entries: dict[int, tuple[int, ...]] = {256: (width,), 257: (height,), 259: (1,), 278: (height,)}
    entries |= {tag: value if isinstance(value, tuple) else (value,) for tag, value in tags.items()}
    entries |= {273: (0,), 279: (len(samples),)}
    extra_at = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    directory = struct.pack("<H", len(entries))
    total = sum(2 * len(v) for v in entries.values() if len(v) > 2)
    entries[273] = (extra_at + total,)
    for tag, values in sorted(entries.items()):
        if len(values) > 2:
            directory += struct.pack("<HHII", tag, 3, len(values), extra_at + len(extra))
            extra += struct.pack(f"<{len(values)}H", *values)
        elif len(values) == 2:
            directory += struct.pack("<HHIHH", tag, 3, 2, *values)
        else:
            directory += struct.pack("<HHII", tag, 4, 1, values[0])
    return b"II*\0\x08\0\0\0" + directory + b"\0\0\0\0" + extra + samples


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TURNED = Image.Exif()
TURNED[0x112] = 6

FILES = {
    "png": encode(photo(), "PNG", icc_profile=SRGB, exif=TURNED),
    "palette": encode(photo().quantize(16), "PNG"),
    "jpeg": encode(photo(), "JPEG", icc_profile=SRGB, exif=TURNED),
    "progressive": encode(photo(), "JPEG", progressive=True),
    "cmyk": encode(photo().convert("CMYK"), "JPEG"),
    "webp": encode(photo(), "WEBP", exif=TURNED),
    "webp-lossless": encode(photo().convert("RGBA"), "WEBP", lossless=True),
    "avif": encode(photo(), "AVIF", exif=TURNED),
    "tiff": encode(photo(), "TIFF"),
    "tiff-lzw": encode(photo(), "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encode(photo(), "TIFF", compression="jpeg"),
    "jp2": encode(photo(), "JPEG2000"),
    "j2k": encode(photo(), "JPEG2000", no_jp2=True),
    "bmp": encode(photo(), "BMP"),
    "jxl": encode(photo(), "JXL"),
    "jxl-container": encode(photo(), "JXL", lossless=True, use_container=True),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_known_by_its_content_and_read(name: str) -> None:
    pixels, _ = decode(FILES[name], name)
    turned = name in ("png", "jpeg", "webp", "avif")
    assert pixels.shape == ((32, 24, 3) if turned else (24, 32, 3))


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_refused(name: str) -> None:
    content = FILES[name]
    for length in {0, 1, 3, 11, 20, len(content) // 3, len(content) // 2, len(content) * 9 // 10, len(content) - 1}:
        with pytest.raises(ImageError, match=f"^{name}: "):
            decode(content[:length], name)


def fix_checksums(content: bytearray) -> None:
    """So that the damage reaches the PNG decoder."""
    at = 8
    while (end := at + 8 + int.from_bytes(content[at : at + 4], "big")) + 4 <= len(content):
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # Pillow's, about damaged metadata
@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_give_a_picture_or_an_image_error_and_nothing_else(name: str) -> None:
    random = np.random.default_rng(2024)
    refused = 0
    for _ in range(250):
        damaged = bytearray(FILES[name])
        for _ in range(random.integers(1, 5)):
            damaged[random.integers(0, min(len(damaged), 300))] = random.integers(0, 256)
        if name in ("png", "palette"):
            fix_checksums(damaged)
        try:
            pixels, _ = decode(bytes(damaged), name, max_megapixels=5)
        except ImageError:
            refused += 1
        else:
            assert pixels.dtype == np.uint8
            assert pixels.size <= 15e6
    assert refused > 0


def claim(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    damaged = bytearray(content.replace(old, new, 1))
    if content[:4] == b"\x89PNG":
        fix_checksums(damaged)
    return bytes(damaged)


def huge_jxl() -> bytes:
    """A codestream header of 60000 x 60000: not small, 30-bit height, ratio 1:1, all metadata default."""
    bits = "0" + "11" + format(59999, "030b")[::-1] + "100" + "1"
    return b"\xff\x0a" + int(bits[::-1], 2).to_bytes(8, "little")


HUGE = {
    "png": claim(FILES["palette"], struct.pack(">II", 32, 24), struct.pack(">II", 60000, 60000)),
    "jpeg": claim(FILES["jpeg"], struct.pack(">BHH", 8, 24, 32), struct.pack(">BHH", 8, 60000, 60000)),
    "webp": claim(FILES["webp"], b"\x1f\0\0\x17\0\0", b"\x5f\xea\0\x5f\xea\0"),
    "avif": claim(FILES["avif"], b"ispe\0\0\0\0" + struct.pack(">II", 32, 24), b"ispe\0\0\0\0\0\0\x3a\x98\0\0\x3a\x98"),
    "tiff": tiff(60000, 60000, {258: (8, 8, 8), 262: 2, 277: 3}, b"\0" * 12),
    "j2k": claim(FILES["j2k"], struct.pack(">II", 32, 24), struct.pack(">II", 60000, 60000)),
    "jp2": claim(FILES["jp2"], struct.pack(">II", 24, 32), struct.pack(">II", 60000, 60000)),
    "bmp": claim(FILES["bmp"], struct.pack("<II", 32, 24), struct.pack("<II", 60000, 60000)),
    "jxl": huge_jxl(),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_header_that_claims_a_huge_size_is_refused_by_its_size(name: str) -> None:
    with pytest.raises(ImageError, match=r"0 x [16][05]000 pixels \(.* megapixels\); the limit is 200"):
        decode(HUGE[name], name)


def test_a_stream_larger_than_its_jp2_header_says_is_refused() -> None:
    content = bytearray(FILES["jp2"])
    struct.pack_into(">II", content, content.find(b"\xff\x4f\xff\x51") + 8, 60000, 60000)
    with pytest.raises(ImageError):
        decode(bytes(content), "liar.jp2")


def test_pictures_beyond_pillows_own_limit_are_read_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)  # 768 pixels are more: Pillow would warn, an error here
    for name in FILES:
        decode(FILES[name], name)


def test_the_limit_counts_million_pixels_and_is_inclusive() -> None:
    content = encode(Image.new("RGB", (100, 100)), "PNG")
    decode(content, "a.png", max_megapixels=0.01)
    with pytest.raises(ImageError, match=r"100 x 100 pixels \(0.0 megapixels\); the limit is 0.0099"):
        decode(content, "a.png", max_megapixels=0.0099)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_a_second_frame_or_page_is_refused(format: str) -> None:
    other = Image.fromarray(255 - np.asarray(photo()))
    content = encode(photo(), format, save_all=True, append_images=[other])
    with pytest.raises(ImageError, match="more than one frame or page; one is allowed"):
        decode(content, "film")


def test_a_phone_jpeg_with_a_further_picture_is_read_as_its_first_with_a_warning() -> None:
    other = Image.fromarray(255 - np.asarray(photo()))
    content = encode(photo(), "MPO", save_all=True, append_images=[other])
    pixels, notes = decode(content, "phone.jpg")
    assert notes == ("further pictures in the file (a preview or gain map) were ignored",)
    assert np.array_equal(pixels, decode(encode(photo(), "JPEG"), "plain.jpg")[0])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty"),
        (b"hello, I am a text", "beginning b'hello, I am "),
        (b"GIF89a" + b"\0" * 20, "a GIF"),
        (b"%PDF-1.7", "a PDF"),
        (b"%!PS-Adobe", "PostScript"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC"),
        (b"RIFF\0\0\0\0WAVEfmt ", "beginning b'RIFF"),
        (b"BM" + b"\0" * 100, "BMP header"),
    ],
)
def test_other_files_are_refused_by_what_they_are(content: bytes, found: str) -> None:
    with pytest.raises(ImageError, match=found):
        decode(content, "photo.jpg")


def test_avif_is_known_by_a_compatible_brand() -> None:
    assert format_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "x") == "AVIF"


@pytest.mark.parametrize(("width", "height"), [(0, 4), (4, 0), (0, 0)])
def test_zero_size_is_refused(width: int, height: int) -> None:
    with pytest.raises(ImageError, match="zero-sized PNG header"):
        decode(png(width, height, 8, 2, b""), "nothing.png")


def test_png_pixels_with_a_wrong_checksum_are_refused() -> None:
    content = bytearray(FILES["palette"])
    content[content.find(b"IDAT") + 12] ^= 1
    with pytest.raises(ImageError, match="checksum of PNG chunk b'IDAT' is wrong"):
        decode(bytes(content), "flipped.png")


def test_compressed_text_that_unpacks_to_megabytes_is_refused() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 20_000_000))
    with pytest.raises(ImageError, match="too large"):
        decode(png(1, 1, 8, 0, b"\0\0", bomb), "bomb.png")


def test_a_jpeg_of_hundreds_of_scans_is_refused() -> None:
    content = FILES["progressive"]
    last = content.rfind(b"\xff\xda")
    with pytest.raises(ImageError, match="more than 100 scans"):
        decode(content[:-2] + content[last:-2] * 120 + b"\xff\xd9", "scans.jpg")
