from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from miscomp.codecs.base import EstimatesBits
from miscomp.codecs.catalog import open_codec
from miscomp.codecs.spec import CodecSpec
from miscomp.errors import UsageError
from miscomp.evaluate.measure import measure, warm_up
from miscomp.images import Picture, Pixels, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim


class Darkening:
    """A codec that takes `quality` levels off every value, keeps the picture raw, and knows its bits."""

    name = "webp"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        self.calls.append("compress")
        darker = np.maximum(pixels.astype(np.int16) - int(quality), 100).astype(np.uint8)
        return np.array(pixels.shape[:2], np.uint32).tobytes() + darker.tobytes()

    def decompress(self, content: bytes, *, max_megapixels: float = 200.0) -> Pixels:
        self.calls.append("decompress")
        height, width = np.frombuffer(content[:8], np.uint32)
        return np.frombuffer(content[8:], np.uint8).reshape(height, width, 3).copy()

    def estimate_bits(self, pixels: Pixels, quality: float) -> float:
        return pixels.size * 8.0


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    noise = np.random.default_rng(0).normal(0, 25, (176, 192, 3))
    ramp = np.linspace(60, 190, 192)[:, None]
    write_png(tmp_path / "a.png", np.clip(ramp + noise, 0, 255).astype(np.uint8))
    return read(tmp_path / "a.png")


def test_every_figure_is_that_of_the_file_and_of_what_comes_back(picture: Picture) -> None:
    codec = open_codec("webp")
    row = measure(picture, CodecSpec("webp", quality=30), codec).row
    content = codec.compress(picture.pixels, 30)
    x_hat = codec.decompress(content)
    assert row.bpp == 8 * len(content) / (192 * 176) and row.estimated_bpp is None
    assert (row.psnr_db, row.ssim, row.ms_ssim) == (
        psnr_pixels(picture.pixels, x_hat), ssim(picture.pixels, x_hat), ms_ssim(picture.pixels, x_hat)
    )  # fmt: skip
    assert (row.filename, row.codec, row.setting, row.quality) == ("a.png", "webp", "q30", 30)
    assert row.encode_s > 0 and row.decode_s > 0 and row.note == ""


def test_a_target_rate_is_searched_and_says_what_it_missed(picture: Picture) -> None:
    row = measure(picture, CodecSpec("webp", bpp=1.0), open_codec("webp")).row
    assert abs(row.bpp - 1.0) <= 0.02 and row.setting == "1bpp" and row.note == ""
    missed = measure(picture, CodecSpec("jpeg", bpp=0.01), open_codec("jpeg")).row
    assert missed.quality == 1 and "cannot be reached" in missed.note


def test_a_codec_that_knows_its_bits_has_an_estimated_rate(picture: Picture) -> None:
    codec = Darkening()
    assert isinstance(codec, EstimatesBits) and not isinstance(open_codec("jpeg"), EstimatesBits)
    row = measure(picture, CodecSpec("webp", quality=1), codec).row
    # Oracle: 24 bits a pixel, and 8 bytes of size beside them in the file.
    assert row.estimated_bpp == 24 and row.bpp == pytest.approx(24 + 64 / (192 * 176))
    assert codec.calls == ["compress", "decompress"]


def test_generations_start_from_what_came_back_and_stop_changing_when_nothing_is_left(tmp_path: Path) -> None:
    write_png(tmp_path / "grey.png", np.full((20, 30, 3), 105, np.uint8))
    found = measure(read(tmp_path / "grey.png"), CodecSpec("webp", quality=2), Darkening(), generations=4)
    # Oracle: by hand. 105 becomes 103, 101, 100 and stays there.
    assert [row.generation for row in found.generations] == [1, 2, 3, 4]
    errors = [2, 4, 5, 5]
    assert [row.psnr_db for row in found.generations] == pytest.approx([20 * math.log10(255 / e) for e in errors])
    steps = [20 * math.log10(255 / step) for step in (2, 2, 1)]
    assert [row.psnr_previous_db for row in found.generations] == pytest.approx([*steps, math.inf])
    assert {row.bpp for row in found.generations} == {found.row.bpp} and found.row.ms_ssim is None


def test_warming_up_runs_both_ways_on_a_corner(picture: Picture) -> None:
    codec = Darkening()
    warm_up(codec, picture.pixels, 1)
    assert codec.calls == ["compress", "decompress"]


def test_a_picture_that_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "long.png", np.zeros((1, 17000, 3), np.uint8))
    with pytest.raises(UsageError, match="at most 16383 pixels a side"):
        measure(read(tmp_path / "long.png"), CodecSpec("webp", quality=5), open_codec("webp"))
    with pytest.raises(UsageError, match="no rate of its own"):
        measure(read(tmp_path / "long.png"), CodecSpec("jpeg", like="lucid"), open_codec("jpeg"))
