from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from toy_codec import ToyLoss, toy_codec

from miscomp import images
from miscomp.errors import UsageError
from miscomp.images import Picture
from miscomp.tensors import to_tensor
from miscomp.training.sheet import Shown, draw_sheet
from miscomp.training.validation import QUALITIES, Validation, centre, spread


def pictures(folder: Path, *sizes: tuple[int, int]) -> list[Picture]:
    found = []
    for number, size in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        images.write_png(folder / f"{number}.png", pixels)
        found.append(images.read(folder / f"{number}.png"))
    return found


def test_figures_are_means_over_crops_at_each_quality_and_come_out_the_same_again(tmp_path: Path) -> None:
    given = pictures(tmp_path, (70, 130), (64, 64))
    validation = Validation(given, ToyLoss(), tmp_path / "out", count=5)
    with torch.no_grad():
        rows = validation(toy_codec(), 3)
        assert validation(toy_codec(), 9) == rows
        assert [row["quality"] for row in rows] == list(QUALITIES)
        # Oracle: the loss itself, picture by picture.
        losses = []
        for seed, pixels in enumerate((given[0].pixels[3:67, 1:129], given[1].pixels)):
            x, noise = to_tensor(pixels), torch.Generator().manual_seed(seed)
            quality = torch.full((1, 1, x.shape[2] // 16, x.shape[3] // 16), 0.5)
            losses.append(float(ToyLoss()(toy_codec(), x, quality, noise)[0]))
    assert rows[2]["loss"] == pytest.approx(sum(losses) / 2)


def test_the_sheet_shows_originals_beside_three_reconstructions(tmp_path: Path) -> None:
    given = pictures(tmp_path, (70, 130), (64, 64))
    with torch.no_grad():
        Validation(given, ToyLoss(), tmp_path / "out", count=5)(toy_codec(), 3)
    sheet = images.read(tmp_path / "out" / "validation.png").pixels
    first = given[0].pixels[3:67, 1:129]
    tops = [top for top in range(sheet.shape[0] - 64) if np.array_equal(sheet[top : top + 64, 12:140], first)]
    assert len(tops) == 1


def test_pictures_that_are_too_small_are_left_out_and_none_left_is_an_error(tmp_path: Path) -> None:
    given = pictures(tmp_path, (40, 200), (64, 64))
    assert len(Validation(given, ToyLoss(), tmp_path, count=5)) == 1
    with pytest.raises(UsageError, match="at least 64 x 64 pixels, none of 1 is"):
        Validation(given[:1], ToyLoss(), tmp_path, count=5)


def test_other_pictures_have_another_identity(tmp_path: Path) -> None:
    given = pictures(tmp_path, (64, 64), (64, 70))
    one, other = (Validation(some, ToyLoss(), tmp_path, count=5).identity for some in (given, given[:1]))
    assert one != other


def test_pictures_are_spread_evenly_and_crops_lie_in_the_middle(tmp_path: Path) -> None:
    given = pictures(tmp_path, *[(1, 1)] * 7)
    assert [given.index(one) for one in spread(given, 3)] == [0, 2, 4]
    assert spread(given, 9) == given
    assert centre(np.zeros((700, 130, 3), np.uint8), 512).shape == (512, 128, 3)


def test_texts_wider_than_their_pictures_neither_touch_nor_are_cut() -> None:
    small = Shown(np.zeros((8, 8, 3), np.uint8), "quality 0.25: 0.123 bpp")
    one, two = (draw_sheet("", [[small] * count]) for count in (1, 2))
    wide = one.shape[1] - 12
    # Each column alone shows the whole text, with the paper's margin behind it.
    assert np.array_equal(two[:, :wide], one[:, :wide]) and np.array_equal(two[:, wide:], one)
    assert (one[:, -12:] == one[-1, -1]).all() and (one[:, -40:-12] != one[-1, -1]).any()


def test_a_sheet_holds_every_picture_unscaled() -> None:
    colours = [np.full((10, 20, 3), level, np.uint8) for level in (50, 90, 130)]
    sheet = draw_sheet("title", [[Shown(colours[0], "a"), Shown(colours[1], "b")], [Shown(colours[2], "c")]])
    for pixels in colours:
        assert (sheet == pixels[0, 0]).all(2).sum() >= 200
