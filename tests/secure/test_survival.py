from __future__ import annotations

import numpy as np
import pytest

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels
from miscomp.secure.survival import State, at_border, block_states, compare, largest_region


def grey(height: int, width: int, level: int = 100) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def test_a_blocks_score_is_the_logarithm_of_its_mean_squared_error() -> None:
    """Oracle: by hand. One of 256 pixels off by 51 in one channel: (51 / 255)^2 / 768; a block off by 51: 0.04."""
    p, p2 = grey(32, 48), grey(32, 48)
    p2[3, 5, 1] += 51
    p2[16:, 16:32] += 51
    scores = compare(p, p2).block_scores()
    assert scores.shape == (2, 3)
    assert scores[0, 0] == pytest.approx(np.log10(0.04 / 768), abs=1e-5)
    assert scores[1, 1] == pytest.approx(np.log10(0.04), abs=1e-5)
    assert scores[0, 1] == pytest.approx(-7)


def test_blocks_at_the_right_and_bottom_count_the_pixels_that_there_are() -> None:
    """Oracle: an error that is equal everywhere scores equally in the cut blocks."""
    p, p2 = grey(33, 18), grey(33, 18, 151)
    scores = compare(p, p2).block_scores()
    assert scores.shape == (3, 2)
    assert np.allclose(scores, np.log10(0.04), atol=1e-5)
    assert compare(p, p2).cell_scores().shape == (9, 5)


def test_a_tall_picture_is_measured_as_one_whatever_the_strips_are() -> None:
    """Oracle: numpy over the whole picture at once."""
    rng = np.random.default_rng(0)
    p, p2 = (rng.integers(0, 256, (16 * 37, 32, 3), dtype=np.uint8) for _ in range(2))
    whole = np.square((p.astype(float) - p2) / 255).reshape(37, 16, 2, 16, 3).mean((1, 3, 4))
    assert np.allclose(compare(p, p2).block_scores(), np.log10(whole), atol=1e-5)


def test_the_score_around_a_cell_sees_sixteen_pixels() -> None:
    """Oracle: a single destroyed cell of 4 x 4 is a sixteenth of the window around it, and outside of others'."""
    p, p2 = grey(64, 64, 0), grey(64, 64, 0)
    p2[32:36, 32:36] = 255
    scores = compare(p, p2).cell_scores()
    assert scores[8, 8] == pytest.approx(np.log10(1 / 16), abs=1e-5)
    assert scores[8, 13] == pytest.approx(-7)


def test_the_scores_around_cells_lean_to_no_side() -> None:
    """Oracle: a destroyed cell in the middle of a square picture; the map is its own mirror image, either way."""
    p, p2 = grey(60, 60, 0), grey(60, 60, 0)
    p2[28:32, 28:32] = 255
    scores = compare(p, p2).cell_scores()
    assert np.allclose(scores, scores[::-1]) and np.allclose(scores, scores[:, ::-1])
    assert (scores > -6).sum() == 25


def test_states_follow_from_the_two_thresholds() -> None:
    scores = np.array([[-3.0, -1.5, -0.5]], np.float32)
    states = block_states(scores, np.zeros((1, 3), np.bool_), survives_below=-2, destroyed_above=-1)
    assert states.tolist() == [[State.SURVIVES, State.UNCERTAIN, State.DESTROYED]]


def test_only_a_uniform_border_that_is_not_destroyed_is_left_out() -> None:
    uniform = np.ones((5, 5), np.bool_)
    uniform[1:4, 1:4] = False
    uniform[2, 2] = True  # a bar of one colour inside
    scores = np.full((5, 5), -3, np.float32)
    scores[0, 4] = -0.5
    states = block_states(scores, uniform, survives_below=-2, destroyed_above=-1)
    assert states[2, 2] == State.SURVIVES
    assert states[0, 4] == State.DESTROYED
    assert (states == State.LEFT_OUT).sum() == 15


def test_a_block_within_three_levels_is_uniform_and_one_of_four_is_not() -> None:
    p = grey(16, 32)
    p[4, 4] += 2
    p[4, 20, 2] += 3
    assert compare(p, p).uniform.tolist() == [[True, False]]


def test_regions_are_connected_over_corners_and_the_border_over_sides() -> None:
    flags = np.eye(4, dtype=np.bool_)
    assert largest_region(flags) == 4
    assert at_border(flags).sum() == 2
    assert largest_region(np.zeros((3, 3), np.bool_)) == 0


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(SizeMismatch, match="nothing is resized"):
        compare(grey(16, 16), grey(16, 32))
