"""Tables as CSV, LaTeX, HTML and JSON, also with names that would do harm."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from miscomp.stats.tabular import Cell, Column, StatTable
from miscomp.stats.write import csv_text, html_text, latex, latex_text, record, text_table, write_table

HOSTILE = '=cmd|"<script>alert(1)</script>" & \\input{x} 50% $x_1^2$ #~ [a]\u202e\n\\\\end'
TABLE = StatTable(
    name="made",
    title="Made & <named>",
    note="100 % made up.",
    columns=(
        Column(key="model", title="Model"),
        Column(key="share", title="Share of viewed", about='Of "all"', unit="%", decimals=1),
        Column(key="mean", title="Mean", decimals=2),
        Column(key="boxes", title="Boxes"),
    ),
    rows=(
        {
            "model": Cell(value="01L"),
            "share": Cell(value=1 / 3, low=0.1, high=0.65, n=12),
            "mean": Cell(value=2.0, n=4),
            "boxes": Cell(value=8),
        },
        {"model": Cell(value=HOSTILE), "share": Cell(value=None, n=0), "mean": Cell(value=None)},
    ),
)


def test_csv_has_a_column_each_for_value_ends_and_n() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(TABLE))))

    assert list(rows[0]) == ["model", "share", "share_low", "share_high", "share_n", "mean", "mean_n", "boxes"]
    assert rows[0] | {"model": ""} == {
        "model": "",
        "share": "0.333333333333",
        "share_low": "0.1",
        "share_high": "0.65",
        "share_n": "12",
        "mean": "2.0",
        "mean_n": "4",
        "boxes": "8",
    }
    assert [rows[1][key] for key in ("share", "share_n", "mean", "boxes")] == ["", "0", "", ""]


def test_no_name_is_a_formula_or_breaks_a_line_in_csv() -> None:
    lines = csv_text(TABLE).splitlines()

    assert len(lines) == 3
    assert next(csv.reader([lines[2]]))[0].startswith("'=cmd")
    assert "\u202e" not in csv_text(TABLE)


def test_latex_escapes_every_character_that_means_something() -> None:
    text = latex(HOSTILE)

    plain = re.sub(r"\\(textbackslash|textbar|textless|textgreater|textasciicircum|textasciitilde)\{\}", "", text)
    plain = re.sub(r"\{\\char34\}|\{\[\}|\{\]\}|\\[{}$&#_%]", "", plain)
    assert not re.search(r"[\\{}$&#_%^~<>|\"\[\]\n]", plain)
    assert "\\input" not in text.replace("\\textbackslash{}", "")


def test_latex_is_a_booktabs_table_with_shares_in_percent() -> None:
    text = latex_text(TABLE)

    assert r"\begin{tabular}{lrrr}" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{Made \& "))
    row = next(line for line in text.splitlines() if line.startswith("01L"))
    assert row == (
        r"01L & \shortstack[r]{33.3 \\ \scriptsize {[}10.0, 65.0{]} \\ \scriptsize $n=12$}"
        r" & \shortstack[r]{2.00 \\ \scriptsize $n=4$} & 8 \\"
    )
    assert all(line.count("&") - line.count(r"\&") == 3 for line in text.splitlines() if line.endswith(r"\\"))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_a_table_with_caption_and_headers_for_columns_and_rows() -> None:
    reader = _Reader()
    reader.feed(html_text(TABLE))

    heads = [attributes.get("scope") for tag, attributes in reader.tags if tag == "th"]
    assert heads == ["col"] * 4 + ["row"] * 2
    assert [tag for tag, _ in reader.tags].count("caption") == 1
    assert [tag for tag, _ in reader.tags].count("td") == 6
    text = "".join(reader.text)
    assert "33.3 [10.0, 65.0] n\u00a0=\u00a012" in text
    assert "\u2013 n\u00a0=\u00a00" in text


def test_no_name_becomes_markup() -> None:
    reader = _Reader()
    reader.feed(html_text(TABLE))

    assert "script" not in [tag for tag, _ in reader.tags]
    assert "named" not in [tag for tag, _ in reader.tags]
    assert "<script>alert(1)</script>" in "".join(reader.text)
    assert "\u202e" not in html_text(TABLE)


def test_json_has_objects_where_there_are_intervals_and_no_number_that_json_lacks() -> None:
    table = StatTable(
        name="made",
        title="",
        note="",
        columns=TABLE.columns,
        rows=(*TABLE.rows, {"mean": Cell(value=float("nan")), "share": Cell(value=float("inf"))}),
    )

    found = json.loads(json.dumps(record(table), allow_nan=False))

    assert found["rows"][0]["share"] == {"value": 0.333333333333, "low": 0.1, "high": 0.65, "n": 12}
    assert found["rows"][0]["boxes"] == 8 and found["rows"][0]["model"] == "01L"
    assert found["rows"][1]["share"]["value"] is None and "boxes" not in found["rows"][1]
    assert found["rows"][2]["mean"]["value"] is None and found["rows"][2]["share"]["value"] is None
    assert [column["key"] for column in found["columns"]] == ["model", "share", "mean", "boxes"]


def test_a_terminal_gets_chosen_columns_one_line_a_row() -> None:
    lines = text_table(TABLE, ["model", "share"]).splitlines()

    assert len(lines) == 3
    assert lines[1].endswith("33.3 [10.0, 65.0]")
    assert lines[2].endswith(" -")


def test_the_same_table_gives_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_table(tmp_path / "a", TABLE)
    write_table(tmp_path / "b", TABLE)

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["made.csv", "made.html", "made.tex"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


@pytest.mark.parametrize("make", [csv_text, latex_text, html_text])
def test_a_table_without_rows_is_still_one(make: object) -> None:
    empty = StatTable(name="none", title="Nothing", note="", columns=TABLE.columns, rows=())

    assert callable(make) and "hare" in make(empty)
