"""Seams. Oracles: the two reconstructions that a splice is made of."""

from __future__ import annotations

import numpy as np
from planted import jpeg, lawn, with_disc

from miscomp.plant.seams import LEAST_CORRELATION, splice
from miscomp.records import Box

PHOTO = lawn(200, 240, seed=2, contrast=30)
HIGH, LOW = jpeg(PHOTO, 85), jpeg(PHOTO, 12)


def test_patches_are_of_the_low_rate_and_all_else_of_the_high_one() -> None:
    made = splice(HIGH, LOW, PHOTO, rng=np.random.default_rng(0), free=lambda box: inside(box), count=3)
    rest = np.ones(PHOTO.shape[:2], bool)
    assert len(made.boxes) == 3
    for box in made.boxes:
        place = (slice(box.y, box.bottom), slice(box.x, box.right))
        assert np.array_equal(made.pixels[place], LOW[place]) and min(box.w, box.h) >= 24
        rest[place] = False
    assert np.array_equal(made.pixels[rest], HIGH[rest])
    a, b, c = made.boxes
    assert not (a.intersection(b) or a.intersection(c) or b.intersection(c))
    again = splice(HIGH, LOW, PHOTO, rng=np.random.default_rng(0), free=lambda box: inside(box), count=3)
    assert again.boxes == made.boxes and np.array_equal(again.pixels, made.pixels)


def inside(box: Box) -> bool:
    return bool(box.right <= PHOTO.shape[1] and box.bottom <= PHOTO.shape[0])


def test_no_seam_lies_where_it_may_not() -> None:
    left_half = Box(0, 0, 120, 200)
    made = splice(
        HIGH, LOW, PHOTO, rng=np.random.default_rng(1), free=lambda box: not box.intersection(left_half), count=3
    )
    assert made.boxes and all(box.x >= 120 for box in made.boxes)
    assert splice(HIGH, LOW, PHOTO, rng=np.random.default_rng(1), free=lambda box: False, count=3).boxes == ()


def test_what_the_low_rate_destroyed_or_left_alone_is_no_seam() -> None:
    rng = np.random.default_rng(0)
    assert splice(HIGH, HIGH, PHOTO, rng=rng, free=inside, count=1).boxes == ()
    destroyed = np.full_like(LOW, 120)
    assert splice(HIGH, destroyed, PHOTO, rng=rng, free=inside, count=1).boxes == ()
    scene = with_disc(PHOTO, (60, 100), 50)
    low = jpeg(PHOTO, 12)  # the disc is gone in it, which is a miscompression and no seam
    for box in splice(jpeg(scene, 85), low, scene, rng=rng, free=inside, count=4).boxes:
        place = (slice(box.y, box.bottom), slice(box.x, box.right))
        grey = [picture[place].mean(2).ravel() for picture in (scene, low)]
        assert np.corrcoef(*grey)[0, 1] > LEAST_CORRELATION - 0.05
