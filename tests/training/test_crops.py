from __future__ import annotations

import numpy as np
import pytest
import torch

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.training.crops import CropSource


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
    # Oracle: one quality in each eighth of [0, 1].
    assert sorted((quality * 8).floor().int().tolist()) == list(range(8))


def test_a_crop_is_a_piece_of_its_photograph_mirrored_or_not() -> None:
    photo = photographs()[0]
    x, _ = CropSource([photo], crop=64, batch_size=6, seed=0).batch(0)
    for crop in (x.permute(0, 2, 3, 1) * 255).round().byte().numpy():
        assert np.array_equal(crop, photo) or np.array_equal(crop[:, ::-1], photo)


def test_photographs_below_the_crop_are_left_out_and_none_left_is_an_error() -> None:
    assert len(CropSource(photographs(), crop=64, batch_size=1, seed=0)) == 2
    with pytest.raises(UsageError, match="256 x 256 pixels, none of 3"):
        CropSource(photographs(), crop=256, batch_size=1, seed=0)
