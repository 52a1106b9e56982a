"""A table of statistics: every number with what it is, its interval and how many it was taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from miscomp.benchmark.bootstrap import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What stands in a column."""

    key: str
    """Its name in CSV and JSON: `share_annotated`."""
    title: str
    """Its name for people."""
    about: str = ""
    """What exactly is counted, in a sentence."""
    unit: str = ""
    """`%` for shares (values stay in 0 to 1), `px`, `bpp` ...; empty for texts and counts."""
    decimals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number with its 95 % interval, a count without one, or a text."""

    value: float | int | str | None
    """None is undefined, such as a mean of nothing."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """How many (of what, says the column) it was taken from."""

    @classmethod
    def of(cls, figure: Figure, n: int) -> Cell:
        """A figure as a cell."""
        low, high = figure.interval or (None, None)
        return cls(value=figure.value, low=low, high=high, n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatTable:
    """Rows under columns; a row lacks what does not apply to it."""

    name: str
    """Stem of its files: `table2`."""
    title: str
    note: str
    """How the numbers and their intervals come about, and what they do not say."""
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatFigure:
    """A drawing that lies beside the tables as NAME.svg and NAME.png."""

    name: str
    title: str
    note: str
    """What is shown, from how many, and what it does not say; also its text for those who cannot see it."""
