"""Plates: rendered ones whose letters are known, and the photographs outside the project."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from miscomp.errors import InputError, UsageError
from miscomp.images import Pixels, read
from miscomp.plant.boards import Board, make_board
from miscomp.plant.fonts import faces
from miscomp.plant.plates import characters, read_plates, swap_on_plate
from miscomp.plant.styles import STYLES
from miscomp.records import Box

pytest.importorskip("matplotlib", reason="the extra 'plant' is not installed")

AROUND = 12


def rendered(text: str, *, seed: int = 0, invert: bool = False) -> tuple[Board, Pixels, Box]:
    """A plate with letters 24 pixels high, lit from the side, in a grey picture with grain; and its box."""
    rng = np.random.default_rng(seed)
    (plate,) = (style for style in STYLES if style.name == "plate")
    face = next(face for face in faces() if face.name == "DejaVuSans-Bold")
    board = make_board(plate, face, [text], 24, rng)
    flat = np.where(board.draw().rgb.mean(2, keepdims=True) < 128, 40, 210).astype(np.uint8)
    flat = 250 - flat if invert != bool(flat[10, flat.shape[1] // 2, 0] < 128) else flat
    h, w = (side // board.scale for side in flat.shape[:2])
    small = cv2.GaussianBlur(cv2.resize(flat, (w, h), interpolation=cv2.INTER_AREA), (0, 0), 0.7)
    light = np.linspace(0.8, 1, w)[None, :]
    picture = np.full((h + 2 * AROUND, w + 2 * AROUND), 120.0)
    picture[AROUND:-AROUND, AROUND:-AROUND] = np.asarray(small) * light
    pixels = (picture + rng.normal(0, 2, picture.shape))[..., None].repeat(3, 2).clip(0, 255).round().astype(np.uint8)
    return board, pixels, Box(AROUND, AROUND, w, h)


@pytest.mark.parametrize("invert", [False, True])
def test_characters_are_found_where_they_were_drawn(invert: bool) -> None:
    """Oracle: the board's own layout."""
    board, pixels, box = rendered("KD 4283 B", invert=invert)
    found = characters(pixels[box.y : box.bottom, box.x : box.right], "KD4283B")
    assert found is not None and "".join(one.letter for one in found) == "KD4283B"
    for one, slot in zip(found, board.slots, strict=True):
        glyph = board.face.glyph(slot.letter, board.cap)
        middle = (slot.x + glyph.left + glyph.mask.shape[1] / 2) / board.scale
        assert one.center[0] == pytest.approx(middle, abs=1.2)
        assert one.bottom - one.top == pytest.approx(24, abs=3)


@pytest.mark.parametrize("text", ["KD428", "KD4283BX"])
def test_a_text_of_another_length_is_not_trusted(text: str) -> None:
    _, pixels, box = rendered("KD 4283 B")
    assert characters(pixels[box.y : box.bottom, box.x : box.right], text) is None
    assert swap_on_plate(pixels, box, text, 1.0, np.random.default_rng(0)) is None


def patch(pixels: Pixels, middle: tuple[float, float], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Values about a point that lies between pixels."""
    x, y = middle
    return np.asarray(cv2.getRectSubPix(pixels[..., 0], size, (x - 0.5, y - 0.5)), np.float64).ravel()


def test_the_copy_looks_like_the_letter_that_the_note_names() -> None:
    """Oracle: the copied letter's own pixels, by correlation about both middles."""
    _, pixels, box = rendered("KD 4283 B", seed=1)
    found = characters(pixels[box.y : box.bottom, box.x : box.right], "KD4283B")
    assert found is not None
    at = {one.letter: one for one in found}
    for seed in range(6):
        edit = swap_on_plate(pixels, box, "KD4283B", (0.25, 1.0)[seed % 2], np.random.default_rng(seed))
        assert edit is not None
        old, new = edit.note[0], edit.note[len("X became ")]
        assert old != new
        changed = pixels.copy()
        r = edit.region
        assert np.array_equal(edit.before, pixels[r.y : r.bottom, r.x : r.right])
        changed[r.y : r.bottom, r.x : r.right] = edit.after

        size = (round(min(at[old].width, at[new].width)), 22)
        (x, y), source = at[old].center, at[new].center
        copied = patch(changed, (box.x + x, box.y + y), size)
        places = ((box.x + source[0], box.y + source[1]), (box.x + x, box.y + y))
        alike, before = (np.corrcoef(copied, patch(pixels, place, size))[0, 1] for place in places)
        assert alike > 0.9 and alike > before


def test_only_one_letter_of_the_plate_changes() -> None:
    _, pixels, box = rendered("KD 4283 B", seed=2)
    edit = swap_on_plate(pixels, box, "KD4283B", 1.0, np.random.default_rng(3))
    assert edit is not None and edit.box is not None
    assert edit.region.w < box.w / 5 and box.union_box(edit.region) == box


def test_a_plate_of_one_letter_only_has_nothing_to_swap() -> None:
    _, pixels, box = rendered("88 888")
    assert swap_on_plate(pixels, box, "88888", 1.0, np.random.default_rng(0)) is None


def test_a_plain_patch_has_no_characters() -> None:
    assert characters(np.full((30, 120, 3), 90, np.uint8), "AB12") is None
    assert characters(np.full((1, 1, 3), 90, np.uint8), "AB12") is None
    assert characters(np.full((2, 900, 3), 90, np.uint8), "AB12") is None


def test_a_box_outside_the_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="outside the picture of 50 x 40"):
        swap_on_plate(np.zeros((40, 50, 3), np.uint8), Box(10, 10, 60, 10), "AB12", 1.0, np.random.default_rng(0))


def test_a_folder_of_plates_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.txt").write_text("a.jpg\t3\t4\t50\t20\tAB12\n\na.jpg\t3\t40\t50\t20\t9XY\n", encoding="utf-8")
    photograph = tmp_path / "a.jpg"
    assert read_plates(tmp_path) == [(photograph, Box(3, 4, 50, 20), "AB12"), (photograph, Box(3, 40, 50, 20), "9XY")]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a.jpg\t3\t4\t50\tAB12", "line 1 is not of the form"),
        ("a.jpg\t3\t4\t50\t0\tAB12", "w, h >= 1"),
        ("a.jpg\t3\t4\tten\t20\tAB12", "invalid literal"),
        ("a.jpg\t3\t4\t50\t20\tab 12", "capitals and digits"),
        ("../a.jpg\t3\t4\t50\t20\tAB12", "no file beside it"),
        ("b.jpg\t3\t4\t50\t20\tAB12", "no file beside it"),
        ("\udcff", "UTF-8"),
        ("x" * 70000, "more than"),
    ],
)
def test_a_bad_line_names_the_file_and_the_form(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.txt").write_bytes(line.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=complaint) as raised:
        read_plates(tmp_path)
    assert "a.txt" in str(raised.value)


def test_a_folder_without_plates_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="has no plates"):
            read_plates(folder)


def test_most_photographed_plates_are_segmented(data_folder: Path) -> None:
    plates = read_plates(data_folder / "text" / "plates")
    assert len(plates) == 40
    found = 0
    for path, box, text in plates[::3]:
        edit = swap_on_plate(read(path).pixels, box, text, 1.0, np.random.default_rng(0))
        found += edit is not None
        assert edit is None or (edit.box is not None and box.union_box(edit.region) == box)
    assert found >= 9
