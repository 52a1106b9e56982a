"""Streams of `lucid` that are damaged or made to do harm, in containers whose own checksum is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_lucid import TINY, cosine_weights, photograph, some_map, tiny_model, tiny_weights

from miscomp.codecs import container, quality_map
from miscomp.codecs.lucid import Lucid
from miscomp.errors import StreamError
from miscomp.images import Pixels


@pytest.fixture(scope="module")
def codec() -> Lucid:
    return Lucid(tiny_weights())


def repack(content: bytes, **changes: object) -> bytes:
    """A file with other fields and a right checksum, as a hostile writer would make it."""
    return container.pack(replace(container.unpack(content), **changes))  # type: ignore[arg-type]


def test_a_stream_of_other_weights_names_both(codec: Lucid) -> None:
    other = Lucid.from_model(tiny_model(seed=1))
    content = other.compress(photograph(64, 64), 0.5)
    with pytest.raises(StreamError, match=f"{other.weights_sha256[:16]}.*{codec.weights_sha256[:16]}.*no promise"):
        codec.decompress(content)


def test_a_wrong_checksum_over_the_latents_gives_no_picture(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    with pytest.raises(StreamError, match="latents decode to others"):
        codec.decompress(repack(content, latent_crc32=container.unpack(content).latent_crc32 ^ 1))


def test_pixels_that_the_writer_did_not_vouch_for_give_no_picture(codec: Lucid) -> None:
    plain, checked = (codec.compress(photograph(64, 64), 0.5, pixel_checksum=flag) for flag in (False, True))
    assert len(checked) == len(plain) + 9
    assert np.array_equal(codec.decompress(plain), codec.decompress(checked))
    with pytest.raises(StreamError, match="pixels decode to others"):
        codec.decompress(repack(checked, pixels_crc32=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_id": 9}, "format id 9"),
        ({"quality": b""}, "parameters"),
        ({"quality": b"\x01\x02"}, "parameters"),
        ({"seed": 3}, "parameters"),
        ({"payloads": (b"\x00", b"\x00")}, "2 payloads for 1 tiles"),
        ({"width": 5000}, "1 payloads for 3 tiles"),
        ({"width": 65537, "height": 1}, "at most 65536 a side"),
        ({"width": 30_000, "height": 30_000}, "limit is 200 megapixels"),
        ({"payloads": (b"",)}, "number of channel groups"),
        ({"payloads": (bytes((len(TINY.groups) + 1,)),)}, "number of channel groups"),
        ({"payloads": (b"\xff" * 9,)}, "number of channel groups"),
        ({"payloads": (b"\x01abc",)}, "words of 4 bytes"),
        ({"payloads": (b"\x00",)}, "damaged|latents decode to others"),
        ({"payloads": (b"\x03" + b"\xff" * 64,)}, "damaged|latents decode to others"),
        ({"quality": b"\x10"}, "damaged|latents decode to others"),
        ({"quality_map": b"\x00"}, "damaged"),
        ({"quality_map": b"\xff" * 40}, "damaged"),
        ({"quality_map": quality_map.encode(np.full((4, 4), 9, np.int8))}, "damaged|latents decode to others"),
        ({"quality_map": quality_map.encode(np.full((4, 9), 9, np.int8))}, "damaged|latents decode to others"),
    ],
)
def test_a_hostile_stream_is_an_error_that_says_why(codec: Lucid, changes: dict[str, object], message: str) -> None:
    content = codec.compress(photograph(64, 64), 0.9)
    with pytest.raises(StreamError, match=message):
        codec.decompress(repack(content, **changes))


def test_another_number_of_groups_is_an_error(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.9)
    payload = container.unpack(content).payloads[0]
    assert payload[0] == 3
    for groups in (0, 1, 2):
        with pytest.raises(StreamError):
            codec.decompress(repack(content, payloads=(bytes((groups,)) + payload[1:],)))


def test_random_payloads_never_give_a_picture(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.5)
    rng = np.random.default_rng(0)
    for size in range(0, 160, 4):
        for groups in range(4):
            with pytest.raises(StreamError):
                codec.decompress(repack(content, payloads=(bytes((groups,)) + rng.bytes(size),)))


def decoded(codec: Lucid, content: bytes) -> Pixels | None:
    """The picture, or none for a stream that is refused."""
    try:
        return codec.decompress(content)
    except StreamError:
        return None


def test_every_flipped_byte_of_a_payload_is_an_error_though_the_container_is_whole() -> None:
    content = Lucid(cosine_weights()).compress(photograph(80, 70), 0.2, quality_map=some_map(80, 70))
    (payload,) = container.unpack(content).payloads
    x_hat, undecided = Lucid(cosine_weights()).decompress(content), 0
    for at in range(len(payload)):
        damaged = payload[:at] + bytes((payload[at] ^ (1 << at % 8),)) + payload[at + 1 :]
        picture = decoded(Lucid(cosine_weights()), repack(content, payloads=(damaged,)))
        undecided += picture is not None
        # Only the last word may hold bits that decide nothing: then nothing is damaged.
        assert picture is None or (at >= len(payload) - 4 and np.array_equal(picture, x_hat))
    assert undecided < 4


def test_every_payload_that_ends_early_is_an_error_though_the_container_is_whole() -> None:
    content = Lucid(cosine_weights()).compress(photograph(80, 70), 0.2)
    (payload,) = container.unpack(content).payloads
    for end in range(len(payload) - 4):
        with pytest.raises(StreamError):
            Lucid(cosine_weights()).decompress(repack(content, payloads=(payload[:end],)))


def test_every_flipped_byte_of_a_map_is_an_error(codec: Lucid) -> None:
    content = codec.compress(photograph(64, 64), 0.9, quality_map=some_map(64, 64))
    chunk = container.unpack(content).quality_map or b""
    assert len(chunk) > 2
    for at in range(len(chunk)):
        for flip in range(1, 256, 9):
            damaged = chunk[:at] + bytes((chunk[at] ^ flip,)) + chunk[at + 1 :]
            with pytest.raises(StreamError):
                codec.decompress(repack(content, quality_map=damaged))
    with pytest.raises(StreamError):
        codec.decompress(repack(content, quality_map=None))


def test_every_flipped_byte_and_every_cut_of_a_file_is_an_error(codec: Lucid) -> None:
    content = codec.compress(photograph(16, 16), 0.5)
    for at in range(len(content)):
        damaged = content[:at] + bytes((content[at] ^ 0x20,)) + content[at + 1 :]
        for bad in (damaged, content[:at]):
            with pytest.raises(StreamError):
                codec.decompress(bad)
