"""Whether a change is worse than elsewhere in its picture; the oracle is where it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from planted import around, jpeg, lawn, with_disc

from miscomp.detect.cells import measure
from miscomp.detect.change import change_maps
from miscomp.detect.expectation import SURPRISING, Comparison, Expectation
from miscomp.images import Pixels
from miscomp.records import Box

CENTER = (100, 90)


def compare(original: Pixels, reconstruction: Pixels, box: Box) -> Comparison:
    cells = measure(original, reconstruction)
    return Expectation(cells, change_maps(cells)).compare(box)


@pytest.mark.parametrize("quality", [10, 30, 60])
def test_uniform_degradation_is_expected_everywhere(quality: int) -> None:
    a = lawn()
    b = jpeg(a, quality)
    boxes = [around((x, y), 28) for x in range(20, 190, 30) for y in range(20, 190, 30)]
    found = [compare(a, b, box).expected for box in boxes]
    assert np.mean(found) > 0.75
    assert np.median(found) > 0.85


@pytest.mark.parametrize("quality", [80, 95])
def test_a_thing_lost_in_a_good_picture_is_not_expected(quality: int) -> None:
    bare = lawn()
    comparison = compare(with_disc(bare, CENTER, 24), jpeg(bare, quality), around(CENTER, 24))
    assert comparison.expected < 0.05
    assert comparison.z > SURPRISING and comparison.here > 2 * comparison.elsewhere


def test_the_same_loss_is_more_expected_the_worse_the_picture() -> None:
    bare = lawn()
    z = [compare(with_disc(bare, CENTER, 24), jpeg(bare, q), around(CENTER, 24)).z for q in (95, 60, 20, 5)]
    assert z == sorted(z, reverse=True)


def test_too_small_a_picture_leaves_the_question_open() -> None:
    a = lawn(40, 40)
    comparison = compare(a, jpeg(a, 20), Box(10, 10, 16, 16))
    assert (comparison.expected, comparison.z) == (0.5, 0.0)
    assert comparison.here == comparison.elsewhere and comparison.windows < 30


def test_a_box_over_the_whole_picture_has_nothing_to_be_compared_with() -> None:
    a = lawn()
    assert compare(a, jpeg(a, 20), Box(0, 0, 200, 200)).windows == 0


def test_equal_and_flat_pictures_are_as_expected() -> None:
    flat = np.full((200, 200, 3), 90, np.uint8)
    for a, b in ((flat, flat), (flat, flat + np.uint8(40))):
        comparison = compare(a, b, around(CENTER, 28))
        assert comparison.z == pytest.approx(0, abs=1e-3) and comparison.expected > 0.9


def test_what_is_compared_has_the_same_texture() -> None:
    """A smooth sky stays perfect and a lawn is damaged: as bad in the sky would be a surprise."""
    a = lawn()
    a[:100] = (120, 150, 200)
    b = a.copy()
    b[100:] = jpeg(np.ascontiguousarray(a[100:]), 10)
    assert compare(a, b, around((100, 150), 28)).expected > 0.5
    b[30:58, 86:114] = b[130:158, 86:114]
    assert compare(a, b, around((100, 44), 28)).expected < 0.1
