from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miscomp.corpus.batches import answers as batch_answers
from miscomp.corpus.batches.answers import Answer, Drawn, Known, read_batch_files
from miscomp.errors import TableError
from miscomp.records import Box

PAIRS = [
    Known(position=position, alias=f"{position:x}" * 40, image_sha1="0" * 40, model="01L", width=192, height=176)
    for position in (1, 2, 3)
]
ONE, TWO, THREE = (one.alias for one in PAIRS)
HEAD = "number,alias,seen,multi,multi_kind,note\n"
BOXES = "alias,x,y,w,h,category,symbol,note\n"


def read(folder: Path, batch: str, boxes: str = BOXES) -> list[Answer]:
    (folder / "batch.csv").write_text(batch, encoding="utf-8")
    (folder / "boxes.csv").write_text(boxes, encoding="utf-8")
    return read_batch_files(folder, PAIRS)


def refusal(folder: Path, batch: str, boxes: str = BOXES) -> str:
    with pytest.raises(TableError) as error:
        read(folder, batch, boxes)
    return str(error.value)


def test_empty_tables_say_that_nothing_was_looked_at(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD) == []
    assert read(tmp_path, HEAD + f"001,{ONE},,,,\n002,{TWO},,,,\n") == []


def test_seen_a_box_or_a_word_on_multi_say_that_a_pair_was_looked_at(tmp_path: Path) -> None:
    batch = HEAD + f"001,{ONE},1,,,\n002,{TWO},,1,Color,red flags\n003,{THREE},,,,\n"
    boxes = BOXES + f"{THREE},16,24,40,32,shape+amplitude,1,a word\n2,0,0,192,176,,,\n"
    assert read(tmp_path, batch, boxes) == [
        Answer(pair=PAIRS[0], multi=None, multi_kind="", note="", boxes=()),
        Answer(
            pair=PAIRS[1],
            multi=True,
            multi_kind="color",
            note="red flags",
            boxes=(Drawn(box=Box(0, 0, 192, 176), category="", symbol=False, note=""),),
        ),
        Answer(
            pair=PAIRS[2],
            multi=None,
            multi_kind="",
            note="",
            boxes=(Drawn(box=Box(16, 24, 40, 32), category="SHAPE+AMPLITUDE", symbol=True, note="a word"),),
        ),
    ]
    assert [one.multi for one in read(tmp_path, HEAD + "1,1,,0,,\n")] == [False]
    assert read(tmp_path, HEAD + "1,1,0,0,,\n") == []  # not looked at, as it says


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_make_of_a_table_is_read(tmp_path: Path, separator: str, end: str) -> None:
    batch = f"\ufeffAlias,number,note,seen,multi,multi_kind\n{ONE.upper()},1,\u00fcber,1,,\n,,,,,\n"
    boxes = f"{BOXES}001, 1 ,2,3,4,,,\n"
    found = read(tmp_path, *(text.replace(",", separator).replace("\n", end) for text in (batch, boxes)))
    assert [(one.pair, one.note, [drawn.box for drawn in one.boxes]) for one in found] == [
        (PAIRS[0], "\u00fcber", [Box(1, 2, 3, 4)])
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{'f' * 40},0,0,8,8,,,", "is not of this batch"),
        ("9,0,0,8,8,,,", "is not of this batch"),
        ("1,-1,0,8,8,,,", "x is '-1', needs a whole number"),
        ("1,0,1.5,8,8,,,", "y is '1.5'"),
        ("1,0,0,,8,,,", "w is ''"),
        ("1,0,0,0,8,,,", "w, h >= 1"),
        ("1,0,0,193,8,,,", "reaches outside the image of 192 x 176"),
        ("1,0,170,8,8,,,", "reaches outside"),
        ("1,9999999999,0,8,8,,,", "whole number"),
        ("1,0,0,8,8,WRONG,,", "unknown category 'WRONG'"),
        ("1,0,0,8,8,SHAPE+SHAPE,,", "twice"),
        ("1,0,0,8,8,,yes,", "symbol is 'yes'; allowed: 1, 0 or nothing"),
        ("1,0,0,8,8,,", "has 7 cells, the header has 8"),
        ("1,0,0,8,8,,,a\0b", "NUL"),
    ],
)
def test_each_wrong_line_of_the_boxes_is_named(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(tmp_path, HEAD + "1,1,1,,,\n", BOXES + f"1,5,5,8,8,,,\n{line}\n1,5,5,8,8,,,\n")
    assert "boxes.csv: line 3: " in message and said in message
    assert "line 4: this box has a line already" in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"1,{'e' * 40},1,,,", "is not of this batch"),
        ("1,2,x,,,", "seen is 'x'"),
        ("1,2,,2,,", "multi is '2'"),
        ("1,2,1,1,colour,", "multi_kind is 'colour'; allowed with multi = 1: color, merging"),
        ("1,2,1,,color,", "allowed with multi = 1"),
        ("1,2,0,1,,", "seen is 0, and yet"),
        ("1,2,,,,a note", "not marked as seen"),
        ("1,1,1,,,", "this pair has a line already"),
        ("1,2", "has 2 cells"),
    ],
)
def test_each_wrong_line_of_the_batch_is_named(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(tmp_path, HEAD + f"1,1,1,,,\n{line}\n")
    assert "batch.csv: line 3: " in message and said in message


def test_boxes_of_a_pair_without_a_line_and_foreign_tables_are_refused(tmp_path: Path) -> None:
    assert "boxes for pairs 002" in refusal(tmp_path, HEAD + "1,1,1,,,\n", BOXES + "2,0,0,8,8,,,\n")
    assert "the header is" in refusal(tmp_path, "alias,seen\n1,1\n")
    assert "the header is" in refusal(tmp_path, HEAD, "")
    (tmp_path / "boxes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TableError, match="UTF-8"):
        read_batch_files(tmp_path, PAIRS)
    (tmp_path / "boxes.csv").unlink()
    with pytest.raises(TableError, match="cannot be read"):
        read_batch_files(tmp_path, PAIRS)


def test_a_table_of_many_wrong_lines_gives_a_short_message_and_a_huge_one_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = refusal(tmp_path, HEAD + "".join(f"1,{number},1,,,\n" for number in range(4, 104)))
    assert message.count("line ") == 20 and message.endswith("and 80 more")
    monkeypatch.setattr(batch_answers, "MAX_BYTES", 30)
    assert "at most 30 are read" in refusal(tmp_path, HEAD)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_crash_the_reader(tmp_path: Path, content: bytes, whole: bool) -> None:
    (tmp_path / "batch.csv").write_bytes(content if whole else HEAD.encode() + content)
    (tmp_path / "boxes.csv").write_bytes(BOXES.encode())
    with contextlib.suppress(TableError):
        read_batch_files(tmp_path, PAIRS)
