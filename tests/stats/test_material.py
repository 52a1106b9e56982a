"""Bare tables as material. Oracle: tables written by hand, and what their records say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import box, image, material

from miscomp.errors import TableError
from miscomp.records import Annotation, ImageRow
from miscomp.stats.material import apart, from_tables
from miscomp.tables import write

ROW = image(0, "01L", bpp=0.5)
BOX = box(0, "01L", (1, 2, 30, 40))


def tables(folder: Path, *rows: ImageRow) -> list[Path]:
    """A table each, in order."""
    paths = [folder / f"images{number}.csv" for number in range(len(rows))]
    for path, row in zip(paths, rows, strict=True):
        write(path, ImageRow, [row])
    return paths


def test_what_stands_in_two_tables_counts_once_and_with_the_rate_that_one_of_them_knows(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", Annotation, [BOX])
    boxes = [tmp_path / "boxes.csv"] * 2
    for rows in ((ROW, replace(ROW, bpp=None, annotations=7)), (replace(ROW, bpp=None), ROW), (ROW, ROW)):
        made = from_tables(boxes, tables(tmp_path, *rows))
        assert [(one.model, one.bpp) for one in made.images] == [("01L", 0.5)]
        assert made.annotations == (BOX,)


@pytest.mark.parametrize("other", [replace(ROW, width=9999), replace(ROW, height=9999), replace(ROW, bpp=0.6)])
def test_two_sizes_or_rates_of_one_reconstruction_are_refused_by_name(tmp_path: Path, other: ImageRow) -> None:
    with pytest.raises(TableError, match=r"images1\.csv: .* by 01L is there twice: .* leave out the wrong row"):
        from_tables([], tables(tmp_path, ROW, other))


@pytest.mark.parametrize("bpp", [1e308, 1e-300])
def test_a_rate_that_no_file_can_have_is_refused_before_means_overflow(tmp_path: Path, bpp: float) -> None:
    with pytest.raises(TableError, match=r"images0\.csv: .* rates lie in 1e-09 to 1e\+09"):
        from_tables([], tables(tmp_path, replace(ROW, bpp=bpp)))


def test_who_has_boxes_only_where_nobody_else_has_any_is_named() -> None:
    rows = [image(0, "01L"), image(0, "jpeg@q10")]
    person = [box(0, "01L", (0, 0, 9, 9), who) for who in ("ann", "bob")]
    found = [box(0, model, (0, 0, 9, 9), "detector") for model in ("jpeg@q10", "01L")]
    (line,) = apart(material(rows, [*person, found[0]]))
    assert line.startswith("detector has boxes by jpeg@q10 alone, where nobody else has any.")
    assert not apart(material(rows, [*person, *found])) and not apart(material(rows, found))


def test_one_box_with_two_meanings_is_refused_by_name(tmp_path: Path) -> None:
    for name, category in (("a.csv", "SHAPE"), ("b.csv", "AMPLITUDE")):
        write(tmp_path / name, Annotation, [replace(BOX, category=category)])
    with pytest.raises(TableError, match=r"b\.csv: .* stands there twice and differs"):
        from_tables([tmp_path / "a.csv", tmp_path / "b.csv"], tables(tmp_path, ROW))
