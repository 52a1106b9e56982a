"""Pixels to tensors and back, and padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from miscomp.tensors import pad_replicate, to_pixels, to_tensor

EVERY_LEVEL = np.arange(768, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8)


def test_every_level_survives_the_round_trip() -> None:
    x = to_tensor(EVERY_LEVEL)
    assert x.dtype == torch.float32
    assert x.shape == (1, 3, 16, 16)
    assert x.is_contiguous()
    assert 0 <= float(x.min()) <= float(x.max()) == 1
    assert np.array_equal(to_pixels(x), EVERY_LEVEL)
    assert to_pixels(x).flags.c_contiguous


def test_channels_and_positions_keep_their_order() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[1, 2] = (51, 102, 204)
    assert to_tensor(pixels)[0, :, 1, 2].tolist() == pytest.approx([0.2, 0.4, 0.8])


def test_the_tensor_is_a_copy_also_of_read_only_pixels() -> None:
    pixels = EVERY_LEVEL.copy()
    pixels.setflags(write=False)
    to_tensor(pixels).zero_()
    assert np.array_equal(pixels, EVERY_LEVEL)


def test_values_are_clamped_and_rounded_half_to_even() -> None:
    x = torch.tensor([-1.0, 2.0, 0.5 / 255, 1.5 / 255, 2.5 / 255, 0.999], dtype=torch.float64)
    assert to_pixels(x.reshape(1, 1, 1, 6).expand(1, 3, 1, 6))[0, :, 0].tolist() == [0, 255, 0, 2, 2, 255]


def test_half_precision_and_gradients_are_accepted() -> None:
    x = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float16, requires_grad=True)
    assert to_pixels(x).tolist() == [[[128] * 3] * 2] * 2


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 4, 4), (1, 1, 4, 4), (1, 3, 0, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 3, height, width\)"):
        to_pixels(torch.zeros(shape))


def test_whole_numbers_and_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="float tensor"):
        to_pixels(torch.zeros((1, 3, 2, 2), dtype=torch.uint8))
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not finite"):
            to_pixels(torch.full((1, 3, 2, 2), value))
    with pytest.raises(ValueError, match="uint8"):
        to_tensor(np.zeros((2, 2, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 64), (63, 65), (64, 64), (5, 200)])
def test_padding_repeats_the_last_row_and_column(height: int, width: int) -> None:
    x = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    padded = pad_replicate(x, 64)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, -height % 64), (0, -width % 64)), mode="edge")  # oracle: numpy
    assert np.array_equal(padded.numpy(), expected)


def test_padding_needs_pixels_and_a_positive_multiple() -> None:
    for x, multiple in ((torch.zeros((1, 3, 0, 4)), 8), (torch.zeros((3, 4, 4)), 8), (torch.zeros((1, 3, 4, 4)), 0)):
        with pytest.raises(ValueError, match="multiple >= 1"):
            pad_replicate(x, multiple)
