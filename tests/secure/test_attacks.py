from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from tiny_lucid import photograph, values
from torch import Tensor

from miscomp.errors import UsageError
from miscomp.metrics.psnr import psnr
from miscomp.secure.attacks import Attacker, add_noise, affine, blur, regions, rescale
from miscomp.tensors import eight_bit, to_pixels, to_tensor
from miscomp.training.jpeg_simulation import open_simulation, real_jpeg

PARTLY = 0
"""A seed that draws a splice which leaves something of the coded picture, and no edit behind it."""
KINDS = ("affine", "blur", "jpeg", "rescale", "noise", "webp", "avif", "splice")


def batch(count: int = 2, side: int = 96) -> Tensor:
    whole = to_tensor(photograph(side + 8 * count, side))
    return torch.cat([whole[:, :, 8 * n : 8 * n + side] for n in range(count)])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def attacker(*kinds: str) -> Attacker:
    return Attacker(kinds=kinds or KINDS, jpeg=open_simulation("exact"), jpeg_quality=(85, 85))


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_keeps_the_size_is_8_bit_repeats_itself_and_hands_gradients_back(kind: str) -> None:
    x = batch()
    x1 = x.clone().requires_grad_()
    one, two = (attacker(kind)(x1, x, rng(PARTLY)) for _ in range(2))
    assert one.pixels.shape == x.shape and torch.equal(one.pixels, two.pixels)
    levels = one.pixels.detach() * 255
    assert float((levels - levels.round()).abs().max()) < 1e-3
    assert float(one.pixels.detach().min()) >= 0 and float(one.pixels.detach().max()) <= 1
    one.pixels.sum().backward()
    assert x1.grad is not None and bool(x1.grad.isfinite().all()) and float(x1.grad.abs().sum()) > 0
    assert (one.foreign is None) == (kind != "splice")


def test_other_seeds_draw_other_edits() -> None:
    x = batch()
    drawn = [attacker()(x, x, rng(seed)) for seed in range(60)]
    assert {one.kind for one in drawn} == {*KINDS, "whole"}
    # A splice of all or of nothing is the same picture again.
    assert len({one.pixels.numpy().tobytes() for one in drawn}) > 45


def test_blur_is_a_gaussian_s() -> None:
    x = batch(1)
    # Oracle: scipy's filter, cut off at the same distance.
    sigma = 1.4
    expected = ndimage.gaussian_filter(x[0].numpy(), (0, sigma, sigma), mode="nearest", radius=(0, 5, 5))
    assert np.abs(blur(x, sigma)[0].numpy() - expected).max() < 1e-4
    # The paper's blur sees 3 x 3 pixels, however wide it is.
    dot = torch.zeros(1, 3, 9, 9)
    dot[..., 4, 4] = 1
    assert int((blur(dot, 1.5, kernel=3) > 0).sum()) == 3 * 9
    assert int((blur(dot, 1.5) > 0).sum()) == 3 * 81


def test_jpeg_is_the_real_one() -> None:
    x = eight_bit(batch())
    attacked = attacker("jpeg")(x, x, rng())
    assert torch.allclose(attacked.pixels, real_jpeg(x, torch.tensor([85.0, 85.0])), atol=1e-6)


def test_affine_stays_within_the_paper_s_ranges() -> None:
    # A cross of three dots tells rotation, scale and shift.
    side, reach = 128, 30
    x = torch.zeros(1, 3, side, side)
    places = [(64, 64), (64, 64 + reach), (64 + reach, 64)]
    for row, column in places:
        x[..., row - 1 : row + 2, column - 1 : column + 2] = 1
    angles, scales, shifts = [], [], []
    for seed in range(30):
        moved = affine(x, rng(seed))[0, 0].numpy()
        marks, count = ndimage.label(moved > 0.25)
        assert count == 3
        centres = np.array(ndimage.center_of_mass(moved, marks, range(1, 4)))
        middle = min(centres, key=lambda c: float(np.abs(centres - c).sum()))
        right = max(centres, key=lambda c: float(c[1]))
        (down, across) = right - middle
        angles.append(math.degrees(math.atan2(down, across)))
        scales.append(math.hypot(down, across) / reach)
        shifts.append(float(np.abs(middle - 63.5).max()) / side)
    assert 8 < max(map(abs, angles)) < 11
    assert 0.88 < min(scales) < 0.94 and 1.06 < max(scales) < 1.12
    assert 0.08 < max(shifts) < 0.11


def test_rescaling_loses_fine_detail_and_keeps_the_rest() -> None:
    x = batch()
    fine = torch.zeros_like(x)
    fine[..., ::2] = 1
    for seed in range(5):
        assert float(psnr(x, rescale(x, rng(seed))).min()) > 22
        assert float(rescale(fine, rng(seed)).var()) < 0.5 * float(fine.var())


def test_noise_has_at_most_the_strength_it_is_said_to_have() -> None:
    x = torch.full((2, 3, 64, 64), 0.5)
    spreads = [float((add_noise(x, rng(seed)) - x).std()) * 255 for seed in range(20)]
    assert min(spreads) > 0 and 3 < max(spreads) < 4.2


def test_regions_have_the_shares_that_are_asked_for() -> None:
    x = torch.zeros(200, 3, 128, 128)
    masks = regions(x, rng())
    shares = masks.mean((1, 2, 3))
    # Some lie across the border and lose a part.
    assert float(shares.max()) < 0.65 and float(shares.median()) > 0.03
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_a_splice_shows_the_other_original_inside_and_the_coded_picture_outside() -> None:
    x, x1 = values("x", 2, 3, 96, 96).abs(), values("x1", 2, 3, 96, 96).abs()
    x, x1 = eight_bit(x), eight_bit(x1)
    spliced = attacker("splice")(x1, x, rng(PARTLY))
    assert spliced.foreign is not None and 0 < float(spliced.foreign.mean()) < 1
    inside = spliced.foreign.expand_as(x) > 0
    assert torch.equal(spliced.pixels[inside], x.roll(1, 0)[inside])
    assert torch.equal(spliced.pixels[~inside], x1[~inside])


@pytest.mark.parametrize(("kind", "name"), [("webp", "WEBP"), ("avif", "AVIF")])
def test_other_formats_are_the_real_ones_too(kind: str, name: str) -> None:
    x = eight_bit(batch())
    made = attacker(kind)(x, x, rng()).pixels
    # Oracle: Pillow, at any of the qualities that are drawn.
    expected = []
    for quality in range(50, 96):
        file = io.BytesIO()
        Image.fromarray(to_pixels(x[:1])).save(file, name, quality=quality, **({"speed": 9} if name == "AVIF" else {}))
        expected.append(np.asarray(Image.open(file).convert("RGB")))
    assert any(np.array_equal(to_pixels(made[:1]), one) for one in expected)


def test_an_edit_may_be_followed_by_another_one() -> None:
    x = batch()
    alone, followed = (
        Attacker(kinds=("noise", "blur"), jpeg=open_simulation("exact"), followed=share) for share in (0.0, 1.0)
    )
    # Blur takes the noise out again where it comes second, and adds none where it comes first.
    sharpness: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(12):
        for one in (alone, followed):
            sharpness[one is followed].append(float(one(x, x, rng(seed)).pixels.diff(dim=-1).abs().mean()))
    assert sharpness[True] != sharpness[False]
    # A mask stays where it is: nothing that moves the picture comes behind a splice.
    moving = Attacker(kinds=("affine", "splice"), jpeg=open_simulation("exact"), followed=1.0)
    splices = [moving(x, x, rng(seed)) for seed in range(12)]
    assert any(one.kind == "splice" for one in splices)
    for spliced in splices:
        if spliced.kind == "splice":
            assert spliced.foreign is not None
            outside = spliced.foreign.expand_as(x) == 0
            assert torch.equal(spliced.pixels[outside], eight_bit(x)[outside])


def test_pictures_are_moved_off_the_grid_with_their_masks() -> None:
    x, x1 = values("x", 3, 3, 96, 96).abs(), values("x1", 3, 3, 96, 96).abs()
    x, x1 = eight_bit(x), eight_bit(x1)
    plain, moved = (
        Attacker(kinds=("splice",), jpeg=open_simulation("exact"), shifted=share)(x1, x, rng(PARTLY))
        for share in (0.0, 1.0)
    )
    assert plain.foreign is not None and moved.foreign is not None
    places = set()
    for index in range(3):
        # Oracle: a search for the one place where the moved picture lies in the one that was not.
        found = [
            (down, across)
            for down in range(16)
            for across in range(16)
            if torch.equal(plain.pixels[index, :, down:, across:], moved.pixels[index, :, : 96 - down, : 96 - across])
        ]
        assert len(found) == 1
        ((down, across),) = found
        assert torch.equal(plain.foreign[index, :, down:, across:], moved.foreign[index, :, : 96 - down, : 96 - across])
        places.add(found[0])
    assert len(places) == 3


def test_an_edit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="'melt'; known: affine"):
        attacker("blur", "melt")
    with pytest.raises(UsageError, match="at least one"):
        Attacker(kinds=(), jpeg=open_simulation("exact"))
