"""Oracle: drawn shapes, whose place, angle and area are measured by their colour before and after."""

import numpy as np
import pytest
from made_edits import edited, inside
from planted import RED, WHITE, lawn, with_disc, with_polygon

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant import forms
from miscomp.plant.edits import STRENGTHS, Kind
from miscomp.plant.forms import bending
from miscomp.plant.segments import longest_side
from miscomp.records import Box

GROUND = lawn(256, 256, contrast=6)
KINDS: tuple[Kind, ...] = (forms.warped, forms.shifted, forms.rotated, forms.contour)


def bar() -> Pixels:
    """A red bar, 36 x 14, in the middle."""
    return with_polygon(GROUND, [(110, 121), (146, 121), (146, 135), (110, 135)], RED)


def red(pixels: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Rows and columns of the red pixels, (n, 2)."""
    return np.argwhere(pixels[..., 0].astype(int) - pixels[..., 1] > 60).astype(np.float64)


def angle(pixels: Pixels) -> float:
    """Direction of the longest extent of what is red, in degrees, [0, 180)."""
    points = red(pixels)
    _, axes = np.linalg.eigh(np.cov((points - points.mean(0)).T))
    return float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1])) % 180)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_plant_is_compact_inside_and_the_same_for_the_same_seed(kind: Kind, strength: float) -> None:
    pixels = bar()
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
        assert min(box.w, box.h) >= 8 and max(box.w, box.h) <= longest_side(pixels)
        assert Box(110, 121, 36, 14).grown(20, 256, 256).intersection(box) == box.area
    assert found >= 2
    assert (pixels == kept).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_planted_without_room_or_things_and_a_wrong_strength_is_refused(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    assert kind(bar(), 1.0, rng, free=lambda _: False) is None
    assert kind(GROUND, 1.0, rng, free=inside) is None
    assert kind(bar()[:20], 1.0, rng, free=inside) is None
    with pytest.raises(UsageError, match="strength"):
        kind(bar(), -1, rng, free=inside)


@pytest.mark.parametrize(("strength", "by"), [(0.5, 4.6), (1.0, 16.0)])
def test_a_shifted_thing_keeps_its_area_and_moves_by_what_is_said(strength: float, by: float) -> None:
    pixels = bar()
    edit, after = edited(forms.shifted, pixels, strength, seed=1)
    assert f"{by:.0f} px" in edit.note
    assert abs(np.linalg.norm(red(after).mean(0) - red(pixels).mean(0)) - by) < 1.2
    assert 0.9 < len(red(after)) / len(red(pixels)) < 1.1


@pytest.mark.parametrize(("strength", "by"), [(0.25, 10), (1.0, 45)])
def test_a_rotated_bar_turns_by_its_angle_about_its_middle(strength: float, by: float) -> None:
    pixels = bar()
    _, after = edited(forms.rotated, pixels, strength)
    turned = abs((angle(after) - angle(pixels) + 90) % 180 - 90)
    assert abs(turned - by) < 2
    assert np.linalg.norm(red(after).mean(0) - red(pixels).mean(0)) < 1
    assert 0.9 < len(red(after)) / len(red(pixels)) < 1.1


def test_a_disc_is_not_rotated_for_that_would_change_nothing() -> None:
    disc = with_disc(GROUND, (128, 128), 30)
    assert all(forms.rotated(disc, 1.0, np.random.default_rng(seed), free=inside) is None for seed in range(3))


def test_a_bend_is_smooth_reaches_its_amplitude_and_ends_at_the_border() -> None:
    for seed in range(5):
        dx, dy = bending(40, 60, 6.0, np.random.default_rng(seed))
        length = np.hypot(dx, dy)
        assert length.max() == pytest.approx(6, abs=0.01)
        assert max(length[0].max(), length[-1].max(), length[:, 0].max(), length[:, -1].max()) < 1e-4
        assert max(np.abs(np.diff(d, axis=a)).max() for d in (dx, dy) for a in (0, 1)) < 1


def test_a_warped_bar_stays_red_and_is_bent_more_at_more_strength() -> None:
    pixels = bar()
    changes = []
    for strength in (0.25, 1.0):
        _, after = edited(forms.warped, pixels, strength)
        assert 0.8 < len(red(after)) / len(red(pixels)) < 1.2
        changes.append(int((np.abs(after.astype(int) - pixels).max(2) > 30).sum()))
    assert 0 < changes[0] < 0.8 * changes[1]


def test_an_outline_gains_or_loses_a_part_and_the_rest_stays() -> None:
    pixels = with_disc(GROUND, (128, 128), 36)
    seen = set()
    for seed in range(8):
        edit, after = edited(forms.contour, pixels, 0.75, seed)
        change = (len(red(after)) - len(red(pixels))) / len(red(pixels))
        name = edit.note.split(": ")[1]
        seen.add(name)
        assert 0.05 < change < 0.5 if name == "bump" else -0.5 < change < -0.05, name
        assert after[128, 128, 0] > 150 or name == "notch"
    assert seen == {"bump", "notch", "corner cut"}


def test_the_hole_of_a_ring_is_closed_with_its_own_colour() -> None:
    ring = with_disc(with_disc(GROUND, (128, 128), 44, WHITE), (128, 128), 16, (60, 90, 50))
    notes = {}
    for seed in range(16):
        edit = forms.contour(ring, 0.5, np.random.default_rng(seed), free=inside)
        if edit is not None:
            notes[edit.note] = edit
    closed = notes["an outline changed: hole filled"]
    x, y = 128 - closed.region.x, 128 - closed.region.y
    assert np.abs(closed.after[y, x].astype(int) - WHITE).max() < 20
