"""Targets of planted pairs. Oracles: scenes made by hand, whose changed pixels are known."""

from __future__ import annotations

import numpy as np
from planted import lawn

from miscomp.detect.cells import CELL
from miscomp.detect.network import CATEGORIES
from miscomp.images import Pixels
from miscomp.plant.edits import Edit, KindRow
from miscomp.plant.scene import Planted, Scene
from miscomp.records import Box
from miscomp.taxonomy import Category
from miscomp.training.plant_targets import CHANNELS, CodedScene, stack, targets

SIGN = KindRow(name="sign", target="", category="SHAPE", symbol=True, description="")
TEXTURE = KindRow(name="texture", target="", category="", label=False, description="")


def scene(*planted: tuple[KindRow, Box], size: int = 64) -> Scene:
    original = lawn(size, size)
    changed = original.copy()
    plants = []
    for row, box in planted:
        here = np.s_[box.y : box.bottom, box.x : box.right]
        before = original[here].copy()
        changed[here] = 255 - before
        edit = Edit(region=box, before=before, after=changed[here].copy())
        assert edit.box is not None
        plants.append(Planted(row=row, strength=1, seed=0, edit=edit, box=edit.box))
    return Scene(original=original, changed=changed, plants=tuple(plants))


def maps(
    one: Scene, reconstruction: Pixels | None = None, *, outside: float = 1
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    coded = CodedScene(
        scene=one, reconstruction=one.changed if reconstruction is None else reconstruction, outside=outside
    )
    return dict(zip(CHANNELS, targets(coded), strict=True))


def test_the_cells_of_a_label_are_wanted_with_their_category_and_symbol() -> None:
    found = maps(scene((SIGN, Box(16, 24, 16, 8))))
    inside = np.zeros((16, 16), bool)
    inside[6:8, 4:8] = True
    assert (found["wanted"] == inside).all() and (found["edited"] == inside).all()
    assert set(found["category"][inside]) == {CATEGORIES.index(Category.SHAPE)}
    assert set(found["category"][~inside]) == {-1}
    assert (found["symbol"] == inside).all()


def test_a_hard_negative_changed_but_is_not_wanted() -> None:
    found = maps(scene((TEXTURE, Box(16, 24, 16, 8))))
    assert found["edited"].sum() == 8 and not found["wanted"].any()
    assert (found["weight"][found["edited"] > 0] > 1).all()
    assert (found["category"] == -1).all()


def test_what_a_codec_may_have_changed_by_itself_is_not_asked_about() -> None:
    one = scene((SIGN, Box(16, 24, 16, 8)), (TEXTURE, Box(40, 40, 8, 8)))
    faithful, doubtful = maps(one), maps(one, outside=0)
    edited = faithful["edited"] > 0
    assert (doubtful["weight"][edited] == faithful["weight"][edited]).all()
    assert not doubtful["weight"][~edited].any()
    assert faithful["weight"][0, 0] == 1


def test_cells_around_a_plant_are_not_asked_about() -> None:
    found = maps(scene((SIGN, Box(16, 24, 16, 8))))
    assert not found["weight"][4:6, 2:10].any() and not found["weight"][8:10, 2:10].any()
    assert found["weight"][3, 5] == 1


def test_a_small_plant_weighs_more_per_cell_than_a_large_one() -> None:
    small, large = maps(scene((SIGN, Box(16, 16, 8, 8)))), maps(scene((SIGN, Box(8, 8, 48, 48))))
    assert small["weight"].max() > 2 * large["weight"].max()


def test_a_line_of_one_pixel_belongs_to_its_cells() -> None:
    found = maps(scene((SIGN, Box(18, 8, 1, 32))))
    assert found["wanted"][2:10, 4].all()


def test_damage_and_share_tell_the_codec_from_the_edit() -> None:
    one = scene((SIGN, Box(16, 16, 16, 16)))
    clean = maps(one)
    assert not clean["damage"].any()
    assert clean["share"][5, 5] < 0.01 and clean["share"][14, 14] == 1
    noisy = np.clip(one.changed + np.random.default_rng(0).normal(0, 60, one.changed.shape), 0, 255).astype(np.uint8)
    damaged = maps(one, noisy)
    assert damaged["damage"].min() > 0.9 and damaged["share"][5, 5] > 0.02


def test_pairs_are_stacked_original_first() -> None:
    one = scene((SIGN, Box(16, 24, 16, 8)))
    pairs, wanted = stack([CodedScene(scene=one, reconstruction=one.changed, outside=1)])
    assert pairs.shape == (1, 6, 64, 64) and wanted.shape == (1, len(CHANNELS), 64 // CELL, 64 // CELL)
    np.testing.assert_allclose(pairs[0, :3].transpose(1, 2, 0) * 255, one.original, atol=1e-3)
    np.testing.assert_allclose(pairs[0, 3:].transpose(1, 2, 0) * 255, one.changed, atol=1e-3)
