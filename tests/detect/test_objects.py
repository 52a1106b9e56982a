"""Proposals for planted things; the oracle is where they were planted."""

from __future__ import annotations

import numpy as np
import pytest
from planted import RED, WHITE, around, jpeg, lawn, with_disc

from miscomp.detect.base import PairInHand, Proposal
from miscomp.detect.cells import as_map, measure
from miscomp.detect.change import change_maps
from miscomp.detect.objects import WINDOWS, ObjectSource, distinctness
from miscomp.images import Pixels
from miscomp.records import is_hit

CENTERS = ((100, 90), (47, 151), (153, 44))


def proposals(original: Pixels, reconstruction: Pixels, limit: int = 20) -> list[Proposal]:
    cells = measure(original, reconstruction)
    pair = PairInHand(original=original, reconstruction=reconstruction, cells=cells, change=change_maps(cells))
    return ObjectSource(limit)(pair)


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize("diameter", [14, 20, 28, 40])
@pytest.mark.parametrize("center", CENTERS)
def test_a_disc_that_was_lost_is_proposed_first_with_a_tight_box(
    center: tuple[int, int], diameter: int, quality: int | None
) -> None:
    bare = lawn(seed=sum(center))
    after = jpeg(bare, quality) if quality else bare
    best = proposals(with_disc(bare, center, diameter), after)[0]
    assert best.box.iou(around(center, diameter)) >= 0.7
    assert best.words.endswith("only in the original") and best.source == "object"


@pytest.mark.parametrize("center", CENTERS)
def test_a_disc_of_ten_pixels_is_proposed_with_a_box_around_it(center: tuple[int, int]) -> None:
    bare = lawn(seed=sum(center))
    box = proposals(with_disc(bare, center, 10), jpeg(bare, 85))[0].box
    assert box.iou(around(center, 10)) >= 0.5


def test_one_thing_is_one_proposal_and_two_are_two() -> None:
    bare = lawn()
    assert len(proposals(with_disc(bare, (100, 90), 24), bare)) == 1
    both = proposals(with_disc(with_disc(bare, (45, 50), 24), (150, 140), 24, WHITE), bare)
    assert len(both) == 2
    assert all(any(is_hit(p.box, around(c, 24)) for p in both) for c in ((45, 50), (150, 140)))


def test_what_appeared_is_said_to_be_only_in_the_reconstruction() -> None:
    bare = lawn()
    (found,) = proposals(bare, with_disc(bare, (100, 90), 24))
    assert found.words.endswith("only in the reconstruction")


def test_equal_pictures_have_no_proposals() -> None:
    full = with_disc(lawn(), (100, 90), 24)
    assert proposals(full, full.copy()) == []


def test_proposals_are_limited_strongest_first_and_hardly_overlap_at_their_seeds() -> None:
    a = lawn(contrast=25)
    b = jpeg(a, 5)
    every = proposals(a, b, limit=1000)
    assert len(every) > 10
    assert [p.strength for p in every] == sorted((p.strength for p in every), reverse=True)
    assert [p.box for p in proposals(a, b, limit=7)] == [p.box for p in every[:7]]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (7, 9), (2, 600), (600, 2), (33, 41)])
def test_boxes_lie_inside_pictures_of_every_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    for proposal in proposals(a, b):
        proposal.box.check_inside(size[1], size[0])
        assert 0 <= proposal.relevant <= 1 and np.isfinite(proposal.strength)


@pytest.mark.parametrize("side", WINDOWS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (40, 40)])
def test_nothing_is_distinct_in_a_flat_picture(shape: tuple[int, int], side: int) -> None:
    flat = distinctness(np.full((*shape, 3), 0.5, np.float32), np.zeros(shape, np.float32), side)
    assert flat.relevant.max() == pytest.approx(0, abs=1e-6)


def test_a_spot_is_distinct_a_border_between_two_areas_is_not() -> None:
    edges = np.zeros((60, 60), np.float32)
    spot, border = np.full((60, 60, 3), 0.5, np.float32), np.full((60, 60, 3), 0.5, np.float32)
    spot[28:33, 28:33, 0] = 0.9
    border[30:, :, 0] = 0.9
    assert distinctness(spot, edges, 5).relevant[30, 30] > 0.9
    assert distinctness(border, edges, 5).relevant.max() < 0.1


def test_one_spot_among_many_is_less_distinct_than_one_alone() -> None:
    """Oracle: by the definition, the spread around a place divides its difference."""
    edges = np.zeros((90, 90), np.float32)
    alone, many = np.full((90, 90, 3), 0.5, np.float32), np.full((90, 90, 3), 0.5, np.float32)
    alone[43:48, 43:48, 0] = 0.9
    for row in range(3, 90, 10):
        for column in range(3, 90, 10):
            many[row : row + 5, column : column + 5, 0] = 0.9
    assert distinctness(many, edges, 5).colour[45, 45] < 0.5 * distinctness(alone, edges, 5).colour[45, 45]


def test_distinctness_turns_with_the_picture() -> None:
    lab = as_map(np.random.default_rng(1).random((40, 50, 3)))
    edges = as_map(np.random.default_rng(2).random((40, 50)))
    there = distinctness(lab, edges, 7)
    mirrored = distinctness(np.ascontiguousarray(lab[:, ::-1]), np.ascontiguousarray(edges[:, ::-1]), 7)
    assert mirrored.colour[:, ::-1] == pytest.approx(there.colour, abs=1e-4)
    assert mirrored.edges[:, ::-1] == pytest.approx(there.edges, abs=1e-4)


def test_the_box_of_a_thing_at_the_border_stays_inside() -> None:
    bare = lawn()
    best = proposals(with_disc(bare, (196, 4), 24, RED), bare)[0]
    best.box.check_inside(200, 200)
    assert best.box.right == 200 and best.box.y == 0
