"""Whose boxes count, and what is left aside."""

from __future__ import annotations

import pytest
from handmade import box, image, material, view
from planned import sha1_of

from miscomp.errors import UnknownName, UsageError
from miscomp.stats.counted import count, groups, model_order

PLACE = (0, 0, 10, 10)


def test_a_reconstruction_that_several_saw_counts_as_one_of_them_saw_it() -> None:
    """Bob never draws: about half of what both saw must count as not annotated."""
    images = [image(number, "01L") for number in range(200)]
    boxes = [box(number, "01L", PLACE) for number in range(200)]
    views = [view(number, "01L", who) for number in range(200) for who in ("ann", "bob")]

    found = count(material(images, boxes, views))

    assert found.several == 200
    assert found.viewed is not None and len(found.viewed) == 200
    assert 75 <= len(found.material.annotations) <= 125
    assert sum(one.annotations for one in found.material.images) == len(found.material.annotations)
    assert len(found.material.views or ()) == 200
    assert found.drawn == {"01L": 200}
    assert len(found.everyones.annotations) == 200
    assert "Seen by several labelers: 200 reconstructions; one of them" in found.note


def test_whose_boxes_count_follows_from_the_seed_and_the_reconstruction_alone() -> None:
    images = [image(number, "01L") for number in range(40)]
    boxes = [box(number, "01L", PLACE, who) for number in range(40) for who in ("ann", "bob")]
    views = [view(number, "01L", who) for number in range(40) for who in ("ann", "bob")]

    def whose(seed: int, first: int = 0) -> dict[str, str]:
        kept = count(material(images[first:], boxes[2 * first :], views[2 * first :]), seed=seed).material
        return {one.image_sha1: one.labeler for one in kept.annotations}

    assert whose(0) == whose(0)
    assert whose(0) != whose(1)
    assert whose(0, 10) == {sha1: who for sha1, who in whose(0).items() if sha1 not in map(sha1_of, range(10))}


def test_everyone_keeps_the_boxes_of_all() -> None:
    boxes = [box(0, "01L", PLACE, who) for who in ("ann", "bob")]
    views = [view(0, "01L", who) for who in ("ann", "bob")]

    found = count(material([image(0, "01L")], boxes, views), everyone=True)

    assert len(found.material.annotations) == 2
    assert "the boxes of all of them count" in found.note


def test_detectors_count_only_where_they_are_named() -> None:
    boxes = [box(0, "01L", PLACE), box(1, "01L", PLACE, "rules", origin="detector")]
    found = material([image(0, "01L"), image(1, "01L")], boxes, [view(0, "01L")])

    assert [one.labeler for one in count(found).material.annotations] == ["ann"]
    named = count(found, labelers=["rules"])
    assert [one.labeler for one in named.material.annotations] == ["rules"]
    assert "Boxes of rules." in named.note


def test_detectors_alone_are_not_taken_for_people() -> None:
    found = material([image(0, "01L")], [box(0, "01L", PLACE, "rules", origin="detector")])

    with pytest.raises(UsageError, match="only detectors have drawn here \\(rules\\); name the one to count"):
        count(found)


def test_simulated_boxes_are_told() -> None:
    boxes = [box(0, "01L", PLACE), box(0, "01L", PLACE, "bob", origin="person")]

    assert count(material([image(0, "01L")], boxes), everyone=True).note.startswith("No person drew 1 of the 2 boxes")
    assert "No person" not in count(material([image(0, "01L")], boxes), labelers=["bob"]).note


def test_names_that_are_not_there_are_an_error() -> None:
    found = material([image(0, "01L")], [box(0, "01L", PLACE)])

    with pytest.raises(UnknownName, match="labeler 'eve'"):
        count(found, labelers=["eve"])
    with pytest.raises(UnknownName, match="model '09L'"):
        count(found, models=["09L"])


@pytest.mark.parametrize("views", [None, ()])
def test_without_views_nothing_is_known_to_be_viewed(views: tuple[()] | None) -> None:
    found = count(material([image(0, "01L"), image(1, "01L")], [box(0, "01L", PLACE)], views))

    assert found.viewed is None
    assert "No views are recorded" in found.note


def test_a_box_without_a_view_counts_as_viewed_and_is_told() -> None:
    images = [image(number, "01L") for number in range(3)]
    found = count(material(images, [box(0, "01L", PLACE)], [view(1, "01L")]))

    assert found.viewed == frozenset({(sha1_of(0), "01L"), (sha1_of(1), "01L")})
    assert found.unrecorded == 1
    assert "no view recorded: 1 reconstruction." in found.note


def test_flags_of_those_who_do_not_count_are_left_aside() -> None:
    """Ann and bob saw both pictures; bob flagged both: each counts as flagged exactly where bob counts."""
    images = [image(number, "01L", multi=True) for number in range(60)]
    boxes = [box(number, "01L", PLACE, who) for number in range(60) for who in ("ann", "bob")]
    views = [view(number, "01L", who) for number in range(60) for who in ("ann", "bob")]
    flags = frozenset((sha1_of(number), "01L", "bob") for number in range(60))

    kept = count(material(images, boxes, views, flags=flags)).material
    bobs = {one.image_sha1 for one in kept.annotations if one.labeler == "bob"}

    assert 0 < len(bobs) < 60
    assert {one.image_sha1 for one in kept.images if one.multi} == bobs
    bare = count(material(images, boxes, views)).material
    assert all(one.multi for one in bare.images)


def test_models_stand_by_codec_with_the_low_rate_first_and_sums_of_all() -> None:
    names = ("02H", "01H", "02L", "01L", "x")
    found = material([image(0, name) for name in names], codecs={name: f"C{name[1]}" for name in names[:4]})

    assert model_order(found) == ["01L", "01H", "02L", "02H", "x"]
    rows = [(one.model, one.rate, len(one.models)) for one in groups(found)]
    assert rows[5:] == [("all", "low", 2), ("all", "high", 2), ("all", "all", 5)]
    assert len(groups(material([image(0, "x")]))) == 1
