"""A run as one HTML page that works from disk, with no network and without anything but a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from miscomp.detect.faces import note_with, note_without
from miscomp.detect.standing import standing_of
from miscomp.folders import write_text
from miscomp.report import wording
from miscomp.report.environment import asset, closed_script, content_policy, embedded_json, page_environment
from miscomp.report.items import CROPS_PER_PAGE, CROPS_PER_PAIR, Item, details_of, group, index_of, make_items, score
from miscomp.report.pictures import BESIDE, PictureStore
from miscomp.report.run import Run, read_json, write_json
from miscomp.report.seeds import SeedComparison, SeedPlace, summarise_seeds
from miscomp.report.summary import UNCLASSIFIED, Summary, summarise
from miscomp.taxonomy import Category

__all__ = ["Run", "embedded_json", "read_json", "write_html", "write_json"]

PAGE = "report.html"

SEED_PLACES = 30
"""Most places that the page lists with their seeds; `report.json` has all."""

_SCRIPTS = ("base.js", "stage.js", "findings.js", "viewer.js", "list.js", "main.js")


def write_html(run: Run, folder: Path, *, inline_limit_mb: float = 30.0) -> Path:
    """Write `folder/report.html` from a run whose pictures lie in `folder`, and return its path.

    A page that would pass the limit (10^6 bytes each) keeps its pictures and details in `report_files` beside it.
    The same run gives the same bytes. Raises `InputError` for a picture that is missing or not as recorded.
    """
    groups = group(run)
    details = [embedded_json(details_of(results)) for results in groups]
    store = PictureStore(folder, limit_bytes=inline_limit_mb * 1e6, used_bytes=sum(map(len, details)))
    items = make_items(groups, folder, store)
    if store.beside:
        for number, text in enumerate(details):
            store.write_beside(f"details-{number}.js", f"miscompDetails({number}, {text});\n".encode("ascii"))
    html = _render(run, items, store, details, index_of(items, folder))
    path = folder / PAGE
    write_text(path, html)
    return path


def _environment() -> Environment:
    environment = page_environment("miscomp.report")
    environment.tests["unclassified"] = lambda name: name == UNCLASSIFIED
    return environment


def _render(
    run: Run, items: Sequence[Item], store: PictureStore, details: Sequence[str], found: list[dict[str, Any]]
) -> str:
    script = closed_script(asset("miscomp.report", name) for name in _SCRIPTS)
    index = {"beside": store.beside, "questions": wording.QUESTIONS, "items": found}
    if store.beside:
        index["pictures"] = [store.address(number) for number in range(len(store))]
    context: Mapping[str, Any] = {
        "run": run,
        "summary": (summary := summarise(run)),
        "headline": _headline(summary),
        "items": items,
        "store": store,
        "beside": BESIDE,
        "viewed": _viewed(items),
        "seeds": summarise_seeds(run.seeds),
        "seed_places": _seed_places(run),
        "most_seed_places": SEED_PLACES,
        "crops_per_pair": CROPS_PER_PAIR,
        "crops_per_page": CROPS_PER_PAGE,
        "categories": [c.value for c in Category],
        "category_words": wording.CATEGORY_WORDS,
        "limits": (*wording.LIMITS, *_about_faces(run)),
        "questions": wording.QUESTIONS,
        "score": score,
        # What was measured with text says nothing of an audit without.
        "standing": standing_of(run.detector) if run.settings.get("detect.text", True) else None,
        "details": [Markup(text) for text in details],
        "index": Markup(embedded_json(index)),
        "style": Markup(asset("miscomp.report", "report.css") + asset("miscomp.report", "viewer.css")),
        "script": Markup(script),
        "policy": content_policy(script, beside=store.beside),
    }
    return _environment().get_template("report.html.j2").render(context)


def _seed_places(run: Run) -> list[tuple[SeedComparison, SeedPlace]]:
    """The places that the page lists: the best-scored ones of the run."""
    places = [(one, place) for one in run.seeds for place in one.places]
    return sorted(places, key=lambda one: -(one[1].score or 0.0))[:SEED_PLACES]


def _about_faces(run: Run) -> tuple[str, ...]:
    """Whether faces were looked for; nothing where the run's settings do not know of faces."""
    given = run.settings.get("detect.faces")
    return () if given is None else (note_with() if given else note_without(),)


def _viewed(items: Sequence[Item]) -> list[int]:
    """Numbers of the full-size pictures and maps: in the page each has an element of its own, decoded when opened."""
    numbers = {n for i in items for p in i.pairs for n in (p.original, p.reconstruction, p.heat) if n is not None}
    return sorted(numbers)


def _headline(summary: Summary) -> str:
    if not summary.reconstructions:
        return "Nothing was audited"
    if not summary.findings:
        return "No place was found that may have changed in meaning"
    return f"{wording.count(summary.findings, 'place')} may have changed in meaning"
