"""An evaluation as one HTML page without scripts, which works from disk and reaches nothing outside."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from miscomp.folders import write_text
from miscomp.report import wording
from miscomp.report.environment import asset, page_environment
from miscomp.report.pictures import PictureStore
from miscomp.report.summary import Mean
from miscomp.secure.edits import EDITS
from miscomp.secure.evaluation import RESAMPLES, Group, SecureEvaluation, published_of
from miscomp.secure.evaluation_sheets import Drawn, drawn_pictures
from miscomp.secure.evaluation_store import EvaluationFolder
from miscomp.secure.published import SOURCE, WARNING
from miscomp.secure.trials import CODED, UNCODED

PAGE = "evaluation.html"
LIMIT_MB = 30.0
"""A page whose pictures would pass this keeps them in a folder beside it."""

NOT_DRAWN = "Not drawn: --no-plots was given."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A picture and its re-compression, by their numbers in the page's store."""

    title: str
    before: int
    after: int
    psnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A picture with everything that was made of it."""

    filename: str
    x: int
    psnr_db: float
    again: Pair
    edits: tuple[Pair, ...]


def write_page(evaluation: SecureEvaluation, store: EvaluationFolder, *, plots: bool = True) -> Path:
    """Write `evaluation.html`, with the small copies and plots that lie in the folder."""
    pictures = PictureStore(store.path, limit_bytes=LIMIT_MB * 1e6)
    galleries = [_gallery(one, pictures) for one in drawn_pictures(evaluation, store)]
    context: Mapping[str, Any] = {
        "evaluation": evaluation,
        "coding": evaluation.coding,
        "rows": [(group, _control(evaluation, group)) for group in evaluation.groups if group.picture == CODED],
        "first": evaluation.find(CODED),
        "untouched": evaluation.find(UNCODED),
        "published": [(group, dict(theirs)) for group, theirs in _published(evaluation)],
        "source": SOURCE,
        "warning": WARNING,
        "resamples": RESAMPLES,
        "galleries": galleries,
        "plots": list(_plots(store.path / "plots")) if plots else [],
        "no_plots": "There is nothing to draw." if plots else NOT_DRAWN,
        "store": pictures,
        "style": Markup(asset("miscomp.report", "report.css") + asset("miscomp.secure", "evaluation.css")),
    }
    path = store.path / PAGE
    write_text(path, _environment().get_template("evaluation.html.j2").render(context))
    return path


def _control(evaluation: SecureEvaluation, group: Group) -> Group | None:
    return evaluation.find(UNCODED, group.edit) if group.as_asked else None


def _published(evaluation: SecureEvaluation) -> Iterator[tuple[Group, Sequence[tuple[str, float]]]]:
    for group in evaluation.groups:
        theirs = published_of(group, evaluation.published)
        if theirs:
            yield group, theirs


def _gallery(one: Drawn, store: PictureStore) -> Gallery:
    def add(name: str) -> int:
        with Image.open(one.file(name)) as image:
            return store.add(image.convert("RGB"))

    return Gallery(
        filename=one.filename,
        x=add("x"),
        psnr_db=one.psnr_db,
        again=Pair(title="", before=add("x1"), after=add("x2"), psnr_db=one.again.psnr_db),
        edits=tuple(
            Pair(title=EDITS[row.edit].title, before=add(row.edit), after=add(f"{row.edit}.again"), psnr_db=row.psnr_db)
            for row in one.edits
        ),
    )


def _plots(folder: Path) -> Iterator[tuple[str, Markup]]:
    from miscomp.secure.evaluation_plots import TITLES

    for name, title in TITLES.items():
        file = folder / f"{name}.svg"
        if file.is_file():
            content = base64.b64encode(file.read_bytes()).decode("ascii")
            yield title, Markup(f"data:image/svg+xml;base64,{content}")


def _percent(mean: Mean | None) -> str:
    return wording.number(None if mean is None else 100 * mean.value, 1)


def _environment() -> Environment:
    environment = page_environment("miscomp.secure")
    environment.filters |= {"percent": _percent}
    return environment
