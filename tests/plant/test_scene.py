"""Scenes. Oracles: the pixels of the photograph, the scene's two pictures compared with each other, and counting."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from planted import lawn
from tiny_kinds import row

from miscomp.errors import UsageError
from miscomp.plant.edits import GAP, STRENGTHS
from miscomp.plant.scene import Scene, make_scene, number_for

PHOTO = lawn(160, 200, seed=3)


def scene(
    *names: str, count: int = 8, negatives: int = 0, seed: int = 0, strengths: tuple[float, ...] = STRENGTHS
) -> Scene:
    kinds = [row(name.lstrip("-"), label=not name.startswith("-")) for name in names]
    return make_scene(
        PHOTO,
        rng=np.random.default_rng(seed),
        count=count,
        kinds=kinds,
        negatives=negatives,
        strengths=strengths,
    )


def test_a_scene_differs_in_its_boxes_and_nowhere_else() -> None:
    made = scene("invert", "sign", "-invert", negatives=4)
    left = (made.original != made.changed).any(2)
    moved = (made.original != PHOTO).any(2)
    for plant in made.plants:
        box, region = plant.box, plant.edit.region
        patch = left[box.y : box.bottom, box.x : box.right]
        assert patch[0].any() and patch[-1].any() and patch[:, 0].any() and patch[:, -1].any()
        patch[:] = False
        moved[region.y : region.bottom, region.x : region.right] = False
    assert not left.any() and not moved.any()
    assert len(made.labels) == 8 and len(made.plants) == 12


def test_a_sign_is_in_both_pictures_and_its_change_in_one() -> None:
    made = scene("sign", count=3)
    for plant in made.plants:
        region = plant.edit.region
        board = made.original[region.y : region.bottom, region.x : region.right]
        assert (board == 128).all() and (plant.box.w, plant.box.h) == (4, 4)
        assert (made.changed[plant.box.y, plant.box.x] == 250).all()


def test_plants_lie_inside_and_apart() -> None:
    made = scene("invert", "outside", "rude", count=12)
    regions = [plant.edit.region for plant in made.plants]
    assert all(region.right <= 200 and region.bottom <= 160 for region in regions)
    for one in regions:
        for other in regions:
            assert one is other or not one.intersection(other.grown(GAP, 200, 160))
    assert sum(plant.row.name == "rude" for plant in made.plants) <= 1
    assert not made.free(regions[0]) and not made.free(regions[0].grown(GAP, 200, 160))


def test_the_generator_decides_and_nothing_else() -> None:
    one, same, other = scene("invert", "sign"), scene("invert", "sign"), scene("invert", "sign", seed=1)
    assert np.array_equal(one.changed, same.changed) and np.array_equal(one.original, same.original)
    assert [plant.box for plant in one.plants] == [plant.box for plant in same.plants]
    assert [plant.box for plant in one.plants] != [plant.box for plant in other.plants]


def test_a_plant_s_seed_makes_it_again() -> None:
    plant = scene("invert", count=1).plants[0]
    from tiny_kinds import invert

    edit = invert(PHOTO, plant.strength, np.random.default_rng(plant.seed), free=lambda box: True)
    assert edit is not None and edit.box == plant.box and np.array_equal(edit.after, plant.edit.after)


def test_strengths_come_equally_often_and_kinds_by_weight() -> None:
    made = scene("invert", count=12)
    assert Counter(plant.strength for plant in made.labels) == dict.fromkeys(STRENGTHS, 3)
    kinds = [row("invert", weight=9), row("sign")]
    drawn = Counter(
        plant.row.name
        for seed in range(40)
        for plant in make_scene(PHOTO, rng=np.random.default_rng(seed), count=5, kinds=kinds).plants
    )
    share = drawn["sign"] / drawn.total()
    assert 0.05 < share < 0.15  # of 200 draws with a chance of 0.1: 20, give or take 4


def test_a_kind_without_a_place_gives_way_and_what_is_left_out_is_counted() -> None:
    gave_way = scene("nowhere", "faint", "invert", count=6)
    assert {plant.row.name for plant in gave_way.plants} == {"invert"}
    assert len(gave_way.plants) + len(gave_way.missing) == 6
    none = scene("nowhere", "faint", "-nowhere", count=3, negatives=2)
    assert none.plants == () and len(none.missing) == 5
    assert np.array_equal(none.changed, PHOTO)
    crowded = scene("invert", count=100, strengths=(1.0,))
    assert crowded.missing and len(crowded.plants) + len(crowded.missing) == 100


def test_labels_and_negatives_take_turns_at_the_best_places() -> None:
    made = [scene("invert", "-invert", count=5, negatives=5, seed=seed) for seed in range(6)]
    orders = ["".join("nl"[plant.row.label] for plant in one.plants) for one in made]
    assert len(set(orders)) > 1 and any(a + b == "nl" for order in orders for a, b in pairwise(order))


def test_a_kind_cannot_write_into_what_it_is_shown() -> None:
    before = PHOTO.copy()
    with pytest.raises(ValueError, match="read-only"):
        scene("in_place", count=1)
    assert np.array_equal(PHOTO, before)


def test_strengths_are_checked() -> None:
    for strengths in ((), (0.0,), (1.5,)):
        with pytest.raises(UsageError, match="strength"):
            scene("invert", strengths=strengths)


def test_the_number_of_plants_grows_as_the_square_root_of_the_area() -> None:
    for size, wanted in (((512, 768), 6), ((2048, 3072), 24), ((256, 384), 3), ((8, 8), 1)):
        assert number_for(6, np.zeros((*size, 3), np.uint8)) == wanted
    assert number_for(0, PHOTO) == 0
