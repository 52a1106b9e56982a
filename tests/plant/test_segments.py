"""Oracle: drawn scenes, where what was put in, and where, is known."""

import numpy as np
from planted import BLUE, WHITE, around, lawn, with_disc, with_polygon

from miscomp.images import Pixels
from miscomp.plant.segments import SIDE, WIDE_SIDE, Window, drawn, lab_of, search_window, things, window_of
from miscomp.plant.textures import is_stochastic, textured_places
from miscomp.records import Box

GROUND = lawn(256, 256, contrast=6)


def whole(pixels: Pixels) -> Window:
    return Window(0, 0, pixels, lab_of(pixels))


def stripes() -> Pixels:
    """Siding: a dark line every 9 rows, with a little noise."""
    rows = np.where(np.arange(256) % 9 < 2, 90, 160)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 4, (256, 256, 1))
    return np.clip(rows + noise + np.zeros(3), 0, 255).astype(np.uint8)


def test_a_disc_and_a_box_are_found_with_their_outlines_and_nothing_else() -> None:
    pixels = with_disc(GROUND, (70, 80), 30)
    pixels = with_polygon(pixels, [(150, 150), (190, 150), (190, 180), (150, 180)], BLUE)
    found = things(whole(pixels), most_side=64)
    disc = np.hypot(*(np.mgrid[0:256, 0:256] - np.array([80, 70])[:, None, None] + 0.5)) <= 15
    box = np.zeros((256, 256), np.bool_)
    box[150:180, 150:190] = True
    overlaps = [max(float((one.mask & m).sum() / (one.mask | m).sum()) for m in (disc, box)) for one in found]
    assert len(found) == 2
    assert min(overlaps) > 0.85


def test_a_lawn_holds_nothing_distinct() -> None:
    assert not things(whole(lawn(256, 256, seed=3, contrast=14)), most_side=64)


def test_discs_that_are_strewn_everywhere_are_a_texture_and_not_things() -> None:
    pixels = GROUND
    for y in range(12, 256, 22):
        for x in range(12, 256, 22):
            pixels = with_disc(pixels, (x, y), 13)
    assert not things(whole(pixels), most_side=64)


def test_a_thing_larger_than_asked_for_is_left_out() -> None:
    window = whole(with_disc(GROUND, (128, 128), 50))
    assert len(things(window, most_side=64)) == 1
    assert not things(window, most_side=40)


def test_the_hole_of_a_ring_is_kept_apart_from_its_mask() -> None:
    ring = with_disc(with_disc(GROUND, (128, 128), 44, WHITE), (128, 128), 16, (60, 90, 50))
    thing = next(one for one in things(whole(ring), most_side=64) if one.area > 1000)
    assert thing.mask[128, 128] and thing.holes[128, 128]
    assert 100 < thing.holes.sum() < 350


def test_more_distinct_things_tend_to_come_first() -> None:
    pixels = with_disc(GROUND, (70, 80), 34)
    found = things(whole(with_disc(pixels, (170, 170), 15, (150, 120, 80))), most_side=64)
    assert len(found) == 2
    firsts = [next(drawn(found, np.random.default_rng(seed))) is found[0] for seed in range(60)]
    assert 30 < sum(firsts) < 60


def test_windows_lie_inside_and_are_wider_in_larger_pictures() -> None:
    rng = np.random.default_rng(0)
    large = np.zeros((700, 900, 3), np.uint8)
    large[..., 0] = np.arange(900) % 251
    window = search_window(large, rng)
    assert window is not None and window.shape == (WIDE_SIDE, WIDE_SIDE)
    assert (window.pixels == large[window.y : window.y + WIDE_SIDE, window.x : window.x + WIDE_SIDE]).all()
    small = search_window(large[:SIDE, :400], rng)
    assert small is not None and small.shape == (SIDE, SIDE)
    assert window_of(large[:40], rng) is None


def test_textured_places_keep_off_things_and_off_the_borders_of_areas() -> None:
    pixels = lawn(256, 256, contrast=14)
    pixels[:, 128:] = np.clip(pixels[:, 128:].astype(int) + 60, 0, 255)
    window = whole(pixels)
    disc = things(whole(with_disc(GROUND, (60, 60), 30)), most_side=64)
    places = textured_places(window, 24, 24, avoid=disc)
    assert len(places) > 20
    assert not any(place.intersection(around((60, 60), 28)) for place in places)
    assert not any(place.x < 126 and place.right > 130 for place in places)


def test_grass_is_stochastic_and_siding_and_a_lone_dot_are_not() -> None:
    place = Box(100, 100, 32, 32)
    grass = lawn(256, 256, contrast=14)
    assert is_stochastic(whole(grass), place)
    assert not is_stochastic(whole(stripes()), place)
    assert not is_stochastic(whole(with_disc(GROUND, (116, 116), 7)), place)
