"""Where crops are cut. Oracles: every position tried by brute force, areas worked out by hand, sets of pixels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.corpus.samples.draw import Kind, Label, Pair, Place, Request, Room, counted, draw, surroundings
from miscomp.records import Box

BOX = Box(30, 20, 12, 8)


def label(box: Box, **values: object) -> Label:
    return Label(**{"box": box, "id": str(box), "labeler": "ann", **values})  # type: ignore[arg-type]


def pair(name: int, *boxes: Box | Label, width: int = 80, height: int = 60) -> Pair:
    sha1 = f"{name:040x}"
    image: dict[str, object] = dict.fromkeys(("sha256", "pixel_sha256", "name", "origin_sha256", "licence"), "")
    size = {"width": width, "height": height}
    image |= {"image_sha1": sha1, "size_bytes": 1, "origin_width": 1, "origin_height": 1, "source": "s", "split": "t"}
    row: dict[str, object] = dict.fromkeys(("stream_file", "stream_sha256", "file", "sha256", "pixel_sha256"), "")
    row |= dict.fromkeys(("quality", "bpp", "psnr", "ssim", "ms_ssim", "encode_s", "decode_s"))
    row |= {"image_sha1": sha1, "model": "01L", "stream_bytes": 0}
    row |= {"version": "", "weights_sha256": "", "environment": ""}
    return Pair(
        row=Reconstruction(**row, **size),  # type: ignore[arg-type]
        image=SourceImage(**image, **size),  # type: ignore[arg-type]
        codec="C1",
        labels=tuple(one if isinstance(one, Label) else label(one) for one in boxes),
        multi=False,
        labelers=1,
    )


def request(kind: Kind, **values: object) -> Request:
    return Request(**{"kind": kind, "width": 16, "height": 12, "count": 0, "seed": 1, **values})  # type: ignore[arg-type]


def holds(area: Box, box: Box) -> bool:
    return area.x <= box.x and area.y <= box.y and area.right >= box.right and area.bottom >= box.bottom


def test_an_annotated_crop_holds_a_whole_box_and_every_possible_place_is_drawn() -> None:
    one = pair(1, BOX)
    places = {draw([one], request(Kind.ANNOTATED, seed=seed))[0].area for seed in range(600)}
    possible = {Box(x, y, 16, 12) for x in range(65) for y in range(49) if holds(Box(x, y, 16, 12), BOX)}
    assert places == possible and len(possible) == 25


@pytest.mark.parametrize(
    "box", [Box(0, 0, 5, 5), Box(75, 55, 5, 5), Box(10, 10, 40, 30), Box(0, 0, 80, 60), Box(3, 50, 60, 10)]
)
def test_at_borders_a_crop_stays_inside_and_of_a_large_box_it_holds_the_centre(box: Box) -> None:
    for seed in range(40):
        area = draw([pair(1, box)], request(Kind.ANNOTATED, seed=seed))[0].area
        area.check_inside(80, 60)
        assert area.contains(*box.center)
        assert holds(area, box) or box.w > 16 or box.h > 12


def test_free_crops_touch_no_box_and_not_each_other_and_go_on_until_there_is_no_place() -> None:
    one = pair(1, BOX, Box(0, 50, 80, 10), label(Box(60, 0, 4, 4), labeler="bob"))
    areas = [place.area for place in draw([one], request(Kind.FREE))]
    blocked = [each.box for each in one.labels]
    for number, area in enumerate(areas):
        assert not any(area.intersection(other) for other in (*blocked, *areas[:number]))
    left = [Box(x, y, 16, 12) for x in range(65) for y in range(49)]
    assert not [free for free in left if not any(free.intersection(other) for other in (*blocked, *areas))]


def test_each_free_place_can_be_drawn_and_no_other() -> None:
    one = pair(1, width=20, height=14)
    room = Room(one, 8, 6)
    room.block([Box(9, 3, 3, 4), Box(0, 13, 1, 1)])
    every = [Box(x, y, 8, 6) for y in range(9) for x in range(13)]
    free = [box for box in every if not box.intersection(Box(9, 3, 3, 4)) and not box.intersection(Box(0, 13, 1, 1))]
    sizes: list[int] = []

    def nth(number: int, n: int) -> int:
        sizes.append(n)
        return number

    drawn = [room.draw(lambda n, number=number: nth(number, n)) for number in range(len(free))]  # type: ignore[misc]
    assert drawn == free and set(sizes) == {len(free)}
    room.block([Box(0, 0, 20, 14)])
    assert room.draw(lambda n: 0) is None


def test_pairs_take_turns_and_a_smaller_count_is_the_beginning_of_a_larger() -> None:
    pairs = [pair(number, BOX, Box(5, 40, 6, 6)) for number in range(5)]
    every = draw(pairs, request(Kind.ANNOTATED))
    assert len(every) == 10
    assert {one.pair.key for one in every[:5]} == {one.key for one in pairs}
    assert [one.pair.key for one in every[:5]] == [one.pair.key for one in every[5:]]
    assert draw(pairs[::-1], request(Kind.ANNOTATED, count=7)) == every[:7]
    assert draw(pairs, request(Kind.ANNOTATED, seed=2)) != every


def test_another_picture_changes_no_other_crop() -> None:
    pairs = [pair(number, BOX) for number in range(6)]
    before = draw(pairs[:5], request(Kind.FREE, count=5))
    after = draw(pairs, request(Kind.FREE, count=6))
    assert [one for one in after if one.pair.key != pairs[5].key] == before


def test_a_box_that_an_earlier_crop_holds_gets_none_of_its_own() -> None:
    inner = Box(BOX.x + 1, BOX.y + 1, 2, 2)
    places = draw([pair(1, BOX, inner)], request(Kind.ANNOTATED))
    whole = [holds(places[0].area, box) for box in (BOX, inner)]
    assert len(places) == 2 - all(whole)
    assert [len(draw([pair(1, BOX, BOX)], request(kind))) for kind in (Kind.ANNOTATED, Kind.CONTEXT)] == [1, 1]


def test_context_is_the_box_grown_about_its_centre_and_shifted_into_the_picture() -> None:
    assert surroundings(Box(30, 20, 10, 10), 2, 80, 60) == Box(25, 15, 20, 20)
    assert surroundings(Box(0, 50, 10, 10), 2, 80, 60) == Box(0, 40, 20, 20)
    assert surroundings(Box(30, 20, 10, 40), 2, 80, 60) == Box(25, 0, 20, 60)
    assert surroundings(Box(30, 20, 10, 10), 1.1, 80, 60) == Box(30, 20, 11, 11)
    (place,) = draw([pair(1, BOX)], request(Kind.CONTEXT, context=1.5))
    assert place == Place(kind=Kind.CONTEXT, pair=place.pair, area=Box(27, 18, 18, 12), label=label(BOX))


def test_boxes_are_chosen_by_labeler_category_and_symbol() -> None:
    boxes = [
        label(BOX, categories=frozenset({"SHAPE"})),
        label(Box(1, 1, 2, 2), labeler="bob", symbol=True),
        label(Box(70, 50, 20, 2)),  # leads out of the picture
    ]
    one = pair(1, *boxes)

    def drawn(**values: object) -> set[Label | None]:
        return {place.label for place in draw([one], request(Kind.ANNOTATED, **values))}

    assert drawn() == {boxes[0], boxes[1]}
    assert drawn(category="SHAPE") == {boxes[0]} and drawn(category="GEOMETRY") == set()
    assert drawn(labeler="bob") == {boxes[1]} == drawn(symbol=True)


def test_a_picture_smaller_than_the_crop_gives_none() -> None:
    small = pair(1, BOX, width=50, height=40)
    for kind in (Kind.ANNOTATED, Kind.FREE, Kind.RANDOM):
        assert draw([small], request(kind, width=51)) == []
    assert len(draw([replace(small, labels=())], request(Kind.FREE, width=50, height=40))) == 1


def test_boxes_are_counted_whole_by_centre_and_by_overlap() -> None:
    area = Box(10, 10, 10, 10)
    boxes = [Box(10, 10, 10, 10), Box(16, 10, 8, 4), Box(17, 10, 8, 4), Box(20, 10, 4, 4), Box(0, 0, 40, 40)]
    assert [counted([label(box)], area) for box in boxes] == [(1, 1, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0), (0, 0, 1)]
    assert counted([label(Box(15, 15, 9, 9))], area) == (0, 1, 1)
