"""Clocks, arrows and signals in a photograph that the tests make themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant.catalog import KINDS
from miscomp.plant.clocks import Clock, drawn_clock
from miscomp.plant.edits import STRENGTHS, Edit, Free
from miscomp.registry import load

pytest.importorskip("matplotlib", reason="the extra 'plant' is not installed")

KIND_NAMES = ("clock-hand", "arrow-mirrored", "signal")


@cache
def photograph(height: int = 256, width: int = 320) -> Pixels:
    """Steps of grey with grain."""
    rng = np.random.default_rng(5)
    steps = np.kron(rng.integers(60, 200, (height // 32 + 1, width // 32 + 1)), np.ones((32, 32)))[:height, :width]
    grained = steps[..., None] + rng.normal(0, 2, (height, width, 3))
    pixels: Pixels = grained.clip(0, 255).round().astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


def plant(name: str, strength: float, seed: int, *, free: Free | None = None) -> Edit | None:
    kind: Callable[..., Edit | None] = load(KINDS[name].target)
    return kind(photograph(), strength, np.random.default_rng(seed), free=free or (lambda box: True))


@pytest.mark.parametrize("name", KIND_NAMES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_plant_is_seen_inside_its_region_and_repeats_from_its_seed(name: str, strength: float) -> None:
    found = 0
    for seed in range(6):
        edit, again = plant(name, strength, seed), plant(name, strength, seed)
        if edit is None or again is None:
            continue
        found += 1
        assert np.array_equal(edit.before, again.before) and np.array_equal(edit.after, again.after)
        assert edit.box is not None and edit.region.right <= 320 and edit.region.bottom <= 256
        assert edit.region.union_box(edit.box) == edit.region
        # The sign's own edge, and the photograph around it, stay.
        assert np.array_equal(edit.before[0], edit.after[0]) and np.array_equal(edit.before[:, 0], edit.after[:, 0])
    assert found >= 5


@pytest.mark.parametrize("name", KIND_NAMES)
def test_stronger_plants_change_more_pixels(name: str) -> None:
    weak, plain = (
        np.median([int(edit.changed.sum()) for seed in range(8) if (edit := plant(name, strength, seed)) is not None])
        for strength in (0.25, 1.0)
    )
    assert plain > 4 * weak


@pytest.mark.parametrize("name", KIND_NAMES)
def test_nothing_is_planted_where_no_place_is_free(name: str) -> None:
    assert plant(name, 0.5, 0, free=lambda box: False) is None
    with pytest.raises(UsageError, match="above 0"):
        plant(name, 1.5, 0)


@pytest.mark.parametrize(("strength", "angle"), [(0.1, 15), (0.25, 15), (0.5, 50), (1.0, 120)])
def test_a_hand_is_off_by_the_angle_of_the_strength(strength: float, angle: int) -> None:
    edits = [edit for seed in range(6) if (edit := plant("clock-hand", strength, seed)) is not None]
    assert {int(re.findall(r"(\d+) degrees", edit.note)[0]) for edit in edits} == {angle}


def test_a_clock_at_three_has_its_hands_up_and_to_the_right() -> None:
    black = (0, 0, 0)
    clock = Clock(
        radius=60,
        dial=(255, 255, 255),
        ink=black,
        rim=black,
        thick=6,
        square=False,
        ticks=4,
        second_hand=None,
        hour=90,
        minute=0,
    )
    pixels, outline = drawn_clock(clock)
    middle = pixels.shape[0] // 2
    assert outline[middle, middle] == 255 and outline[0, 0] == 0
    ink = pixels[..., 0] < 128
    assert ink[middle - 40, middle] and ink[middle, middle + 25]
    assert not ink[middle + 40, middle] and not ink[middle, middle - 25] and not ink[middle, middle + 42]


def test_arrows_look_like_their_mirror_image() -> None:
    """Oracle: `before` mirrored is nearer to `after` than `before` itself is, on signs that face the camera."""
    nearer = 0
    for seed in range(12):
        edit = plant("arrow-mirrored", 1.0, seed)
        assert edit is not None and edit.box is not None
        box, region = edit.box, edit.region
        rows = slice(box.y - region.y, box.bottom - region.y)
        columns = slice(box.x - region.x, box.right - region.x)
        before, after = (patch[rows, columns].astype(float) for patch in (edit.before, edit.after))
        nearer += bool(np.abs(before[:, ::-1] - after).mean() < np.abs(before - after).mean())
    assert nearer >= 10


def test_a_lamp_that_goes_off_gets_darker() -> None:
    seen = 0
    for seed in range(40):
        edit = plant("signal", 1.0, seed)
        if edit is not None and edit.note.endswith("became off"):
            seen += 1
            assert edit.after[edit.changed].mean() < edit.before[edit.changed].mean() - 30
    assert seen >= 2
