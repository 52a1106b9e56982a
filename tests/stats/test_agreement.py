"""Agreement of labelers. Oracles: the published example and Table 4, coefficients by hand, and simulated labelers whose
alpha follows from how often they err."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from labelled import simulated, theoretical_alpha
from planned import sha1_of

from miscomp.errors import UnknownName, UsageError
from miscomp.records import Annotation, Box, ImageRow, View, display_id
from miscomp.stats.agreement import Agreement, agree, participants
from miscomp.stats.agreement_text import KINDS, agreement_record, agreement_text
from miscomp.stats.boxmatch import box_agreement
from miscomp.stats.material import Material

PEOPLE = ("ann", "bob", "cem")
SIDE = 1024


def rated(units: Sequence[str], per_side: int, labelers: Sequence[str] = PEOPLE) -> Material:
    """Images whose tiles, one after the other, were annotated as said: `110` by the first two of three; `-` not seen.

    Each rating is a box in the middle of its tile.
    """
    tiles = per_side**2
    size = SIDE // per_side
    boxes, views = [], set()
    for unit, ratings in enumerate(units):
        sha1, tile = sha1_of(unit // tiles), unit % tiles
        box = Box(tile % per_side * size + 2, tile // per_side * size + 2, size - 4, size - 4)
        for who, rating in zip(labelers, ratings, strict=True):
            if rating != "-":
                views.add((sha1, who))
            if rating == "1":
                boxes.append(annotation(sha1, box, who))
    sha1s = [sha1_of(number) for number in range(-(-len(units) // tiles))]
    return Material(
        images=tuple(image(sha1) for sha1 in sha1s),
        annotations=tuple(boxes),
        views=tuple(view(sha1, who) for sha1, who in sorted(views)),
    )


def annotation(sha1: str, box: Box, labeler: str, *, model: str = "01L", origin: str = "person") -> Annotation:
    name = display_id(sha1, model, box)
    return Annotation(
        id=name,
        filename="a.png",
        image_sha1=sha1,
        model=model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler=labeler,
        origin=origin,
    )


def image(sha1: str, model: str = "01L") -> ImageRow:
    return ImageRow(filename="a.png", image_sha1=sha1, model=model, width=SIDE, height=SIDE)


def view(sha1: str, labeler: str, model: str = "01L") -> View:
    return View(filename="a.png", image_sha1=sha1, model=model, labeler=labeler)


def quick(material: Material, *per_side: int, **settings: object) -> Agreement:
    return agree(material, per_side, **{"resamples": 200, **settings})  # type: ignore[arg-type]


def values(found: Agreement) -> list[float | None]:
    return [getattr(found.rows[0].cells, kind).value for kind in KINDS]


def test_the_published_example_comes_out() -> None:
    # Appendix 2.4.1: top left and bottom right nobody, top right all, bottom left two of three.
    found = quick(rated(["000", "111", "110", "000"], 2), 2)
    assert values(found) == [0.5, 0.25, 0.25, 0.0, 0.75]
    assert found.rows[0].alpha.value == pytest.approx(24 / 35)  # 0.686
    assert found.rows[0].alpha.interval is None
    assert "All reconstructions are of one photograph: there is nothing to draw intervals from." in found.notes


TABLE_4 = {
    1: ((34.00, 20.87, 47.13), (24.00, 12.16, 35.84), (24.00, 12.16, 35.84), (18.00, 7.35, 28.65)),
    2: ((59.50, 52.70, 66.30), (11.00, 6.66, 15.34), (14.50, 9.62, 19.38), (15.00, 10.05, 19.95)),
    4: ((80.38, 77.62, 83.13), (2.88, 1.72, 4.03), (7.62, 5.79, 9.46), (9.12, 7.13, 11.12)),
    8: ((92.16, 91.22, 93.09), (0.75, 0.45, 1.05), (2.56, 2.02, 3.11), (4.53, 3.81, 5.25)),
    16: ((96.61, 96.30, 96.92), (0.19, 0.11, 0.26), (0.85, 0.69, 1.01), (2.35, 2.09, 2.61)),
}
C_TOTAL = {
    1: (58.00, 44.32, 71.68),
    2: (70.50, 64.18, 76.82),
    4: (83.25, 80.66, 85.84),
    8: (92.91, 92.02, 93.80),
    16: (96.80, 96.49, 97.10),
}
ALPHA = {1: 0.43, 2: 0.48, 4: 0.43, 8: 0.38, 16: 0.29}


@pytest.mark.parametrize("per_side", TABLE_4)
def test_table_4_comes_out_of_50_images_with_its_shares(per_side: int) -> None:
    n = 50 * per_side**2
    counts = [round(share / 100 * n) for share, _, _ in TABLE_4[per_side]]
    assert sum(counts) == n
    units = [kind for kind, count in zip(("000", "111", "101", "010"), counts, strict=True) for kind in [kind] * count]
    (row,) = agreement_record(quick(rated(units, per_side), per_side))["rows"]
    assert (row["per_side"], row["tiles"], row["n"], row["rule"]) == (per_side, per_side**2, n, "majority")
    assert row["unassigned_boxes"] == 0
    for kind, published in zip(KINDS, (*TABLE_4[per_side], C_TOTAL[per_side]), strict=True):
        ends = [100 * row[kind][end] for end in ("value", "low", "high")]
        assert ends == pytest.approx(published, abs=0.0051), kind
    # What is printed lies up to 0.011 below what the printed shares give: 0.440, 0.485, 0.430, 0.380, 0.295.
    assert ALPHA[per_side] == pytest.approx(row["alpha"]["value"], abs=0.011)


def test_missing_views_and_ties_by_hand() -> None:
    # Unlike coincidences 1 + 1; 3 yes and 5 no of 8 ratings: alpha = 1 - 7 * 2 / 15.
    found = quick(rated(["110", "10-", "000", "1--"], 1), 1)
    assert values(found) == [1 / 3, 0, 1 / 3, 1 / 3, 1 / 3]
    assert found.rows[0].alpha.value == pytest.approx(1 / 15)
    assert (found.images, found.seen_by_one, found.boxes, found.rows[0].n) == (3, 1, 3, 3)
    assert [(one.name, one.images, one.boxes) for one in found.labelers] == [
        ("ann", 3, 2),
        ("bob", 3, 1),
        ("cem", 2, 0),
    ]
    assert found.rows[0].fleiss.value is None
    text = "\n".join(found.notes)
    assert "Left out: 1 reconstructions seen by one of the labelers (1 boxes), 0 seen by none." in text
    assert "seen by different numbers of labelers (2, 3): Fleiss' kappa is undefined" in text
    assert "count under p-neg: 1 at 1 per side." in text


def test_kappas_of_two_by_hand() -> None:
    # ann and bob: 20 both, 5 ann, 10 bob, 15 neither of 50; Cohen's kappa = (0.7 - 0.5) / 0.5.
    units = ["11"] * 20 + ["10"] * 5 + ["01"] * 10 + ["00"] * 15
    row = quick(rated(units, 1, ("ann", "bob")), 1).rows[0]
    (pair,) = row.cohen
    assert (pair.first, pair.second, pair.units) == ("ann", "bob", 50)
    assert pair.kappa.value == pytest.approx(0.4)
    # Fleiss: 55 yes of 100, chance 0.55^2 + 0.45^2 = 0.505; AC1: chance 2 * 0.55 * 0.45 = 0.495.
    assert row.fleiss.value == pytest.approx((0.7 - 0.505) / 0.495)
    assert row.ac1.value == pytest.approx((0.7 - 0.495) / 0.505)
    assert row.alpha.value == pytest.approx(1 - 99 * 15 / (55 * 45))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_alpha_of_simulated_labelers_lies_in_the_interval(method: str) -> None:
    expected = theoretical_alpha(0.2, 0.1)
    inside = 0
    for seed in range(40):
        row = quick(simulated(40, seed=seed, models=("01L",)), 4, seed=seed, method=method).rows[0]
        assert row.alpha.interval is not None
        low, high = row.alpha.interval
        inside += (low or 0) <= expected <= (high or 1)
    assert inside >= 34, "of 95 % intervals, 33 or fewer of 40 hold the value with a chance of 0.3 %"


def test_labelers_who_guess_have_an_alpha_of_about_0() -> None:
    row = quick(simulated(40, error=0.5), 4).rows[0]
    assert row.alpha.value == pytest.approx(theoretical_alpha(0.2, 0.5), abs=0.05) == 0


def test_coarser_tiles_and_the_other_rule_are_rows_of_their_own() -> None:
    made = simulated(10, per_side=4)
    found = quick(made, 8, 1, 4, 4)
    assert [(row.per_side, row.tiles, row.n) for row in found.rows] == [(1, 1, 20), (4, 16, 320), (8, 64, 1280)]
    assert found.rows[2].unassigned_boxes > 0 == found.rows[1].unassigned_boxes
    assert any("The rule `largest` counts every box" in note for note in found.notes)
    largest = quick(made, 8, rule="largest")
    assert (largest.rows[0].unassigned_boxes, largest.rows[0].rule) == (0, "largest")
    assert values(largest) != values(quick(made, 8))


def test_a_detector_is_a_labeler_and_is_named_as_one() -> None:
    made = simulated(10, labelers=("net", "ann", "bob"), detectors=("net",))
    found = quick(made, 4)
    assert [(one.name, one.detector) for one in found.labelers] == [("ann", False), ("bob", False), ("net", True)]
    assert "Detectors count as labelers here: net." in found.notes[0]
    assert "net (detector): saw 20" in agreement_text(found)
    people = quick(participants(made, ["ann", "bob"]), 4)
    assert [one.name for one in people.labelers] == ["ann", "bob"]
    assert not [note for note in people.notes if "Detectors" in note]


def test_the_same_seed_gives_the_same_record_and_intervals_draw_photographs() -> None:
    made = simulated(30)
    first, again, other = (agreement_record(quick(made, 2, 4, seed=seed)) for seed in (1, 1, 2))
    assert json.dumps(first) == json.dumps(again) != json.dumps(other)
    assert (first["images"], first["photographs"]) == (60, 30)
    # Two reconstructions that were labelled alike are no more evidence than one.
    one = simulated(30, models=("01L",))
    twice = replace(
        one,
        images=one.images + tuple(replace(row, model="01H") for row in one.images),
        annotations=one.annotations + tuple(replace(box, model="01H") for box in one.annotations),
        views=(one.views or ()) + tuple(replace(seen, model="01H") for seen in one.views or ()),
    )
    assert {pair["photographs"] for pair in first["rows"][0]["cohen"]} == {30}
    # Krippendorff's correction for the number of ratings, (n - 1) of n, is all that differs.
    single, double = quick(one, 4).rows[0].alpha, quick(twice, 4).rows[0].alpha
    assert single.interval is not None and double.interval is not None
    assert double.value == pytest.approx(single.value, abs=1e-3)
    assert double.interval == pytest.approx(single.interval, abs=1e-3)


def test_one_answer_alone_leaves_alpha_undefined_and_says_so() -> None:
    found = quick(rated(["000"] * 5, 1), 1)
    row = found.rows[0]
    assert (row.alpha.value, row.fleiss.value, [one.kappa.value for one in row.cohen]) == (None, None, [None] * 3)
    assert values(found) == [1, 0, 0, 0, 1]
    assert found.notes == (
        "At 1 per side every answer is the same (not annotated): alpha and the kappas are undefined, not 1.",
    )
    assert "every answer is the same (annotated)" in quick(rated(["111"] * 5, 1), 1).notes[0]
    record = json.dumps(agreement_record(found), allow_nan=False)
    assert json.loads(record)["rows"][0]["alpha"] == {"value": None, "low": None, "high": None}


def test_perfect_agreement_has_no_interval_and_says_why() -> None:
    found = quick(rated(["111", "000"] * 10, 1), 1)
    assert (found.rows[0].alpha.value, found.rows[0].alpha.interval) == (1, None)
    assert found.notes == ("At 1 per side the resamples give no interval for alpha: no disagreement to draw from.",)


def test_labelers_without_an_image_in_common_are_named() -> None:
    found = quick(rated(["11-", "-01", "01-", "-00"], 1), 1)
    assert "ann and cem have no reconstruction in common." in found.notes
    assert [(one.units, one.kappa.value is None) for one in found.rows[0].cohen] == [(2, False), (0, True), (2, False)]


def test_one_labeler_or_nothing_in_common_is_refused() -> None:
    with pytest.raises(UsageError, match="needs two labelers, found ann"):
        quick(rated(["1", "0"], 1, ("ann",)), 1)
    with pytest.raises(UsageError, match="found none"):
        quick(Material(images=(image(sha1_of(0)),), annotations=(), views=()), 1)
    with pytest.raises(UsageError, match=r"seen by two of ann, bob \(2 by one, 0 by none\)"):
        quick(rated(["1-", "-0"], 1, ("ann", "bob")), 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"per_side": ()}, "at least one"),
        ({"per_side": (0,)}, "1 to 128"),
        ({"rule": "half"}, "unknown rule"),
        ({"resamples": 0}, "1 to 1,000,000"),
        ({"method": "normal"}, "percentile, bca"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        agree(rated(["110", "000"], 1), **settings)  # type: ignore[arg-type]


def test_without_views_a_model_where_a_labeler_drew_nothing_keeps_the_labeler() -> None:
    box = Box(2, 2, 9, 9)
    boxes = (annotation(sha1_of(0), box, "ann"), annotation(sha1_of(0), box, "bob", model="01H"))
    bare = Material(images=(image(sha1_of(0)), image(sha1_of(0), "01H")), annotations=boxes, views=None)
    found = quick(participants(bare, models=["01L"]), 1)
    assert values(found) == [0, 0, 0, 1, 0]
    assert found.notes[0].startswith("Nothing says who has seen what")
    assert found.notes[1].startswith("bob has no box")
    assert [one.name for one in quick(participants(bare, ["ann", "dan"]), 1).labelers] == ["ann", "dan"]


def test_names_that_do_not_occur_are_refused() -> None:
    made = rated(["110", "000"], 1)
    with pytest.raises(UnknownName, match="Did you mean 'bob'"):
        participants(made, ["bobb"])
    with pytest.raises(UnknownName, match="unknown model '09L'; known: 01L"):
        participants(made, models=["09L"])


def test_boxes_without_any_view_are_said_to_bias() -> None:
    made = rated(["110", "101", "000"], 1)
    views = tuple(one for one in made.views or () if one.labeler != "bob")
    found = quick(replace(made, views=views), 1)
    assert found.labelers[1].images == 1
    assert found.notes[0].startswith("bob has boxes but no views")


def test_the_text_has_per_side_and_tiles_and_hides_no_name() -> None:
    made = rated(["110", "000", "111"], 1, ("ann", "bob\n\x1b[2J", "cem"))
    found = quick(made, 1)
    found = replace(found, on_boxes=box_agreement(made, resamples=20))
    text = agreement_text(found)
    assert "\x1b" not in text and "bob⟨U+000A⟩⟨U+001B⟩[2J: saw 3, drew 2" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["1", "1", "3", "0", "33.33", "33.33", "33.33", "0.00", "66.67"] in lines
    assert "IoU >=" in text and "Cohen ann, bob⟨" in text
    assert agreement_record(found)["box_agreement"][0]["at"][0]["f1"]["value"] == 1


def test_the_text_has_both_intervals_and_each_pairs_kappa() -> None:
    # ann and bob agree throughout, cem on half: kappa of 1 and of 0.
    found = quick(rated(["111", "110", "001", "000"] * 10, 1), 1)
    text = agreement_text(found)
    lines = [line.split() for line in text.splitlines()]
    assert ["Cohen", "ann,", "bob", "1.000"] in lines and ["Cohen", "bob,", "cem", "0.000"] in lines
    # 25 % at n = 40: 1.96 * sqrt(0.25 * 0.75 / 40) = 13.42 %.
    assert next(line for line in lines if line[0:1] == ["Wald"])[1:4] == ["11.58", "to", "38.42"]
    low, high = found.rows[0].cells.c_neg.cluster.interval or (None, None)
    assert f"{100 * (low or 0):.2f} to {100 * (high or 0):.2f}" in text
    assert "-0.000" not in agreement_text(quick(rated(["10", "01", *["00"] * 4000], 1, ("ann", "bob")), 1))


def test_tables_fit_a_wide_terminal() -> None:
    made = simulated(10)
    found = replace(agree(made, resamples=50), on_boxes=box_agreement(made, resamples=50))
    assert max(len(line) for line in agreement_text(found).splitlines()) <= 120


def test_the_record_is_exactly_what_scripts_expect() -> None:
    (row,) = agreement_record(quick(simulated(10), 4))["rows"]
    wanted = ["per_side", "tiles", "n", "rule", "unassigned_boxes", *KINDS, "alpha"]
    assert list(row)[: len(wanted)] == wanted
    for key in (*KINDS, "alpha"):
        assert list(row[key]) == ["value", "low", "high"]
        assert row[key]["low"] < row[key]["value"] < row[key]["high"]
    assert row["cluster"]["c_neg"]["value"] == row["c_neg"]["value"]


def test_intervals_of_few_photographs_or_of_a_rare_answer_are_said_to_be_too_narrow() -> None:
    few = quick(simulated(5), 4).notes
    many = quick(simulated(30), 4).notes
    rare = quick(rated(["000"] * 37 + ["111", "110", "100"], 1), 1)

    assert any("5 photographs are too narrow" in note for note in few)
    assert not any("too narrow" in note for note in many)
    assert rare.rows[0].rarer == 3
    assert any("At 1 per side the rarer answer is in 3 of the photographs alone" in note for note in rare.notes)


def test_boxes_that_no_person_drew_are_said_to_be_simulated() -> None:
    found = quick(simulated(5), 4)
    people = replace(simulated(5), annotations=tuple(replace(b, origin="person") for b in simulated(5).annotations))

    assert f"No person drew {found.boxes} of the {found.boxes} boxes: simulated." in found.notes
    assert not any("No person" in note for note in quick(people, 4).notes)
