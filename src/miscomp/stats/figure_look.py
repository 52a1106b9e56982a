"""What the figures of a corpus share: a codec's colour, marker and dashes, plain names, axes of rates and shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from miscomp.report.wording import one_line
from miscomp.stats.counted import model_order
from miscomp.stats.material import Material

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_COLOURS = ("#0066b3", "#d55e00", "#009e73", "#cc79a7", "#7b3fa0", "#b8860b", "#1b1b1b", "#5b6770")
"""Told apart by the colour-blind too; in grey, markers and dashes tell."""
_MARKERS = "os^DvPX*<>"
_DASHES: Sequence[Any] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.5, 1.5, 1.5)),
    (0, (9, 2.5)),
    (0, (4, 1, 1, 1, 1, 1)),
)
_LONGEST = 28

RATE_LABEL = "Real rate (bits per pixel, log scale)"


def plain(name: str, *, longest: int = _LONGEST) -> str:
    """A name by strangers on one short line, with `?` for what the font does not have."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    shown = one_line(name)
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    return "".join(c if font.get_char_index(ord(c)) else "?" for c in shown) or "?"


def codecs_of(material: Material) -> dict[str, list[str]]:
    """The models of each codec, low rate before high."""
    found: dict[str, list[str]] = {}
    for model in model_order(material):
        found.setdefault(material.codec_of(model), []).append(model)
    return found


def looks_of(codecs: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Colour, marker and dashes by codec, in their order."""
    # Of 8, 10 and 6: no two of 120 codecs look the same.
    return {
        codec: {
            "color": _COLOURS[place % len(_COLOURS)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "linestyle": _DASHES[place % len(_DASHES)],
        }
        for place, codec in enumerate(codecs)
    }


def filling(material: Material, model: str, colour: str) -> str:
    """Of a marker: open for a low rate, full for any other."""
    return "white" if material.rate_of(model) == "low" else colour


def filling_words(material: Material, models: Iterable[str]) -> str:
    """What the filling says, for a caption; empty where no model is known to be of a low or high rate."""
    known = any(material.rate_of(model) for model in models)
    return " Open: low rate, full: high rate." if known else ""


def legend_of(looks: Mapping[str, Mapping[str, Any]]) -> tuple[list[Line2D], list[str]]:
    """What a legend takes: a line and a name for each codec."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], lw=1.6, ms=6.5, mec=look["color"], **look) for look in looks.values()]
    # A label that begins with an underscore would be left out.
    return handles, [plain(codec) if not codec.startswith("_") else f" {plain(codec)}" for codec in looks]


def scale_rates(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis of rates that holds the values, with ticks that read as numbers."""
    axes.set_xscale("log")
    axes.set_xlim(*_ends(values, 1.25, least=4))
    _tick(axes.xaxis, [step * 10.0**power for power in range(-4, 4) for step in (1, 2, 5)], axes.get_xlim(), "{:g}")


def scale_shares(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis of shares (0 to 1, shown in percent) that holds the values."""
    axes.set_yscale("log")
    axes.set_ylim(*_ends(values, 1.4, least=10))
    low, high = axes.get_ylim()
    steps = (1, 2, 5) if high / low < 30 else (1, 3) if high / low < 3000 else (1,)
    places = [step * 10.0**power for power in range(-10, 3) for step in steps]
    _tick(axes.yaxis, places, (low, high), "{:g} %", times=100)


def _ends(values: Sequence[float], room: float, *, least: float) -> tuple[float, float]:
    """Ends that hold the values, the upper at least `least` times the lower, so that ticks fall between them."""
    low, high = min(values) / room, max(values) * room
    more = max(math.sqrt(least * low / high), 1.0)
    return low / more, high * more


def _tick(axis: Any, places: Sequence[float], ends: tuple[float, float], text: str, *, times: float = 1) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    shown = [place for place in places if ends[0] <= place <= ends[1]]
    axis.set_major_locator(NullLocator())
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_ticks(shown, [text.format(round(place * times, 12)) for place in shown])
