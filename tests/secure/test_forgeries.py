from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from miscomp.errors import ImageError, MissingExtra, SizeMismatch
from miscomp.images import Pixels
from miscomp.secure.forgeries import KINDS, Mask, RegionKind, inpaint, redraw, region, splice


def noise(height: int, width: int, *, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(height: int, width: int) -> Pixels:
    """A plane in each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 + x, 200 - y, 60 + (x + y) // 2], axis=2).astype(np.uint8)


def disc(height: int, width: int, radius: float) -> Mask:
    y, x = np.mgrid[:height, :width]
    inside: Mask = np.hypot(y - height / 2, x - width / 2) < radius
    return inside


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(32, 48), (200, 60), (64, 512)])
def test_a_region_has_its_share_and_is_one_piece(kind: RegionKind, size: tuple[int, int]) -> None:
    for share in (0.01, 0.03, 0.2, 0.5):
        for seed in range(6):
            mask = region(*size, share=share, seed=seed, kind=kind)
            assert mask.shape == size and mask.dtype == np.bool_
            assert mask.mean() == pytest.approx(share, rel=0.1)
            # Oracle: scipy's components, diagonal neighbours included.
            assert ndimage.label(mask, np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_alone_decides_about_the_place(kind: RegionKind) -> None:
    masks = [region(60, 90, share=0.1, seed=seed, kind=kind) for seed in (0, 0, 1)]
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])


def test_the_kinds_have_the_shapes_of_their_names() -> None:
    for seed in range(5):
        boxes = {}
        for kind in KINDS:
            mask = region(120, 160, share=0.1, seed=seed, kind=kind)
            rows, columns = mask.any(1), mask.any(0)
            boxes[kind] = mask.sum() / (rows.sum() * columns.sum())
        # Oracle: the area of a rectangle and of an ellipse as shares of their boxes, 1 and pi / 4.
        assert boxes["rectangle"] == 1
        assert boxes["ellipse"] == pytest.approx(np.pi / 4, abs=0.03)
        ellipse, blob = (region(120, 160, share=0.1, seed=seed, kind=kind) for kind in ("ellipse", "blob"))
        assert not np.array_equal(ellipse, blob)


def test_a_picture_too_small_for_a_region_is_an_error_that_says_so() -> None:
    for kind in KINDS:
        with pytest.raises(ImageError, match=r"1 x 1 pixels hold no"):
            region(1, 1, share=0.1, seed=0, kind=kind)
    for share in (0.0, 0.009, 0.51, float("nan")):
        with pytest.raises(ValueError, match=r"allowed: 0\.01\.\.0\.5"):
            region(50, 50, share=share, seed=0, kind="blob")
    with pytest.raises(ValueError, match="circle"):
        region(50, 50, share=0.1, seed=0, kind="circle")  # type: ignore[arg-type]


def test_a_splice_shows_the_donor_inside_and_the_picture_outside() -> None:
    x, donor, mask = noise(40, 50), noise(40, 50, seed=1), disc(40, 50, 12)
    hard = splice(x, donor, mask, feather=0)
    assert np.array_equal(hard, np.where(mask[..., None], donor, x))
    soft = splice(x, donor, mask, feather=3)
    assert np.array_equal(soft[~mask], x[~mask])
    deep = ndimage.distance_transform_edt(mask) >= 4
    assert deep.any() and np.array_equal(soft[deep], donor[deep])
    # Oracle: scipy's distance to the mask's border, in fourths of the way; rounding is half a level.
    share = np.clip(ndimage.distance_transform_edt(mask) / 4, 0, 1)[..., None]
    assert np.abs(soft - (x + share * (donor.astype(float) - x))).max() <= 0.501


def test_a_donor_of_another_size_covers_the_picture() -> None:
    x, mask = noise(40, 50), np.ones((40, 50), dtype=np.bool_)
    large = noise(60, 90, seed=1)
    assert np.array_equal(splice(x, large, mask), large[10:50, 20:70])
    for small in (ramp(7, 3), ramp(3, 7), ramp(1, 1), ramp(39, 90)):
        covered = splice(x, small, mask)
        assert covered.shape == x.shape
        # An enlarged plane stays within its own levels, but for bicubic overshoot, of which a plane has none.
        assert (covered.max((0, 1)) <= small.max((0, 1))).all() and (covered.min((0, 1)) >= small.min((0, 1))).all()


def test_inpainting_continues_a_plane_and_leaves_the_rest() -> None:
    x = ramp(70, 90)
    for radius in (6, 24):
        mask = disc(70, 90, radius)
        hidden = x.copy()
        hidden[mask] = 255
        filled = inpaint(hidden, mask)
        assert np.array_equal(filled[~mask], x[~mask])
        # Oracle: a biharmonic surface through a plane is that plane. What was under the mask plays no part.
        assert np.abs(filled.astype(int) - x)[mask].max() <= 4
        assert np.array_equal(filled, inpaint(x, mask))


def test_inpainted_grain_is_as_strong_as_around_the_hole_and_comes_from_the_seed() -> None:
    y, mask = np.full((96, 96, 1), 128.0), disc(96, 96, 20)
    for sigma in (0.0, 3.0):
        grain = np.random.default_rng(0).normal(0, sigma, (96, 96, 1))
        x = np.rint(y + grain).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
        filled = inpaint(x, mask, seed=1)
        inner = filled[disc(96, 96, 16)].astype(float)
        # The same order of strength: no grain on a smooth picture, half to all of it on a noisy one.
        assert sigma * 0.45 <= inner[:, 0].std() <= sigma * 1.2
        assert np.array_equal(filled, inpaint(x, mask, seed=1))
        assert np.array_equal(filled, inpaint(x, mask, seed=2)) == (sigma == 0)


def test_inpainting_needs_something_known_and_changes_nothing_without_a_hole() -> None:
    x = noise(20, 20)
    assert np.array_equal(inpaint(x, np.zeros((20, 20), np.bool_)), x)
    with pytest.raises(ValueError, match="whole picture"):
        inpaint(x, np.ones((20, 20), np.bool_))
    with pytest.raises(ValueError, match="mask of booleans"):
        inpaint(x, np.zeros((20, 21), np.bool_))


def test_inpainting_without_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(MissingExtra, match=r"scikit-image.*miscomp\[demo\]"):
        inpaint(noise(20, 20), disc(20, 20, 4))


def test_a_redrawn_region_comes_from_the_original_and_not_from_the_coded_picture() -> None:
    original, mask = ramp(80, 80), disc(80, 80, 25)
    coded, other = noise(80, 80), noise(80, 80, seed=1)
    drawn = redraw(coded, mask, original, seed=3)
    assert np.array_equal(drawn[~mask], coded[~mask])
    deep = ndimage.distance_transform_edt(mask) >= 4
    assert np.array_equal(drawn[deep], redraw(other, mask, original, seed=3)[deep])
    # Like the original, but not it: moved by a few pixels and tinted.
    difference = np.abs(drawn.astype(int) - original)[deep]
    assert 0.5 < difference.mean() < 20
    assert not np.array_equal(drawn, redraw(coded, mask, original, seed=4))
    assert np.array_equal(drawn, redraw(coded, mask, original, seed=3))


def test_redrawing_needs_an_original_of_the_same_size() -> None:
    with pytest.raises(SizeMismatch, match="9 x 10"):
        redraw(noise(9, 9), disc(9, 9, 3), noise(10, 9), seed=0)


def test_one_pixel_can_be_spliced_and_redrawn() -> None:
    x, mask = noise(1, 1), np.ones((1, 1), np.bool_)
    assert np.array_equal(splice(x, noise(1, 1, seed=1), mask), noise(1, 1, seed=1))
    assert redraw(x, mask, x, seed=0).shape == (1, 1, 3)
