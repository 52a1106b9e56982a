from __future__ import annotations

import numpy as np
import pytest
import torch

from miscomp.codecs.quality_map import BLOCK
from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.training.crops import CropSource, random_offsets


def photographs() -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in ((64, 64, 3), (200, 150, 3), (30, 900, 3))]


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    source = CropSource(photographs(), crop=64, batch_size=4, seed=1)
    later = source.batch(9)
    source.batch(3)
    again = CropSource(photographs(), crop=64, batch_size=4, seed=1).batch(9)
    assert all(torch.equal(one, two) for one, two in zip(later, again, strict=True))
    for other in (source.batch(10), CropSource(photographs(), crop=64, batch_size=4, seed=2).batch(9)):
        assert not torch.equal(other[0], later[0])
        assert not torch.equal(other[1], later[1])


def test_crops_are_in_range_and_qualities_cover_the_scale_evenly() -> None:
    x, quality = CropSource(photographs(), crop=64, batch_size=8, seed=0).batch(0)
    assert x.shape == (8, 3, 64, 64)
    assert x.dtype == torch.float32
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert quality.shape == (8, 1, 64 // BLOCK, 64 // BLOCK)
    assert quality.dtype == torch.float32
    assert 0 <= float(quality.min()) < float(quality.max()) <= 1
    flat = CropSource(photographs(), crop=16, batch_size=64, seed=0).batch(0)[1]
    # A crop of one block: offsets move some of the 64 qualities, the others lie one in each 64th of [0, 1].
    strata = set((flat.flatten() * 64).floor().int().tolist())
    assert len(strata) > 40


def test_a_crop_is_a_piece_of_its_photograph_mirrored_or_not() -> None:
    photo = photographs()[0]
    x, _ = CropSource([photo], crop=64, batch_size=6, seed=0).batch(0)
    for crop in (x.permute(0, 2, 3, 1) * 255).round().byte().numpy():
        assert np.array_equal(crop, photo) or np.array_equal(crop[:, ::-1], photo)


def test_photographs_below_the_crop_are_left_out_and_none_left_is_an_error() -> None:
    assert len(CropSource(photographs(), crop=64, batch_size=1, seed=0)) == 2
    with pytest.raises(UsageError, match="256 x 256 pixels, none of 3"):
        CropSource(photographs(), crop=256, batch_size=1, seed=0)


def test_maps_are_none_one_rectangle_or_every_block_its_own() -> None:
    rng, kinds = np.random.default_rng(0), {"none": 0, "rectangle": 0, "blocks": 0}
    for _ in range(2000):
        offsets = random_offsets(rng, 5)
        assert offsets.shape == (5, 5)
        assert np.abs(offsets).max() <= 0.6
        different = len(np.unique(offsets[offsets != 0]))
        if different == 0:
            kinds["none"] += 1
        elif different == 1:
            rows, columns = np.nonzero(offsets)
            assert bool((offsets[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] != 0).all())
            kinds["rectangle"] += 1
        else:
            assert different == 25
            kinds["blocks"] += 1
    # Oracle: the shares that the function names; five standard deviations of 2000 draws are 0.056.
    shares = [kinds[kind] / 2000 for kind in ("none", "rectangle", "blocks")]
    assert shares == pytest.approx([0.5, 0.35, 0.15], abs=0.056)


def test_a_rectangle_can_reach_every_block_and_both_signs_come() -> None:
    rng = np.random.default_rng(1)
    drawn = np.stack([random_offsets(rng, 4) for _ in range(1000)])
    assert bool(((drawn > 0).any(0) & (drawn < 0).any(0)).all())
    assert 0.5 < drawn.max() <= 0.6
    assert -0.6 <= drawn.min() < -0.5
    assert np.abs(random_offsets(rng, 1)).shape == (1, 1)


def test_qualities_with_offsets_stay_on_the_scale_and_differ_within_half_of_the_images() -> None:
    source = CropSource(photographs(), crop=64, batch_size=16, seed=4)
    quality = torch.cat([source.batch(step)[1] for step in range(20)])
    assert float(quality.min()) >= 0
    assert float(quality.max()) <= 1
    varied = (quality.amax((1, 2, 3)) > quality.amin((1, 2, 3))).float().mean()
    assert 0.35 < float(varied) < 0.6
