from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.codecs import rate, spec
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.quality_map import FloatArray
from miscomp.codecs.rate import WithMap, encode, encode_at_bpp, encode_at_quality
from miscomp.codecs.rows import CodecRow, Qualities
from miscomp.codecs.spec import CodecSpec, default_spec
from miscomp.errors import UsageError
from miscomp.images import Pixels

PIXELS: Pixels = np.zeros((100, 80, 3), np.uint8)


@dataclass
class Fake:
    """A codec whose size in bytes is a known function of quality."""

    size: Callable[[float], float]
    name: str = "fake"
    asked: list[float] = field(default_factory=list)

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        self.asked.append(quality)
        return bytes(max(round(self.size(quality)), 1))

    def decompress(self, content: bytes, *, max_megapixels: float = 200.0) -> Pixels:
        raise NotImplementedError


def row(**scale: float) -> CodecRow:
    qualities = Qualities(**{"low": 0, "high": 100, "default": 50, **scale})  # type: ignore[arg-type]
    return CodecRow(
        name="fake", build="", qualities=qualities, suffix="", media="", description="", licence="", max_side=100
    )


def test_one_quality_is_one_encoding_with_its_real_rate() -> None:
    codec = Fake(lambda quality: 10 * quality)
    encoded = encode_at_quality(codec, row(), PIXELS, 30)
    assert (encoded.bpp, encoded.quality, encoded.reached) == (8 * 300 / 8000, 30, True)
    assert (encoded.target_bpp, encoded.note, encoded.tries) == (None, "", 1)
    assert codec.asked == [30]


@pytest.mark.parametrize("quality", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_quality_off_the_scale_is_refused(quality: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 100"):
        encode_at_quality(Fake(lambda q: q), row(), PIXELS, quality)


def test_a_picture_too_long_for_the_format_is_refused_before_it_is_encoded() -> None:
    codec = Fake(lambda quality: quality)
    with pytest.raises(UsageError, match="at most 100 pixels a side, the image has 101 x 1"):
        encode_at_bpp(codec, row(), np.zeros((1, 101, 3), np.uint8), 0.5)
    assert codec.asked == []


@given(st.floats(0.02, 7.9), st.floats(3.0, 7.0))
def test_any_rate_of_a_smooth_codec_is_reached_within_2_percent_in_few_tries(bpp: float, steepness: float) -> None:
    # Oracle: an exponential curve from 0.008 to 8 bpp and beyond, as real codecs nearly have.
    encoded = encode_at_bpp(Fake(lambda q: 8 * np.exp(steepness * (q / 50 - 1)) * 8), row(), PIXELS, bpp)
    possible = [8 * max(round(64 * np.exp(steepness * (q / 50 - 1))), 1) / 8000 for q in np.linspace(0, 100, 1001)]
    if any(abs(one / bpp - 1) < 0.018 for one in possible):
        assert encoded.reached and abs(encoded.bpp / bpp - 1) <= 0.02 and encoded.note == ""
        assert encoded.tries <= 10
    else:
        assert encoded.reached == (abs(encoded.bpp / bpp - 1) <= 0.02)


@given(st.integers(1, 99), st.integers(0, 98))
def test_among_whole_numbers_the_closest_one_is_found(near: int, default: int) -> None:
    # Oracle: trying every quality. The target lies a third of a step above quality `near`, out of tolerance.
    size = 1.2**0.4
    codec = Fake(lambda q: 100 * size**q)
    bpp = 8 * 100 * size ** (near + 1 / 3) / 8000
    encoded = encode_at_bpp(codec, row(integer=True, default=default), PIXELS, bpp)
    assert encoded.quality == near
    assert encoded.tries == len(codec.asked) == len(set(codec.asked)) <= 12
    assert not encoded.reached
    assert "no finer step" in encoded.note and f"{100 * (encoded.bpp / bpp - 1):+.1f} % off" in encoded.note


def test_a_rate_below_the_lowest_is_said_to_be_out_of_reach() -> None:
    encoded = encode_at_bpp(Fake(lambda q: 300 + q), row(), PIXELS, 0.1)
    assert not encoded.reached
    assert (encoded.quality, encoded.bpp, encoded.target_bpp) == (0, 0.3, 0.1)
    assert encoded.note == "0.1 bpp cannot be reached: the lowest found is 0.3 bpp (quality 0)"


def test_a_rate_above_the_highest_is_said_to_be_out_of_reach() -> None:
    encoded = encode_at_bpp(Fake(lambda q: 300 + q), row(), PIXELS, 5.0)
    assert not encoded.reached
    assert (encoded.quality, encoded.bpp) == (100, 0.4)
    assert encoded.note == "5 bpp cannot be reached: the highest found is 0.4 bpp (quality 100)"


def test_a_jump_in_the_rate_gives_the_nearer_side() -> None:
    encoded = encode_at_bpp(Fake(lambda q: 200 if q < 33.3 else 600), row(), PIXELS, 0.5)
    assert encoded.bpp == 0.6
    assert not encoded.reached
    assert encoded.tries <= rate.MAX_TRIES


@given(st.lists(st.integers(1, 2000), min_size=101, max_size=101), st.floats(0.01, 2.0), st.booleans())
def test_a_codec_of_random_rates_ends_with_the_best_that_was_tried(sizes: list[int], bpp: float, integer: bool) -> None:
    codec = Fake(lambda q: sizes[int(q)])
    encoded = encode_at_bpp(codec, row(integer=integer), PIXELS, bpp)
    tried = [8 * sizes[int(q)] / 8000 for q in codec.asked]
    assert len(tried) == encoded.tries <= rate.MAX_TRIES
    assert abs(np.log(encoded.bpp / bpp)) == min(abs(np.log(one / bpp)) for one in tried)
    assert encoded.reached == (abs(encoded.bpp / bpp - 1) <= 0.02)
    assert bool(encoded.note) != encoded.reached


def test_the_search_takes_the_same_path_twice() -> None:
    first, second = (Fake(lambda q: 50 * np.exp(q / 20)) for _ in range(2))
    assert encode_at_bpp(first, row(), PIXELS, 0.7) == encode_at_bpp(second, row(), PIXELS, 0.7)
    assert first.asked == second.asked


def test_a_tolerance_of_zero_asks_for_the_exact_rate() -> None:
    codec = Fake(lambda q: 10 * q + 1)
    exact = encode_at_bpp(codec, row(integer=True), PIXELS, 8 * 231 / 8000, tolerance=0.0)
    assert exact.reached and exact.quality == 23


@pytest.mark.parametrize("bpp", [0.0, -1.0, float("nan"), float("inf")])
def test_a_target_that_is_no_rate_is_refused(bpp: float) -> None:
    with pytest.raises(UsageError, match="above 0 bpp"):
        encode_at_bpp(Fake(lambda q: q), row(), PIXELS, bpp)


@pytest.mark.parametrize("tolerance", [-0.1, float("nan")])
def test_a_tolerance_below_zero_is_refused(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance must be 0 or more"):
        encode_at_bpp(Fake(lambda q: q), row(), PIXELS, 1.0, tolerance=tolerance)


def test_a_spec_is_encoded_as_it_says() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert encode(CodecSpec("jpeg", quality=20), picture).quality == 20
    by_rate = encode(CodecSpec("webp", bpp=2.0), picture)
    assert by_rate.target_bpp == 2.0 and abs(by_rate.bpp - 2.0) <= 0.04
    assert encode(CodecSpec("webp", like="lucid"), picture, like_bpp=2.0) == by_rate
    with pytest.raises(UsageError, match="needs the rate that lucid reached"):
        encode(CodecSpec("webp", like="lucid"), picture)


@dataclass
class FakeWithMap(Fake):
    """A fake codec that spends ten bytes on each block of a map, and more where offsets are high."""

    def compress(self, pixels: Pixels, quality: float, *, quality_map: FloatArray | None = None) -> bytes:
        content = super().compress(pixels, quality)
        return content if quality_map is None else content + bytes(round(10 * (quality_map + 1).sum()))


def test_a_rate_is_searched_with_the_bytes_of_a_map_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Oracle: 35 blocks of offset 0 are 350 of the 500 bytes that 0.5 bpp allow, which leaves 150 = quality 0.15.
    codec = FakeWithMap(lambda quality: 1000 * quality, name="lucid")
    monkeypatch.setattr(spec, "open_codec", lambda name: codec)
    quality_map = np.zeros((7, 5))
    encoded = encode(CodecSpec("lucid", bpp=0.5), PIXELS, quality_map=quality_map)
    assert encoded.reached and abs(encoded.quality - 0.15) <= 0.01
    assert encoded.bpp == 8 * len(encoded.content) / 8000
    again = encode(CodecSpec("lucid", quality=encoded.quality), PIXELS, quality_map=quality_map)
    assert again.content == encoded.content
    low = encode(CodecSpec("lucid", bpp=0.1), PIXELS, quality_map=quality_map)
    assert not low.reached and "lowest found is 0.351 bpp" in low.note
    assert encode(CodecSpec("lucid", quality=0.15), PIXELS).bpp == 0.15


def test_a_codec_with_a_map_is_still_a_codec() -> None:
    codec = WithMap(FakeWithMap(lambda quality: quality), np.ones((7, 5)))
    assert codec.name == "fake"
    assert encode_at_quality(codec, row(), PIXELS, 100).content == bytes(100 + 700)
    with pytest.raises(NotImplementedError):
        codec.decompress(b"")


@pytest.mark.parametrize("name", [one.name for one in CODECS if one.name != "lucid"])
def test_a_map_for_a_codec_that_takes_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} takes no quality map; use lucid"):
        encode(default_spec(name), PIXELS, quality_map=np.zeros((7, 5)))


@pytest.mark.parametrize("name", [one.name for one in CODECS])
def test_the_search_grid_covers_the_scale_with_printable_qualities(name: str) -> None:
    scale = CODECS[name].qualities
    last = rate._last(scale)
    assert rate._quality(scale, 0) == scale.low
    assert rate._quality(scale, last) == scale.high
    for index in range(last + 1):
        assert len(f"{rate._quality(scale, index):g}") <= 6
        assert scale.check(name, rate._quality(scale, index)) == float(f"{rate._quality(scale, index):g}")
