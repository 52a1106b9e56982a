"""Oracles: areas, shares and medians by hand; Wilson's interval; the same bytes twice; XML that parses."""

from __future__ import annotations

import builtins
import hashlib
import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled import simulated
from PIL import Image

from miscomp.errors import MissingExtra
from miscomp.records import Annotation, Box, ImageRow, View, display_id
from miscomp.report.summary import wilson
from miscomp.stats.counted import Counted, count
from miscomp.stats.figure_areas import densities, draw_areas
from miscomp.stats.figure_look import looks_of, plain
from miscomp.stats.figure_prevalence import category_shares, draw_prevalence, prevalence
from miscomp.stats.figures import FIGURES, draw
from miscomp.stats.kinds import kind_table
from miscomp.stats.material import Material
from miscomp.taxonomy import Category

SIZE = (200, 100)


def _material(
    drawn: Mapping[tuple[int, str], Sequence[Box]], rates: Mapping[str, float | None], **values: object
) -> Material:
    """Pictures of 200 x 100 that `ann` has seen, with what she drew in them."""
    images, boxes, views = [], [], []
    for (number, model), listed in drawn.items():
        sha1 = hashlib.sha1(f"{number}".encode(), usedforsecurity=False).hexdigest()
        about: dict[str, Any] = {"filename": f"{sha1}.png", "image_sha1": sha1, "model": model}
        images.append(ImageRow(**about, width=SIZE[0], height=SIZE[1], bpp=rates[model]))
        views.append(View(**about, labeler="ann"))
        for box in listed:
            place: dict[str, Any] = {"x": box.x, "y": box.y, "w": box.w, "h": box.h, **values}
            boxes.append(
                Annotation(**about, id=display_id(sha1, model, box), labeler="ann", origin="simulated", **place)
            )
    codecs = {model: f"C{model[1]}" for model in rates if model[:1] == "0"}
    return Material(images=tuple(images), annotations=tuple(boxes), views=tuple(views), codecs=codecs)


def _six(images: int = 12) -> Counted:
    models = tuple(f"0{codec}{rate}" for codec in range(1, 7) for rate in "LH")
    return count(simulated(images, labelers=("ann", "bob"), models=models, prevalence=0.1))


def test_every_figure_is_written_as_picture_and_drawing_and_described(tmp_path: Path) -> None:
    said: list[str] = []
    figures = draw(_six(), tmp_path, say=said.append)
    assert [one.name for one in figures] == list(FIGURES)
    assert said == []
    for one in figures:
        with Image.open(tmp_path / f"{one.name}.png") as picture:
            values = np.asarray(picture.convert("L"))
        assert 0.01 < (values < 250).mean() < 0.6
        ElementTree.parse(tmp_path / f"{one.name}.svg")
        assert one.note and one.title


def test_the_same_material_gives_the_same_bytes(tmp_path: Path) -> None:
    counted = _six(4)
    for folder in ("a", "b"):
        draw_areas(counted, tmp_path / folder)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a/figure5.{kind}").read_bytes() == (tmp_path / f"b/figure5.{kind}").read_bytes()


def test_what_cannot_be_drawn_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    said: list[str] = []
    counted = count(_material({(1, "01L"): []}, {"01L": None}))
    assert draw(counted, tmp_path, say=said.append) == []
    assert [line.split()[0] for line in said] == list(FIGURES)
    assert list(tmp_path.iterdir()) == []


def test_without_views_there_is_no_prevalence() -> None:
    material = _material({(1, "01L"): [Box(0, 0, 10, 10)]}, {"01L": 0.25})
    assert prevalence(count(replace(material, views=None))) == {}


def test_figure_5_is_of_reconstructions_with_a_box_and_tells_union_from_sum(tmp_path: Path) -> None:
    half, quarter = Box(0, 0, 100, 100), Box(0, 0, 100, 50)
    drawn: dict[tuple[int, str], list[Box]] = {(1, "01L"): [half, quarter], (2, "01L"): [quarter], (3, "01L"): []}
    found = draw_areas(count(_material({**drawn, (1, "01H"): []}, {"01L": 0.25, "01H": 0.75})), tmp_path)
    assert found is not None
    # Unions 0.5 and 0.25, sums 0.75 and 0.25 of 20,000 pixels; the third and 01H have no box.
    assert found.note.endswith("Medians: 01L 0.25 bpp, 37.5 % (50 % added up), n = 2.")
    assert "the 2 reconstructions with at least one box" in found.note


def test_figure_6_counts_overlapping_boxes_of_a_reconstruction_once_and_scales_to_the_square() -> None:
    drawn = {(1, "01L"): [Box(0, 0, 100, 100), Box(50, 0, 50, 100)], (2, "01H"): [Box(0, 0, 200, 50)], (3, "01L"): []}
    ((codec, (n, shares)),) = densities(_material(drawn, {"01L": 0.25, "01H": 0.75})).items()
    assert (codec, n) == ("C1", 2)
    assert np.array_equal(shares[:32, :32], np.ones((32, 32)))
    assert np.array_equal(shares[:32, 32:], np.full((32, 32), 0.5))
    assert np.array_equal(shares[32:, :32], np.full((32, 32), 0.5))
    assert not shares[32:, 32:].any()


def test_areas_on_the_unit_square_add_up_to_those_in_the_pictures() -> None:
    rng = np.random.default_rng(1)
    boxes = [
        Box(int(rng.integers(0, 120)), int(rng.integers(0, 60)), int(rng.integers(1, 80)), int(rng.integers(1, 40)))
        for _ in range(300)
    ]
    drawn = {(number, "01L"): [box] for number, box in enumerate(boxes)}
    _, shares = densities(_material(drawn, {"01L": 0.25}))["C1"]
    assert shares.mean() == pytest.approx(np.mean([box.area / 20000 for box in boxes]), rel=0.01)


def test_prevalence_is_of_what_was_viewed_at_its_median_rate_with_wilsons_interval() -> None:
    box = Box(0, 0, 10, 10)
    drawn = {(number, "01L"): [box, box][: number % 3] for number in range(9)}
    material = _material(drawn, {"01L": 0.25})
    images = tuple(replace(one, bpp=0.1 * (place + 1)) for place, one in enumerate(material.images))
    found = prevalence(count(replace(material, images=images)))
    assert list(found) == ["01L"]
    assert found["01L"][0] == pytest.approx(0.5)
    assert found["01L"][1] == wilson(6, 9)


def test_category_shares_count_the_main_category_of_every_box_and_symbols_beside_it() -> None:
    boxes = [Box(place, 0, 5, 5) for place in range(4)]
    material = _material({(1, "01L"): boxes, (2, "01L"): boxes[:1], (1, "02L"): boxes[:1]}, {"01L": 0.2, "02L": 0.2})
    categories = ("SHAPE+AMPLITUDE", "SHAPE", "GEOMETRY", "", "", "AMPLITUDE")
    annotations = tuple(
        replace(one, category=category, symbol=place < 2)
        for place, (one, category) in enumerate(zip(material.annotations, categories, strict=True))
    )
    found = category_shares(count(replace(material, annotations=annotations)))
    n, shares = found["C1"]
    assert n == 5
    assert {kind: one.value for kind, one in shares.items()} == {
        "AMPLITUDE": 0.0, "GEOMETRY": 0.2, "SHAPE": 0.4, "none": 0.4, "symbol": 0.4
    }  # fmt: skip
    assert found["all"][0] == 6
    assert found["all"][1]["symbol"].value == pytest.approx(1 / 3)


def test_the_figure_and_the_table_of_categories_have_the_same_intervals() -> None:
    """One model a codec and a category for every box, so that both say the same."""
    material = simulated(20, models=("01L", "02L"), labelers=("ann",))
    boxes = tuple(replace(one, category=one.category or "SHAPE") for one in material.annotations)
    material = replace(material, annotations=boxes, codecs={})
    table = {row["model"].value: row for row in kind_table(count(material)).rows}

    for name, (n, shares) in category_shares(count(material)).items():
        assert (table[name]["boxes"].value, table[name]["without"].value) == (n, 0)
        for kind in (*Category, "symbol"):
            cell = table[name][kind.lower()]
            assert (shares[kind].value, shares[kind].interval) == (cell.value, (cell.low, cell.high))


def test_names_by_strangers_are_no_formulas_and_break_nothing(tmp_path: Path) -> None:
    names = ("$\\frac{", "_hidden", "a\nb\u202e", "模型", "x" * 300, "--><script>", "\U0001f600", "&amp;\x07")
    drawn = {(number, name): [Box(0, 0, 20, 20)] for number, name in itertools.product(range(2), names)}
    counted = count(_material(drawn, {name: 0.1 * (place + 1) for place, name in enumerate(names)}))
    assert len(draw(counted, tmp_path)) == len(FIGURES)
    for name in FIGURES:
        ElementTree.parse(tmp_path / f"{name}.svg")
    assert plain("x" * 300) == "x" * 27 + "…"
    assert plain("模型") == "??"


def test_a_single_reconstruction_full_of_boxes_can_be_drawn(tmp_path: Path) -> None:
    drawn = {(1, "given"): [Box(0, 0, *SIZE)] * 1}
    assert len(draw(count(_material(drawn, {"given": 0.3})), tmp_path)) == len(FIGURES)


def test_codecs_can_be_told_apart_without_colour() -> None:
    looks = looks_of([f"C{number}" for number in range(30)])
    assert len({(look["marker"], str(look["linestyle"])) for look in looks.values()}) == 30


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"miscomp\[plots\]"):
        draw(_six(2), tmp_path)


def test_reconstructions_of_unknown_rate_are_left_out_and_counted(tmp_path: Path) -> None:
    drawn = {(1, "01L"): [Box(0, 0, 20, 20)], (1, "02L"): [Box(0, 0, 20, 20)]}
    counted = count(_material(drawn, {"01L": 0.25, "02L": None}))
    shares, share = draw_areas(counted, tmp_path), draw_prevalence(counted, tmp_path)
    assert shares is not None and "1 with a box but of unknown rate are left out" in shares.note
    assert share is not None and "1 viewed ones of unknown rate are left out" in share.note
