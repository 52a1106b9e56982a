"""Oracle: drawn scenes; a removed thing must give back the ground that was drawn before it."""

import numpy as np
import pytest
from made_edits import edited, inside
from planted import BLUE, RED, WHITE, Colour, lawn, with_disc, with_polygon

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant import things
from miscomp.plant.edits import STRENGTHS, Kind
from miscomp.plant.segments import lab_of, longest_side

GROUND = lawn(256, 256, contrast=6)
KINDS: tuple[Kind, ...] = (things.removed, things.inserted, things.recoloured, things.light, things.mark_removed)


def scene() -> Pixels:
    """Something for every kind: a red disc, a blue box, a bright lamp, a dark pane and a cable."""
    pixels = with_disc(GROUND, (60, 60), 30)
    pixels = with_polygon(pixels, [(160, 40), (200, 40), (200, 66), (160, 66)], BLUE)
    pixels = with_disc(pixels, (70, 180), 20, WHITE)
    pixels = with_polygon(pixels, [(160, 150), (186, 150), (186, 190), (160, 190)], (20, 22, 24))
    return with_polygon(pixels, [(100, 110), (148, 124), (148, 126.5), (100, 112.5)], (15, 20, 20))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_plant_is_compact_inside_and_the_same_for_the_same_seed(kind: Kind, strength: float) -> None:
    pixels = scene()
    kept = pixels.copy()
    found = 0
    for seed in range(3):
        a, b = (kind(pixels, strength, np.random.default_rng(seed), free=inside) for _ in range(2))
        assert (a is None) == (b is None)
        if a is None or b is None:
            continue
        found += 1
        box = a.box
        assert box is not None and a.region == b.region and a.after.tobytes() == b.after.tobytes()
        assert max(box.w, box.h) <= longest_side(pixels) and box.area <= 9000 and a.note
        assert min(box.w, box.h) >= (3 if kind is things.mark_removed else 8)
        edge = a.changed.copy()
        edge[1:-1, 1:-1] = False
        assert not edge.any()
    assert found >= 2
    assert (pixels == kept).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_planted_where_nothing_is_free_nor_in_a_tiny_picture(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    assert kind(scene(), 1.0, rng, free=lambda _: False) is None
    assert kind(scene()[:30, :30], 1.0, rng, free=inside) is None
    assert kind(np.full((256, 256, 3), 90, np.uint8), 1.0, rng, free=inside) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_strength_outside_its_range_is_refused(kind: Kind) -> None:
    for strength in (0.0, 1.5):
        with pytest.raises(UsageError, match="strength"):
            kind(scene(), strength, np.random.default_rng(0), free=inside)


@pytest.mark.parametrize("colour", [RED, WHITE, (20, 20, 30)])
def test_a_removed_disc_gives_back_the_lawn_it_stood_on(colour: Colour) -> None:
    pixels = with_disc(GROUND, (128, 128), 30, colour)
    _, after = edited(things.removed, pixels, 1.0)
    here = np.s_[110:146, 110:146]
    before, left = (np.abs(a[here].astype(int) - GROUND[here]).mean() for a in (pixels, after))
    assert left < 14 and left < 0.25 * before
    # Grass again, not a smear: as busy as the lawn.
    assert 0.6 < after[here].std() / GROUND[here].std() < 1.6


def test_a_barely_removed_disc_keeps_about_two_fifths_of_its_contrast() -> None:
    pixels = with_disc(GROUND, (128, 128), 30)
    core = np.s_[120:136, 120:136]
    ground = GROUND[core].mean((0, 1))
    _, after = edited(things.removed, pixels, 0.25)
    left = np.linalg.norm(after[core].mean((0, 1)) - ground) / np.linalg.norm(pixels[core].mean((0, 1)) - ground)
    assert 0.3 < left < 0.5


def test_a_second_disc_comes_in_and_is_larger_at_more_strength() -> None:
    pixels = with_disc(GROUND, (60, 60), 40)

    def red(picture: Pixels) -> int:
        return int((picture[..., 0].astype(int) - picture[..., 1] > 60).sum())

    new = [red(edited(things.inserted, pixels, strength)[1]) - red(pixels) for strength in (0.25, 1.0)]
    assert 60 < new[0] < 0.6 * new[1]
    assert new[1] < 1.3 * red(pixels)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.25, 5, 9), (1.0, 30, 48)])
def test_a_recoloured_thing_moves_in_lab_by_what_its_strength_says(strength: float, low: float, high: float) -> None:
    pixels = with_disc(GROUND, (128, 128), 36, (150, 110, 100))
    _, after = edited(things.recoloured, pixels, strength)
    core = np.s_[120:136, 120:136]
    moved = np.linalg.norm(lab_of(after)[core].mean((0, 1)) - lab_of(pixels)[core].mean((0, 1)))
    assert low < moved < high
    assert (after[:100] == pixels[:100]).all()


def test_a_lamp_goes_dark_and_a_pane_lights_up() -> None:
    lamp = with_disc(GROUND, (128, 128), 24, WHITE)
    edit, after = edited(things.light, lamp, 1.0)
    assert edit.note == "a light went off"
    assert lab_of(after)[124:132, 124:132, 0].mean() < lab_of(GROUND)[..., 0].mean() + 2
    pane = with_polygon(GROUND, [(110, 110), (140, 110), (140, 146), (110, 146)], (20, 22, 24))
    edit, after = edited(things.light, pane, 1.0)
    assert edit.note == "a light came on"
    lit = lab_of(after)[120:130, 120:130].mean((0, 1))
    assert lit[0] > 70 and lit[2] > 15


@pytest.mark.parametrize("thing", ["line", "dot"])
def test_a_fine_mark_goes_and_the_ground_comes_through(thing: str) -> None:
    ground = lawn(256, 256, contrast=3)
    line = with_polygon(ground, [(100, 110), (148, 124), (148, 126.5), (100, 112.5)], (15, 20, 20))
    pixels = line if thing == "line" else with_disc(ground, (128, 118), 8, (40, 25, 20))
    edit, after = edited(things.mark_removed, pixels, 1.0)
    before, left = (np.abs(a[100:140, 95:155].astype(int) - ground[100:140, 95:155]).mean() for a in (pixels, after))
    assert left < 0.3 * before
    assert thing in edit.note
