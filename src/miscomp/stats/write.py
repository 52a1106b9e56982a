"""Tables of statistics as CSV, LaTeX (booktabs), HTML and JSON. Names in them are untrusted: escaped everywhere.

CSV and JSON hold 12 significant digits, so that the last bit of a sum decides nothing; shares stay in 0 to 1. LaTeX and
HTML are rounded as the columns say, with shares in percent.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from miscomp.folders import write_text
from miscomp.report.environment import page_environment
from miscomp.report.wording import one_line
from miscomp.stats.tabular import Cell, Column, StatTable
from miscomp.tables import guarded

SUFFIXES = (".csv", ".tex", ".html")
_EMPTY = Cell(value=None)
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "[": "{[}",
    "]": "{]}",
    "\u27e8": r"\textless{}",
    "\u27e9": r"\textgreater{}",
}
_SPECIAL = re.compile("[" + re.escape("".join(_LATEX)) + "]")


def write_table(folder: Path, table: StatTable) -> None:
    """Write NAME.csv, NAME.tex and NAME.html into a folder, each in one step."""
    for suffix, content in zip(SUFFIXES, (csv_text(table), latex_text(table), html_text(table)), strict=True):
        write_text(folder / f"{table.name}{suffix}", content)


def plain(value: float | int | str | None) -> float | int | str | None:
    """A value as it is written for programs; none for what is no number."""
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value


def record(table: StatTable) -> dict[str, Any]:
    """For JSON: every cell of a number with a column that has intervals is an object, the others are plain."""
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "columns": [
            {"key": one.key, "title": one.title, "about": one.about, "unit": one.unit} for one in table.columns
        ],
        "rows": [
            {one.key: _json_cell(table, one, row[one.key]) for one in table.columns if one.key in row}
            for row in table.rows
        ],
    }


def csv_text(table: StatTable) -> str:
    """A header of keys; a column with intervals is followed by KEY_low, KEY_high and KEY_n where it has them."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    parts = [(one.key, part) for one in table.columns for part in _parts(table, one)]
    writer.writerow([key if part == "value" else f"{key}_{part}" for key, part in parts])
    for row in table.rows:
        writer.writerow([_csv_cell(getattr(row.get(key, _EMPTY), part)) for key, part in parts])
    return file.getvalue()


def latex_text(table: StatTable) -> str:
    r"""A `table` with `\caption` and `\label`; needs the package booktabs, and a font that has the names' letters."""
    align = "".join("r" if is_number(table, one) else "l" for one in table.columns)
    heads = [_latex_head(one, side) for one, side in zip(table.columns, align, strict=True)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(
            " & ".join(_latex_cell(row.get(one.key, _EMPTY), one) for one in table.columns) + r" \\"
            for row in table.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        "",
        rf"\par\smallskip {latex(table.note)}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Escaped, on one line, hidden characters shown."""
    return _SPECIAL.sub(lambda found: _LATEX[found[0]], one_line(text))


def html_text(table: StatTable) -> str:
    """A fragment: a `table` with its caption, to stand in any page."""
    context: Mapping[str, Any] = {
        "table": table,
        "empty": _EMPTY,
        "is_number": is_number,
        "shown": lambda value, column: Markup("&ndash;") if value is None else shown(value, column),
    }
    return page_environment("miscomp.stats").get_template("table.html.j2").render(context)


def shown(value: float | int | str | None, column: Column) -> str:
    """A value for people, as its column rounds it, without unit; a hyphen for what is undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, str):
        return value
    factor = 100 if column.unit == "%" else 1
    return str(value) if isinstance(value, int) else f"{factor * value:.{column.decimals}f}"


def is_number(table: StatTable, column: Column) -> bool:
    """Whether a column holds numbers."""
    cells = [row[column.key] for row in table.rows if column.key in row]
    return bool(cells) and not any(isinstance(cell.value, str) for cell in cells)


def text_table(table: StatTable, keys: Sequence[str]) -> str:
    """Some columns for a terminal, intervals in brackets, names on one line each."""
    columns = [one for one in table.columns if one.key in keys]
    rows = [[one_line(one.title) + (f" {one.unit}" if one.unit else "") for one in columns]]
    rows += [[_text_cell(row.get(one.key, _EMPTY), one) for one in columns] for row in table.rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    aligned: list[Callable[[str, int], str]] = [str.rjust if is_number(table, one) else str.ljust for one in columns]
    lines = ["  ".join(to(cell, n) for to, cell, n in zip(aligned, row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _text_cell(cell: Cell, column: Column) -> str:
    text = one_line(shown(cell.value, column))
    if cell.low is None and cell.high is None:
        return text
    return f"{text} [{shown(cell.low, column)}, {shown(cell.high, column)}]"


def _parts(table: StatTable, column: Column) -> list[str]:
    """Which of a cell's parts the column has in any row."""
    cells = [row[column.key] for row in table.rows if column.key in row]
    parts = [part for part in ("low", "high", "n") if any(getattr(cell, part) is not None for cell in cells)]
    return ["value", *parts]


def _json_cell(table: StatTable, column: Column, cell: Cell) -> Any:
    parts = _parts(table, column)
    if len(parts) == 1:
        return plain(cell.value)
    return {part: plain(getattr(cell, part)) for part in parts}


def _csv_cell(value: float | int | str | None) -> str:
    found = plain(value)
    if found is None:
        return ""
    return guarded(one_line(found)) if isinstance(found, str) else repr(found)


def _latex_head(column: Column, align: str) -> str:
    words = [*column.title.split(" "), *([f"({column.unit})"] if column.unit else [])]
    return _stacked([latex(word) for word in words], align)


def _latex_cell(cell: Cell, column: Column) -> str:
    value = latex(shown(cell.value, column)) if cell.value is not None else "--"
    lines = [value]
    if cell.low is not None or cell.high is not None:
        lines.append(rf"\scriptsize {latex(f'[{shown(cell.low, column)}, {shown(cell.high, column)}]')}")
    if cell.n is not None:
        lines.append(rf"\scriptsize $n={cell.n}$")
    return _stacked(lines, "r")


def _stacked(lines: Sequence[str], align: str) -> str:
    r"""Lines above each other in a cell; a line that begins with a bracket must have it in braces."""
    return lines[0] if len(lines) == 1 else rf"\shortstack[{align}]{{" + r" \\ ".join(lines) + "}"
