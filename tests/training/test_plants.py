"""Planted training pairs. Oracles: determinism, and the scene that each pair says it is of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import lawn, with_disc
from tiny_kinds import row

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.training.plants import CODINGS, HARMLESS, SPACING, PlantSource, even_texture, redraw_texture

KINDS = [row("invert"), row("sign"), replace(row("invert", label=False), name="texture")]
PHOTOS = [with_disc(lawn(200, 240, seed=seed), (100, 90), 40) for seed in range(2)]


def source(**changes: object) -> PlantSource:
    wanted = {"kinds": KINDS, "codecs": ["jpeg", "webp"], "crop": 128, "batch_size": 3, "seed": 5, "plants": 2}
    return PlantSource(PHOTOS, **{**wanted, **changes})  # type: ignore[arg-type]


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    walked = source()
    for step in range(3):
        walked.batch(step)
    for first, second in zip(walked.batch(3), source().batch(3), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(source(seed=6).batch(3)[0], source().batch(3)[0])


def test_pictures_and_targets_have_the_shapes_that_training_takes() -> None:
    pairs, wanted = source().batch(0)
    assert pairs.shape == (3, 6, 128, 128) and wanted.shape == (3, 8, 32, 32)
    assert float(pairs.min()) >= 0 and float(pairs.max()) <= 1
    assert float(wanted[:, 0].sum()) > 0


def test_a_scene_comes_back_through_another_codec_after_its_spacing() -> None:
    drawn = source()
    first = drawn.coded(0)[0].scene
    later = drawn.coded(SPACING)[1].scene
    mirrored = later.original[:, ::-1]
    assert np.array_equal(first.original, later.original) or np.array_equal(first.original, mirrored)


def test_plants_lie_where_the_pictures_differ_mirrored_or_not() -> None:
    for step in range(4):
        for one in source().coded(step):
            differs = np.abs(one.scene.original.astype(int) - one.scene.changed).max(2) > 8
            for plant in one.scene.plants:
                box = plant.box
                assert differs[box.y : box.bottom, box.x : box.right].any(0).all()
                differs[box.y : box.bottom, box.x : box.right] = False
            assert not differs.any()


def test_only_a_neural_codec_of_a_low_rate_is_not_taken_to_be_faithful() -> None:
    assert all(np.any(np.asarray(one.outside) > 0) for step in range(3) for one in source().coded(step))
    neural = source(codecs=["lucid"], batch_size=6)
    assert not all(np.any(np.asarray(one.outside) > 0) for one in neural.coded(0))


def test_every_codec_of_training_can_be_drawn() -> None:
    pixels = lawn(64, 64)
    rng = np.random.default_rng(0)
    from miscomp.codecs.catalog import CODECS

    for name, coding in CODINGS.items():
        for _ in range(20):
            quality = coding.quality(rng)
            CODECS[name].qualities.check(name, quality if coding.neural else float(round(quality)))
    assert pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_keep_the_size_and_most_of_the_picture(change: object) -> None:
    pixels: Pixels = lawn(64, 80)
    changed = change(pixels, np.random.default_rng(1))  # type: ignore[operator]
    assert changed.shape == pixels.shape and changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - pixels).mean() < 25 and not np.array_equal(changed, pixels)


def test_texture_is_drawn_anew_and_edges_stay() -> None:
    pixels = with_disc(lawn(128, 128, contrast=30), (64, 64), 60, (255, 255, 255))
    changed = redraw_texture(pixels, np.random.default_rng(0)).astype(int)
    assert np.abs(changed - pixels)[:20].mean() > 3
    rim = np.hypot(*(np.indices((128, 128)) - 63.5)).round() == 30
    assert (changed[64, 64] > 245).all() and np.corrcoef(changed[rim][:, 0], pixels[rim][:, 0])[0, 1] > 0.8


def test_what_is_to_be_kept_is_not_drawn_anew() -> None:
    pixels = lawn(128, 128, contrast=30)
    changed = redraw_texture(pixels, np.random.default_rng(0), keep=[Box(40, 40, 48, 48)]).astype(int)
    assert np.abs(changed - pixels)[52:76, 52:76].max() <= 1
    assert np.abs(changed - pixels)[:30].mean() > 2


def test_grass_is_even_and_a_thing_on_it_is_not() -> None:
    even = even_texture(with_disc(lawn(256, 256), (64, 128), 30, (255, 255, 255)))
    assert even[:, 48:].mean() > 0.95 and even[28:36, 12:20].mean() < 0.05


def test_what_cannot_be_drawn_from_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 512 x 512 pixels, none of 2"):
        source(crop=512)
    with pytest.raises(UsageError, match="at least one kind"):
        source(kinds=[])
