"""Washing attacks keep the form of a picture, repeat themselves, and do what they are for on planted cases."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_lucid import numbers, photograph, tiny_model, tiny_weights
from torch import Tensor

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.lucid import Lucid
from miscomp.errors import UnknownName, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels
from miscomp.secure.codec import SecureCodec
from miscomp.secure.informed import Known, known, mean_tile, notch, subtract, survival_loss, white_box
from miscomp.secure.lucid_base import LucidBase
from miscomp.secure.washing import WASHES, wash
from miscomp.tensors import to_tensor

PICTURE = photograph(45, 60)


@cache
def tiny_known() -> Known:
    codec = SecureCodec(Lucid(tiny_weights(), name="slic"), 0.65, "tiny")
    return known(codec, LucidBase(tiny_model().eval().requires_grad_(False)))


def planted_tile(amplitude: int) -> npt.NDArray[np.float64]:
    """Whole levels, half of them up and half of them down in each channel."""
    signs = np.argsort(numbers("tile", 3, 256), axis=1, kind="stable") % 2 * 2 - 1
    return (amplitude * signs.reshape(3, 16, 16).transpose(1, 2, 0)).astype(np.float64)


class Planting:
    """A codec that adds a tile to whatever it compresses."""

    name = "planting"

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        size = struct.pack(">2I", *pixels.shape[:2])
        return size + subtract(pixels, planted_tile(3), -1).tobytes()

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        shape = (*struct.unpack(">2I", content[:8]), 3)
        return np.frombuffer(content[8:], np.uint8).reshape(shape).copy()


class Surviving(LucidBase):
    """Networks that give back what they are given."""

    def again(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> Tensor:
        return x


@pytest.mark.parametrize("name", [row.name for row in WASHES if not row.gradients])
def test_a_wash_keeps_form_and_input_repeats_itself_and_the_strongest_costs_most(name: str) -> None:
    before = PICTURE.copy()
    strengths = WASHES[name].strengths
    first, second, strong = (
        wash(name, strength, PICTURE, seed=3, known=tiny_known()) for strength in (*strengths[:1] * 2, strengths[-1])
    )
    for washed in (first, strong):
        assert washed.shape == PICTURE.shape and washed.dtype == np.uint8 and washed.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(PICTURE, before)
    assert psnr_pixels(PICTURE, first) > psnr_pixels(PICTURE, strong)


@pytest.mark.parametrize("name", ["noise", "noise+denoise"])
def test_another_seed_gives_other_noise(name: str) -> None:
    one, other = (wash(name, 8, PICTURE, seed=seed) for seed in (0, 1))
    assert (one != other).any()


def test_noise_has_the_deviation_asked_for() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    assert wash("noise", 8, grey).std() == pytest.approx(8, rel=0.03)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (45, 70), (10, 33)])
def test_the_mean_tile_is_the_one_that_was_planted(height: int, width: int) -> None:
    tile = planted_tile(3)
    repeated = np.tile(tile, (-(-height // 16), -(-width // 16), 1))[:height, :width]
    found = mean_tile(repeated)
    # Rows of a tile that the picture does not reach stay at 0 before the mean is taken off.
    seen = repeated[:16, :16] - found[:height, :width][:16, :16]
    np.testing.assert_allclose(seen - seen.mean((0, 1)), 0, atol=1e-9)


def test_what_was_subtracted_and_added_again_is_the_picture() -> None:
    grey = np.full((45, 70, 3), 90, np.uint8)
    tile = planted_tile(3)
    np.testing.assert_array_equal(subtract(subtract(grey, tile, -1), tile, 1), grey)


def test_notch_removes_a_planted_pattern_of_period_16() -> None:
    rows, columns = np.mgrid[:160, :208]
    clean = (120 + 50 * np.sin(rows / 31) + 40 * np.cos(columns / 47))[..., None].repeat(3, 2)
    planted = subtract(np.rint(clean).astype(np.uint8), planted_tile(2), -1)
    washed = notch(planted, 1)

    def left(picture: Pixels) -> float:
        """Of the planted pattern, as a share."""
        found = mean_tile(picture - clean)
        return float((found * planted_tile(2)).sum() / np.square(planted_tile(2)).sum())

    assert left(planted) == pytest.approx(1, abs=0.01)
    assert abs(left(washed)) < 0.2
    assert abs(left(notch(planted, 1.25))) < 0.1
    assert psnr_pixels(np.rint(clean).astype(np.uint8), washed) > psnr_pixels(planted, washed)


def test_notch_leaves_what_does_not_repeat() -> None:
    picture = photograph(160, 208, noise=0)
    assert psnr_pixels(picture, notch(picture, 1)) > 50


def test_what_a_codec_does_to_plain_grey_gives_its_pattern_away() -> None:
    codec = SecureCodec(Planting(), 0.65, "planting")
    found = known(codec, Surviving(tiny_model()))
    np.testing.assert_allclose(found.tile, planted_tile(3), atol=1e-9)
    grey = np.full((45, 70, 3), 90, np.uint8)
    np.testing.assert_array_equal(wash("tile", 1, codec.again(grey), known=found), grey)


def test_a_white_box_lowers_its_own_objective_within_its_bound_and_repeats_itself() -> None:
    def loss(p: Pixels) -> float:
        return float(survival_loss(to_tensor(p), tiny_known(), torch.Generator().manual_seed(9)))

    before = PICTURE.copy()
    gentle, strong, strong_too = (white_box(PICTURE, levels, tiny_known(), steps=8) for levels in (1, 8, 8))
    np.testing.assert_array_equal(PICTURE, before)
    np.testing.assert_array_equal(strong, strong_too)
    assert [np.abs(washed.astype(int) - PICTURE).max() for washed in (gentle, strong)] == [1, 8]
    assert loss(PICTURE) > loss(gentle) > loss(strong)
    assert loss(PICTURE) - loss(strong) > 0.3


def test_a_white_box_leaves_a_picture_that_survives_anyway() -> None:
    surviving = Known(planted_tile(1), Surviving(tiny_model()), 0.65)
    np.testing.assert_array_equal(wash("whitebox", 16, PICTURE, known=surviving), PICTURE)


def test_what_cannot_be_washed_so_is_named() -> None:
    with pytest.raises(UnknownName, match="blurr"):
        wash("blurr", 1, PICTURE)
    with pytest.raises(UsageError, match=r"3, 5, 7, 11, 15 .*got 4"):
        wash("median", 4, PICTURE)
    for name in ("tile", "whitebox"):
        with pytest.raises(UsageError, match="needs to know the codec"):
            wash(name, 1, PICTURE)
