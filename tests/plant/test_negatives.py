"""Oracle: a lawn with a disc whose place is known: the lawn may change, the disc and its surroundings not."""

import numpy as np
import pytest
from made_edits import inside
from planted import around, lawn, with_disc

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant import negatives
from miscomp.plant.edits import STRENGTHS, Kind
from miscomp.plant.segments import longest_side

KINDS: tuple[Kind, ...] = (negatives.texture, negatives.texture_edited, negatives.inpainted)
DISC = around((128, 128), 30)


def scene() -> Pixels:
    return with_disc(lawn(256, 256, contrast=14), (128, 128), 30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_texture_changes_by_as_much_as_an_object_and_the_object_does_not(kind: Kind, strength: float) -> None:
    pixels = scene()
    kept = pixels.copy()
    found = 0
    for seed in range(4):
        a, b = (kind(pixels, strength, np.random.default_rng(seed), free=inside) for _ in range(2))
        assert (a is None) == (b is None)
        if a is None or b is None:
            continue
        found += 1
        box = a.box
        assert box is not None and a.region == b.region and a.after.tobytes() == b.after.tobytes()
        assert min(box.w, box.h) >= 8 and max(box.w, box.h) <= longest_side(pixels)
        assert not box.intersection(DISC)
    assert found >= 2
    assert (pixels == kept).all()


@pytest.mark.parametrize("kind", [negatives.texture, negatives.inpainted])
def test_what_comes_in_is_of_the_same_texture(kind: Kind) -> None:
    for seed in range(4):
        edit = kind(scene(), 1.0, np.random.default_rng(seed), free=inside)
        if edit is None:
            continue
        before, after = edit.before.astype(float), edit.after.astype(float)
        assert np.abs(before.mean((0, 1)) - after.mean((0, 1))).max() < 8
        assert 0.6 < after.std() / before.std() < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_changed_on_siding_in_flat_colour_or_without_room(kind: Kind) -> None:
    rows = np.where(np.arange(256) % 9 < 2, 90, 160)[:, None, None]
    siding = np.clip(rows + np.random.default_rng(0).normal(0, 4, (256, 256, 1)) + np.zeros(3), 0, 255)
    rng = np.random.default_rng(0)
    assert kind(siding.astype(np.uint8), 1.0, rng, free=inside) is None
    assert kind(np.full((256, 256, 3), 90, np.uint8), 1.0, rng, free=inside) is None
    assert kind(scene(), 1.0, rng, free=lambda _: False) is None
    assert kind(scene()[:40], 1.0, rng, free=inside) is None
    with pytest.raises(UsageError, match="strength"):
        kind(scene(), 2, rng, free=inside)
