"""Signs with writing, in photographs of noise and edges that the tests make themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest

from miscomp.errors import InputError, MissingExtra, UsageError
from miscomp.images import Pixels
from miscomp.plant import fonts
from miscomp.plant.boards import make_board
from miscomp.plant.catalog import KINDS
from miscomp.plant.composite import Canvas, Wanted, edge_blur, grain, grey, place
from miscomp.plant.edits import STRENGTHS, Edit, Free
from miscomp.plant.fonts import SEGMENTS, faces, fonts_in, unlikeness
from miscomp.plant.signboard import letter_height_for, put_word
from miscomp.plant.styles import STYLES
from miscomp.plant.words import WORDS
from miscomp.plant.written import replacement
from miscomp.registry import load

pytest.importorskip("matplotlib", reason="the extra 'plant' is not installed")

KIND_NAMES = ("character", "text-erased", "text-blurred")


@cache
def photograph(*, blur: float = 0.8, noise: float = 2.0, height: int = 256, width: int = 320) -> Pixels:
    """Rectangles of many greys with edges of a known blur, and grain of a known strength."""
    rng = np.random.default_rng(5)
    canvas = np.full((height * 4, width * 4), 120, np.float32)
    for _ in range(60):
        x, y = int(rng.integers(width * 4)), int(rng.integers(height * 4))
        corner = (x + int(rng.integers(60, 300)), y + int(rng.integers(60, 300)))
        cv2.rectangle(canvas, (x, y), corner, float(rng.integers(20, 235)), -1)
    small = cv2.resize(cv2.GaussianBlur(canvas, (0, 0), blur * 4), (width, height), interpolation=cv2.INTER_AREA)
    grained = np.asarray(small)[..., None] + rng.normal(0, noise, (height, width, 1)) + np.zeros(3)
    pixels: Pixels = grained.clip(0, 255).round().astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


def anywhere(pixels: Pixels) -> Free:
    return lambda box: box.right <= pixels.shape[1] and box.bottom <= pixels.shape[0]


def plant(name: str, strength: float, seed: int, pixels: Pixels | None = None, free: Free | None = None) -> Edit | None:
    pixels = photograph() if pixels is None else pixels
    kind: Callable[..., Edit | None] = load(KINDS[name].target)
    return kind(pixels, strength, np.random.default_rng(seed), free=free or anywhere(pixels))


@pytest.mark.parametrize("name", KIND_NAMES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_plant_is_seen_inside_its_region_and_repeats_from_its_seed(name: str, strength: float) -> None:
    found = 0
    for seed in range(4):
        edit, again = plant(name, strength, seed), plant(name, strength, seed)
        if edit is None or again is None:
            continue
        found += 1
        assert np.array_equal(edit.before, again.before) and np.array_equal(edit.after, again.after)
        assert edit.box is not None and edit.region.union_box(edit.box) == edit.region
        assert edit.region.right <= 320 and edit.region.bottom <= 256
    assert found >= 3


def test_only_one_letter_of_the_sign_changes() -> None:
    """What differs is no wider than one letter: at most 1.4 times its height and the blur, on signs of many letters."""
    for seed in range(8):
        edit = plant("character", 0.5, seed)
        assert edit is not None and edit.box is not None
        differing = np.any(edit.before != edit.after, axis=2)
        assert differing.mean() < 0.35
        assert edit.box.w <= 1.5 * edit.box.h + 12


def test_a_place_that_is_not_free_is_not_used() -> None:
    left = [plant("character", 0.5, seed, free=lambda box: box.right <= 200) for seed in range(12)]
    assert any(edit is not None for edit in left)
    assert all(edit.region.right <= 200 for edit in left if edit is not None)
    assert plant("character", 0.5, 1, free=lambda box: False) is None


def test_a_picture_too_small_for_letters_has_no_place() -> None:
    assert plant("character", 0.25, 3, photograph(height=24, width=24)) is None


def test_a_strength_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        plant("text-erased", 0.0, 1)


def test_erased_letters_leave_the_bare_sign_only_at_full_strength() -> None:
    """Oracle: the board itself, drawn without its letters."""
    board = make_board(STYLES[1], faces()[0], ["EXIT"], 20, np.random.default_rng(2))
    every = range(len(board.slots))
    bare = board.ground.astype(int)
    gone, half = (np.abs(board.draw(fading=dict.fromkeys(every, share)).rgb - bare).max() for share in (1.0, 0.6))
    shown = np.abs(board.draw().rgb - bare).max()
    assert gone == 0 < half < 0.5 * shown


def test_smeared_letters_keep_their_ink_and_lose_their_edges() -> None:
    board = make_board(STYLES[0], faces()[1], ["AB 123"], 20, np.random.default_rng(2))
    smeared = board.draw(smearing={0: 0.25 * board.cap})
    before, after = grey(board.draw().rgb), grey(smeared.rgb)
    assert np.abs(before - after).max() > 60
    assert after.mean() == pytest.approx(before.mean(), rel=0.02)
    other = round(board.slots[3].x)
    assert np.array_equal(before[:, other:], after[:, other:])


@pytest.mark.parametrize("blur", [0.6, 0.9, 1.3])
def test_a_sign_is_never_sharper_than_the_photograph(blur: float) -> None:
    """Oracle: the blur of edges, by the measure that is tried below against known blurs; on black bars."""
    pixels = photograph(blur=blur, noise=0.5)
    there = edge_blur(grey(pixels), grain(grey(pixels)))
    rgb = np.full((300, 480, 3), 240, np.uint8)
    rgb[60:240, 60:180], rgb[60:240, 300:420] = 20, 20
    alpha = np.full((300, 480), 255, np.uint8)
    for seed in range(6):
        wanted = Wanted(size=(480, 300), scale=4, finest=3, most_turn=0.1)
        placing = place(pixels, wanted, np.random.default_rng(seed), free=anywhere(pixels))
        assert placing is not None and there is not None
        inner = grey(placing.show(Canvas(rgb=rgb, alpha=alpha)))[8:-8, 8:-8]
        sign = edge_blur(inner, grain(inner))
        assert sign is not None and sign >= 0.92 * min(there, blur)


@pytest.mark.parametrize("blur", [0.7, 1.0, 1.5, 2.0])
def test_the_blur_of_edges_is_measured(blur: float) -> None:
    assert edge_blur(grey(photograph(blur=blur, noise=0.0))) == pytest.approx(blur, abs=0.25)


def test_a_flat_picture_has_no_edges_to_measure() -> None:
    assert edge_blur(np.full((64, 64), 90, np.float32)) is None


@pytest.mark.parametrize("noise", [0.0, 1.5, 4.0])
def test_grain_is_measured_beside_edges(noise: float) -> None:
    assert grain(grey(photograph(noise=noise))) == pytest.approx(noise, abs=0.3 * noise + 0.3)


def test_both_versions_of_a_sign_have_the_same_grain() -> None:
    """Away from the letter that changed, every pixel is the same."""
    edit = plant("character", 1.0, 2, photograph(noise=4))
    assert edit is not None and edit.box is not None
    near = edit.box.grown(8, 320, 256)
    rows = np.arange(edit.region.y, edit.region.bottom)[:, None]
    columns = np.arange(edit.region.x, edit.region.right)[None]
    inside = (rows >= near.y) & (rows < near.bottom) & (columns >= near.x) & (columns < near.right)
    assert np.array_equal(edit.before[~inside], edit.after[~inside]) and (~inside).any()


def test_a_known_word_lies_in_its_box_and_is_as_high_as_asked() -> None:
    """Oracle: the height of the letters is that of the quad's sides."""
    pixels = photograph()
    for seed in range(6):
        written = put_word(pixels, "EXIT", 20, np.random.default_rng(seed), free=anywhere(pixels))
        assert written is not None and written.text == "EXIT"
        assert written.after.shape == (written.region.h, written.region.w, 3)
        assert written.region.union_box(written.word) == written.region
        (left, top), _, _, (x, y) = written.quad
        assert np.hypot(x - left, y - top) == pytest.approx(20, rel=0.15)
        assert all(written.word.x - 1 <= px <= written.word.right + 1 for px, _ in written.quad)
        outside = pixels[written.region.y : written.region.bottom, written.region.x : written.region.right]
        assert not np.array_equal(outside, written.after)


@pytest.mark.parametrize("text", ["", "  ", "x" * 41, "\U000f1b00"])
def test_a_word_that_cannot_be_written_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        put_word(photograph(), text, 16, np.random.default_rng(0), free=lambda box: True)


def test_weak_changes_take_smaller_letters_and_more_alike_ones() -> None:
    rng = np.random.default_rng(0)
    weak, plain = ([letter_height_for(strength, rng) for _ in range(200)] for strength in (0.25, 1.0))
    assert min(weak) >= 10 and max(weak) <= 20 <= min(plain) and max(plain) <= 60
    board = make_board(STYLES[0], faces()[1], ["8"], 20, rng)
    likes = {replacement(board, 0, 0.25, rng) for _ in range(30)}
    others = {replacement(board, 0, 1.0, rng) for _ in range(30)}
    assert likes <= set("0369") and not likes & others
    assert all(other is not None and other.isdigit() for other in likes | others)


def test_punctuation_is_not_replaced() -> None:
    board = make_board(STYLES[0], faces()[0], ["-"], 20, np.random.default_rng(0))
    assert replacement(board, 0, 1.0, np.random.default_rng(0)) is None


def test_look_alikes_are_nearer_than_other_letters() -> None:
    face = faces()[1]
    for one, alike, other in (("8", "6", "1"), ("B", "R", "T"), ("E", "F", "O"), ("M", "N", "J")):
        assert 0 == unlikeness(face, one, one) < unlikeness(face, one, alike) < unlikeness(face, one, other) <= 1


def test_seven_segments_show_eight_as_the_sum_of_all_digits() -> None:
    digits = np.stack([SEGMENTS.glyph(digit, 60).mask for digit in "012345679"])
    assert np.array_equal(digits.max(0), SEGMENTS.glyph("8", 60).mask)
    assert SEGMENTS.has("12:45.7-") and not SEGMENTS.has("A")


def test_every_word_can_be_written_in_every_face_of_the_bundle_but_aileron() -> None:
    letters = "".join(sorted(set("".join(WORDS))))
    assert [face.name for face in faces() if not face.has(letters)] in ([], ["Aileron"])
    assert len(WORDS) >= 150


def test_missing_fonts_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(fonts, "find_spec", nothing)
    faces.cache_clear()
    try:
        with pytest.raises(MissingExtra, match=r"miscomp\[plant\]"):
            faces()
    finally:
        faces.cache_clear()


def test_fonts_of_a_folder_are_used_and_bad_ones_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no fonts"):
        fonts_in(tmp_path)
    with pytest.raises(UsageError, match="is no folder"):
        fonts_in(tmp_path / "absent")
    original = Path(faces()[0].path)
    (tmp_path / "mine.ttf").write_bytes(original.read_bytes())
    (mine,) = fonts_in(tmp_path)
    assert mine.name == "mine" and np.array_equal(mine.glyph("R", 40).mask, faces()[0].glyph("R", 40).mask)
    pixels = photograph()
    assert put_word(pixels, "ROSE", 16, np.random.default_rng(1), free=anywhere(pixels), own_faces=[mine]) is not None
    for name, content in (("bad.ttf", b"no font"), ("cut.otf", original.read_bytes()[:2000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            fonts_in(tmp_path)
        (tmp_path / name).unlink()


def test_a_capital_is_as_high_as_asked_in_every_face() -> None:
    heights = [face.glyph("H", 48).mask.shape[0] for face in faces()]
    assert [*heights, SEGMENTS.glyph("8", 48).mask.shape[0]] == pytest.approx([48] * (len(heights) + 1), abs=3)
