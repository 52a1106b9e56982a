from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.codecs import container
from miscomp.codecs.container import Stream, is_stream, pack, peek_format_id, unpack
from miscomp.errors import StreamError

PLAIN = Stream(
    format_id=1,
    width=768,
    height=512,
    weights=bytes(range(8)),
    latent_crc32=0x01020304,
    payloads=(b"latents",),
    quality=b"\x80\x00",
)
FULL = replace(
    PLAIN,
    payloads=(b"one", b"", b"two" * 100),
    seed=2**63,
    quality_map=b"map",
    pixels_crc32=7,
    ancillary=(("iccP", b"profile"), ("noTe", b"")),
)


def with_crc(body: bytes) -> bytes:
    """A file whose checksum is right, whatever it holds."""
    return body + zlib.crc32(body).to_bytes(4, "little")


streams = st.builds(
    Stream,
    format_id=st.integers(0, 2**16 - 1),
    width=st.integers(1, 14_000),
    height=st.integers(1, 14_000),
    weights=st.binary(min_size=8, max_size=8),
    latent_crc32=st.integers(0, 2**32 - 1),
    payloads=st.lists(st.binary(max_size=300), min_size=1, max_size=4).map(tuple),
    quality=st.binary(max_size=8),
    seed=st.none() | st.integers(0, 2**64 - 1),
    quality_map=st.none() | st.binary(min_size=1, max_size=300),
    pixels_crc32=st.none() | st.integers(0, 2**32 - 1),
    ancillary=st.lists(st.tuples(st.sampled_from(["iccP", "tile", "noTe"]), st.binary(max_size=20)), max_size=3).map(
        tuple
    ),
)


@given(streams)
def test_a_stream_is_read_back_as_it_was_written(stream: Stream) -> None:
    content = pack(stream)
    assert is_stream(content)
    assert peek_format_id(content) == stream.format_id
    assert unpack(content) == stream


def test_the_bytes_of_version_0_never_change() -> None:
    # Oracle: the layout in the module's docstring, written out by hand; the CRC-32 is that of gzip.
    expected = bytes.fromhex(
        "8d4d5343 00 14"  # magic, version, header of 20 bytes
        "0100 0001020304050607 04030201"  # format id, weights, CRC-32 of the latents
        "8006 8004 8000"  # 768, 512, the codec's parameters
        "44415441 07 6c6174656e7473"  # DATA, 7 bytes, "latents"
    )
    assert pack(PLAIN) == expected + bytes.fromhex("ba6ba100")


def test_a_quality_map_is_a_critical_chunk_and_none_costs_nothing() -> None:
    # Oracle: the same layout with QMAP before DATA; a reader that skipped it would show a wrong picture.
    plain, mapped = pack(PLAIN), pack(replace(PLAIN, quality_map=b"\1\2"))
    assert mapped == with_crc(plain[:26] + b"QMAP\x02\1\2" + plain[26:-4])
    assert plain == pack(replace(PLAIN, quality_map=None))


def test_the_plain_case_costs_at_most_40_bytes_even_for_the_largest_picture() -> None:
    payload = bytes(400_000)
    for width, height in ((768, 512), (16_000, 12_500)):
        assert len(pack(replace(PLAIN, width=width, height=height, payloads=(payload,)))) - len(payload) <= 40


def test_a_stream_that_ends_early_is_an_error_at_every_byte() -> None:
    for stream in (PLAIN, FULL):
        content = pack(stream)
        for length in range(len(content)):
            with pytest.raises(StreamError, match=r"truncated|empty|damaged"):
                unpack(content[:length])
    with pytest.raises(StreamError, match=r"file\.misc: truncated: it ends after 40 bytes"):
        unpack(pack(FULL)[:40], "file.misc")


def test_every_flipped_bit_is_an_error() -> None:
    for stream in (PLAIN, FULL):
        content = pack(stream)
        for position in range(8 * len(content)):
            damaged = bytearray(content)
            damaged[position // 8] ^= 1 << position % 8
            with pytest.raises(StreamError):
                unpack(bytes(damaged))


def test_a_damaged_payload_is_told_from_a_truncated_file() -> None:
    content = bytearray(pack(PLAIN))
    content[-6] ^= 1
    with pytest.raises(StreamError, match="damaged: its checksum"):
        unpack(bytes(content))


@pytest.mark.parametrize("garbage", [b"\0", b"garbage", pack(PLAIN)])
def test_bytes_behind_the_stream_are_an_error_that_counts_them(garbage: bytes) -> None:
    with pytest.raises(StreamError, match=f"followed by {len(garbage)} foreign bytes"):
        unpack(pack(FULL) + garbage)


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff\xe0 a JPEG", b"\x89PNG\r\n\x1a\n", b"text", b"\0", b"\x8dMSX" + bytes(50)]
)
def test_foreign_bytes_are_told_as_such(content: bytes) -> None:
    with pytest.raises(StreamError, match="not a miscomp stream"):
        unpack(content)


def test_a_newer_version_asks_for_a_newer_release() -> None:
    content = pack(PLAIN)
    with pytest.raises(StreamError, match="version 9; this release reads version 0"):
        unpack(with_crc(content[:4] + b"\x09" + content[5:-4]))


def test_an_unknown_critical_chunk_is_an_error_and_an_unknown_ancillary_one_is_kept() -> None:
    body = pack(PLAIN)[:-4]
    with pytest.raises(StreamError, match="needs the part 'MASK'"):
        unpack(with_crc(body + b"MASK\x01x"))
    assert unpack(with_crc(body + b"mask\x01x")) == replace(PLAIN, ancillary=(("mask", b"x"),))


def test_sizes_over_the_limit_are_an_error_that_names_both() -> None:
    content = pack(replace(PLAIN, width=2**31 - 1, height=2**31 - 1))
    with pytest.raises(StreamError, match="2147483647 x 2147483647 pixels; the limit is 200 megapixels"):
        unpack(content)
    with pytest.raises(StreamError, match=r"the limit is 0\.1 megapixels"):
        unpack(pack(PLAIN), max_megapixels=0.1)
    assert unpack(pack(PLAIN), max_megapixels=768 * 512 / 1e6) == PLAIN


HEAD = pack(PLAIN)[: 6 + 20]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (HEAD, "at least one payload"),
        (HEAD + b"DATA\x05abc", "reaches past the end"),
        (HEAD + b"DATA\xff\xff\xff\xff\x7fabc", "reaches past the end"),
        (HEAD + b"DATA\x80\x00", "shortest form"),
        (HEAD + b"DATA\x80\x80\x80\x80\x80\x01", "longer than five bytes"),
        (HEAD + b"DAT", "reaches past the end"),
        (HEAD + b"D\x00TA\x00", "not four letters"),
        (HEAD + b"DATA\x00SEED\x04abcd", "SEED chunk has 4 bytes, not 8"),
        (HEAD + b"DATA\x00" + b"pixC\x04abcd" * 2, "two pixC chunks"),
        (HEAD + b"DATA\x00" + b"QMAP\x01a" * 2, "two QMAP chunks"),
        (HEAD + b"DATA\x00QMAP\x00", "quality_map must be none or hold at least one byte"),
        (HEAD[:5] + b"\x0d" + HEAD[6:19] + b"DATA\x00", "header of 13 bytes is too short"),
        (HEAD[:5] + b"\x10" + HEAD[6:20] + b"\x00\x01" + b"DATA\x00", "width must be a whole number from 1"),
        (HEAD[:5] + b"\x1d" + HEAD[6:] + b"123456789" + b"DATA\x00", "quality holds at most 8 bytes"),
        (HEAD[:5] + b"\xff" + HEAD[6:], "reaches past the end"),
    ],
)
def test_nonsense_with_a_right_checksum_is_an_error_that_says_which(body: bytes, problem: str) -> None:
    with pytest.raises(StreamError, match=problem):
        unpack(with_crc(body))


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_magic_give_a_stream_error_and_nothing_else(rest: bytes) -> None:
    for content in (rest, container.MAGIC + rest, with_crc(HEAD + rest)):
        with contextlib.suppress(StreamError):
            assert isinstance(unpack(content), Stream)


def test_a_file_of_a_million_empty_chunks_with_a_wrong_checksum_is_refused_in_linear_time() -> None:
    # The walk that tells truncation from damage must not check a prefix per chunk: that takes hours here.
    with pytest.raises(StreamError, match="damaged"):
        unpack(HEAD + b"noTe\x00" * 1_000_000 + bytes(4))


@pytest.mark.parametrize(
    "change",
    [
        {"format_id": 2**16},
        {"width": 0},
        {"height": 2**31},
        {"width": 1.0},
        {"weights": b"short"},
        {"latent_crc32": -1},
        {"payloads": ()},
        {"quality": bytes(9)},
        {"seed": 2**64},
        {"quality_map": b""},
        {"pixels_crc32": 2**32},
        {"ancillary": (("CRIT", b""),)},
        {"ancillary": (("pixC", b"1234"),)},
        {"ancillary": (("n0te", b""),)},
    ],
)
def test_a_stream_that_cannot_be_written_is_refused_when_it_is_made(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs|holds"):
        replace(PLAIN, **change)  # type: ignore[arg-type]
