"""A benchmark as one HTML page without scripts, which works from disk and reaches nothing outside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from miscomp.benchmark.examples import cut, false_alarms, misses
from miscomp.benchmark.scores import Scores
from miscomp.benchmark.summary import Benchmark, compared
from miscomp.folders import write_text
from miscomp.report import wording
from miscomp.report.environment import asset, page_environment
from miscomp.report.pictures import PictureStore

PAGE = "benchmark.html"
LIMIT_MB = 30.0
"""A page whose pictures would pass this keeps them in a folder beside it."""

NOT_DRAWN = "Not drawn: --no-plots was given."
NO_MATPLOTLIB = "Not drawn: matplotlib is not installed. Get it with pip install 'miscomp[plots]' and run this again."


def write_page(benchmark: Benchmark, folder: Path, *, plots: bool = True) -> Path:
    """Write `folder/benchmark.html`, and its plots into `folder/plots` where matplotlib is installed."""
    drawn: Sequence[str] = ()
    reason = NOT_DRAWN if not plots else "" if find_spec("matplotlib") else NO_MATPLOTLIB
    if not reason:
        from miscomp.benchmark.plots import draw

        drawn = draw(benchmark, folder / "plots")
    store = PictureStore(folder, limit_bytes=LIMIT_MB * 1e6)
    detailed = _detailed(benchmark.scores)
    examples = {
        one.name: [cut(benchmark, choose(benchmark, one), store) for choose in (misses, false_alarms)]
        for one in detailed
    }
    context: Mapping[str, Any] = {
        "benchmark": benchmark,
        "counts": benchmark.counts,
        "ordered": sorted(benchmark.scores, key=lambda one: -(one.average_precision.value or 0)),
        "detailed": detailed,
        "examples": examples,
        "compared": compared,
        "plots": [_plot(folder, name) for name in drawn],
        "no_plots": reason or "There is nothing to draw.",
        "store": store,
        "style": Markup(asset("miscomp.report", "report.css") + asset("miscomp.benchmark", "benchmark.css")),
    }
    path = folder / PAGE
    write_text(path, _environment().get_template("benchmark.html.j2").render(context))
    return path


def _detailed(scores: Sequence[Scores]) -> list[Scores]:
    """Detectors to be shown with pictures: all that are no baselines, then the best baseline."""
    best = sorted((one for one in scores if one.baseline), key=lambda one: -(one.average_precision.value or 0))
    return [*(one for one in scores if not one.baseline), *best[:1]]


def _plot(folder: Path, name: str) -> tuple[str, Markup]:
    from miscomp.benchmark.plots import TITLES

    content = base64.b64encode((folder / "plots" / f"{name}.svg").read_bytes()).decode("ascii")
    return TITLES[name], Markup(f"data:image/svg+xml;base64,{content}")


def _end(value: float | None, digits: int) -> str:
    """An interval's end; none is without bound."""
    return wording.number(math.inf if value is None else value, digits)


def _environment() -> Environment:
    environment = page_environment("miscomp.benchmark")
    environment.filters |= {"end": _end}
    return environment
