"""Tables: what is written is read back identically, whatever it is."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miscomp.errors import TableError
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.tables import MAX_CELL, columns, read, write
from miscomp.taxonomy import Category, MultiKind, Origin, join_categories

SHA1 = "0123456789" * 4
ROW = ImageRow(filename="a.png", image_sha1=SHA1, model="given", width=3, height=2)

NASTY = st.sampled_from(
    ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "\nx", "'x", "''", '"', ",", "\0", "a\r\nb", "\r", "x\r"]
)
TEXT = st.one_of(st.text(), NASTY, st.builds(str.__add__, NASTY, st.text()))  # all of Unicode but lone surrogates
NAME = TEXT.filter(bool)
HASH = st.text("0123456789abcdef", min_size=40, max_size=40)
UNIT = st.none() | st.floats(0, 1)
SIDE = st.integers(1, 10**9)
PLACE = st.integers(0, 10**9)
TIME = st.just("") | st.datetimes().map(lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))
RATE = st.none() | st.floats(0, exclude_min=True, allow_infinity=False)
CATEGORY = st.lists(st.sampled_from(Category), unique=True).map(tuple).map(join_categories)

ANNOTATIONS = st.builds(
    Annotation, id=NAME, filename=NAME, image_sha1=HASH, model=NAME, x=PLACE, y=PLACE, w=SIDE, h=SIDE, labeler=NAME,
    origin=st.sampled_from(Origin).map(str), version=TEXT, category=CATEGORY, symbol=st.booleans(), multi=st.booleans(),
    multi_kind=st.just("") | st.sampled_from(MultiKind).map(str), score=UNIT, changed=UNIT, relevant=UNIT,
    suspicion=UNIT, expected=UNIT, note=TEXT, time=TIME,
)  # fmt: skip
IMAGE_ROWS = st.builds(
    ImageRow, filename=NAME, image_sha1=HASH, model=NAME, width=SIDE, height=SIDE, source=TEXT, bpp=RATE,
    psnr=st.none() | st.just(math.inf) | st.floats(0, allow_nan=False), ssim=st.none() | st.floats(-1, 1),
    ms_ssim=st.none() | st.floats(-1, 1), annotations=PLACE, multi=st.booleans(),
)  # fmt: skip
VIEWS = st.builds(
    View, filename=NAME, image_sha1=HASH, model=NAME, labeler=NAME, batch=TEXT, opened=TIME, closed=TIME
)  # fmt: skip
MODEL_ROWS = st.builds(
    ModelRow, model=NAME, codec=NAME, setting=TEXT, target_bpp=RATE, weights_sha256=TEXT,
    seed=st.none() | st.integers(), version=TEXT,
)  # fmt: skip

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.mark.parametrize(
    ("record", "rows"),
    [(Annotation, ANNOTATIONS), (ImageRow, IMAGE_ROWS), (View, VIEWS), (ModelRow, MODEL_ROWS)],
    ids=["annotations", "images", "views", "models"],
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_record_is_read_back_identically(tmp_path: Path, record: Any, rows: Any, data: st.DataObject) -> None:
    written = data.draw(st.lists(rows, max_size=3))
    path = tmp_path / "table.csv"
    write(path, record, written)
    first = path.read_bytes()
    assert read(path, record) == written
    write(path, record, read(path, record))
    assert path.read_bytes() == first


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_no_text_begins_as_a_formula_for_another_reader(tmp_path: Path, text: str) -> None:
    write(tmp_path / "t.csv", ImageRow, [replace(ROW, source=text)])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        cell = next(csv.DictReader(file))["source"]
    assert not cell.startswith(FORMULAS)
    assert cell in (text, "'" + text)


@pytest.mark.parametrize("record", [Annotation, ImageRow, View, ModelRow])
def test_an_empty_table_keeps_its_header(tmp_path: Path, record: Any) -> None:
    write(tmp_path / "t.csv", record, [])
    assert (tmp_path / "t.csv").read_text() == ",".join(columns(record)) + "\n"
    assert read(tmp_path / "t.csv", record) == []


def test_columns_are_an_interface() -> None:
    assert ", ".join(columns(Annotation)) == (
        "id, filename, image_sha1, model, x, y, w, h, labeler, origin, version, category, symbol, multi, multi_kind, "
        "score, changed, relevant, suspicion, expected, note, time"
    )
    assert ", ".join(columns(ImageRow)) == (
        "filename, image_sha1, model, width, height, source, bpp, psnr, ssim, ms_ssim, annotations, multi"
    )
    assert ", ".join(columns(View)) == "filename, image_sha1, model, labeler, batch, opened, closed"
    assert ", ".join(columns(ModelRow)) == "model, codec, setting, target_bpp, weights_sha256, seed, version"


def test_cells_are_written_as_documented(tmp_path: Path) -> None:
    row = replace(ROW, filename="=a.png", source="x\ry", bpp=0.1, psnr=math.inf, multi=True)
    write(tmp_path / "t.csv", ImageRow, [row])
    line = (tmp_path / "t.csv").read_bytes().split(b"\n")[1]
    assert line == f'\'=a.png,{SHA1},given,3,2,"x\ry",0.1,inf,,,0,1'.encode()


def test_numpy_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    from_numpy: dict[str, Any] = {"width": np.int64(3), "bpp": np.float64(0.25), "multi": np.bool_(False)}
    row = replace(ROW, **from_numpy)
    write(tmp_path / "t.csv", ImageRow, [row])
    assert read(tmp_path / "t.csv", ImageRow) == [replace(ROW, bpp=0.25)]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("lone \udcff surrogate", r"record 2, column source: .* cannot be written as UTF-8"),
        ("x" * (MAX_CELL + 1), "record 2, column source: has 131073 characters, at most 131072"),
        ("=" + "x" * (MAX_CELL - 1), "column source: has 131073 characters"),
    ],
)
def test_text_that_could_not_be_read_back_is_refused_and_the_old_table_stays(
    tmp_path: Path, source: str, problem: str
) -> None:
    write(tmp_path / "t.csv", ImageRow, [ROW])
    with pytest.raises(TableError, match=problem):
        write(tmp_path / "t.csv", ImageRow, [ROW, replace(ROW, source=source)])
    assert read(tmp_path / "t.csv", ImageRow) == [ROW]
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_the_longest_cell_is_read_back(tmp_path: Path) -> None:
    row = replace(ROW, source="x" * MAX_CELL)
    write(tmp_path / "t.csv", ImageRow, [row])
    assert read(tmp_path / "t.csv", ImageRow) == [row]


def test_a_failing_writer_leaves_no_partial_file(tmp_path: Path) -> None:
    def rows() -> Any:
        yield ROW
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write(tmp_path / "t.csv", ImageRow, rows())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TableError, match=r"gone/t\.csv: cannot be written"):
        write(tmp_path / "gone" / "t.csv", ImageRow, [])


HEADER = ",".join(columns(ModelRow)).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the header is None, a table of ModelRow needs"),
        (b"model,codec\n", r"the header is \['model', 'codec'\], a table of ModelRow needs"),
        (HEADER + b"\n03L,hific\n", "line 2 has 2 cells, the header has 7"),
        (HEADER + b"\n03L,hific,,often,,,\n", "line 2, column target_bpp: could not convert string to float: 'often'"),
        (HEADER + b"\n03L,hific,,,,1.5,\n", "line 2, column seed: invalid literal"),
        (HEADER + b"\n03L,,,,,,\n", "line 2: codec must not be empty"),
        (HEADER + b"\n03L,hific,,-1,,,\n", "line 2: target_bpp must be positive"),
        (HEADER + b"\n\xff\xfe\n", "cannot be read as a table: 'utf-8' codec"),
        (HEADER + b'\n"03L', "cannot be read as a table: unexpected end of data"),
        (HEADER + b"\n" + b"x" * (MAX_CELL + 1), "cannot be read as a table: field larger than field limit"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_line_and_column(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=problem) as caught:
        read(tmp_path / "t.csv", ModelRow)
    assert caught.value.where == str(tmp_path / "t.csv")


def test_a_boolean_is_0_or_1(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", ImageRow, [ROW])
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(text.removesuffix("0\n") + "yes\n")
    with pytest.raises(TableError, match="line 2, column multi: needs 0 or 1, got 'yes'"):
        read(tmp_path / "t.csv", ImageRow)


def test_a_missing_table_or_a_folder_is_a_table_error(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(TableError, match="cannot be read as a table"):
            read(path, View)
