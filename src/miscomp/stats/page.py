"""The statistics of a corpus as one page: tables, figures, and a gallery in which reconstructions flip in place.

Works from disk, with its script and style inside, and reaches nothing outside its folder; figures and crops are files
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from miscomp.folders import package_version, write_text
from miscomp.records import Annotation
from miscomp.report import wording
from miscomp.report.environment import asset, closed_script, content_policy, embedded_json, page_environment
from miscomp.report.wording import visible
from miscomp.stats.page_gallery import Gallery, GalleryItem
from miscomp.stats.tabular import StatFigure, StatTable
from miscomp.stats.write import html_text
from miscomp.taxonomy import Category

PAGE = "report.html"

_VIEWER = ("base.js", "stage.js", "findings.js", "viewer.js")
"""Scripts of the audit's report, which this page's list takes the place of the audit's list in."""
_WORDS = {
    "box": "Annotation",
    "count": ["annotation", "in this crop"],
    "claim": "annotated",
    "by": "drawn by",
    "of": " · of the whole picture",
    "none": "No annotations",
}


def write_report(
    folder: Path,
    *,
    title: str,
    tables: Sequence[StatTable],
    figures: Sequence[StatFigure],
    gallery: Gallery | None = None,
    facts: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write `folder/report.html` and return its path; the same arguments give the same bytes.

    A figure is shown from `NAME.svg` in the folder. `facts` stand in the page's head: what was looked at, and how many.
    """
    items = gallery.items if gallery else ()
    numbers = {name: number for number, name in enumerate(_files(items))}
    script = closed_script(
        [
            *(asset("miscomp.report", name) for name in _VIEWER),
            asset("miscomp.stats", "gallery.js"),
            asset("miscomp.report", "main.js"),
        ]
    )
    index = {
        "beside": True,
        "words": _WORDS,
        "questions": [],
        "pictures": [quote(name) for name in numbers],
        "items": [_index_of(item, numbers) for item in items],
    }
    context: Mapping[str, Any] = {
        "title": title,
        "facts": (("miscomp", package_version()), *facts),
        "tables": [(one, Markup(html_text(one))) for one in tables],
        "figures": figures,
        "address": lambda name: Markup(quote(name)),
        "gallery": gallery,
        "groups": _groups(items),
        "choices": _choices(items),
        "categories": [one.value for one in Category],
        "category_words": wording.CATEGORY_WORDS,
        "viewer_words": {"item": "annotation", "box": "box", "boxes": "Annotations", "maps": False, "codecs": False},
        "details": [Markup(embedded_json(_details_of(item))) for item in items],
        "index": Markup(embedded_json(index)),
        "style": Markup(_style()),
        "script": Markup(script),
        "policy": content_policy(script, beside=True),
    }
    path = folder / PAGE
    template = page_environment("miscomp.stats", "miscomp.report").get_template("statistics.html.j2")
    write_text(path, template.render(context))
    return path


def _style() -> str:
    report = asset("miscomp.report", "report.css") + asset("miscomp.report", "viewer.css")
    return report + asset("miscomp.stats", "statistics.css")


def _files(items: Sequence[GalleryItem]) -> list[str]:
    """Every crop once, in the order of the page."""
    return list(dict.fromkeys(name for item in items for name in (item.original, item.reconstruction)))


def _groups(items: Sequence[GalleryItem]) -> list[tuple[str, str, list[tuple[int, GalleryItem]]]]:
    """The items by codec and rate, with their numbers in the page."""
    groups: dict[tuple[str, str], list[tuple[int, GalleryItem]]] = {}
    for number, item in enumerate(items):
        groups.setdefault((item.codec, item.rate), []).append((number, item))
    return [(codec, rate, found) for (codec, rate), found in groups.items()]


def _choices(items: Sequence[GalleryItem]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The filters: name, its words, and the values that occur, each with its words."""
    order = [one.value for one in Category]
    found = {
        "codec": sorted({item.codec for item in items}),
        "rate": sorted({item.rate for item in items}, key=lambda rate: ("low", "high", "").index(rate)),
        "category": sorted(
            {name for item in items for name in _names(item.annotation)}, key=lambda one: [*order, "none"].index(one)
        ),
        "labeler": sorted({item.annotation.labeler for item in items}),
    }
    words = {"": "not named", "none": "no category"}
    return [(name, name, [(value, words.get(value, value)) for value in values]) for name, values in found.items()]


def _names(one: Annotation) -> list[str]:
    return [category.value for category in one.categories] or ["none"]


def _index_of(item: GalleryItem, numbers: Mapping[str, int]) -> dict[str, Any]:
    """What the viewer needs of an item at once. The cut says where the crop begins and how much it was reduced."""
    row, area = item.row, item.view.window
    return {
        "name": visible(row.filename),
        "width": row.width,
        "height": row.height,
        "cut": [area.x, area.y, area.w / item.view.width],
        "pairs": [
            {
                "model": visible(row.model),
                "bpp": row.bpp,
                "psnr": "inf" if row.psnr == float("inf") else row.psnr,
                "ssim": row.ssim,
                "msSsim": row.ms_ssim,
                "original": numbers[item.original],
                "reconstruction": numbers[item.reconstruction],
                "heat": None,
                "findings": [
                    [None, [category.value for category in one.categories], int(one.symbol)] for one in _boxes(item)
                ],
            }
        ],
    }


def _boxes(item: GalleryItem) -> tuple[Annotation, ...]:
    return (item.annotation, *item.others)


def _details_of(item: GalleryItem) -> list[dict[str, Any]]:
    """What the viewer needs once an item is opened."""
    area = item.view.window
    notes = (
        [f"The crop is {area.w} pixels wide and is shown reduced to {item.view.width}."] if item.view.reduced else []
    )
    return [{"warnings": notes, "findings": [_box_details(item, one) for one in _boxes(item)]}]


def _box_details(item: GalleryItem, one: Annotation) -> dict[str, Any]:
    area, box = item.view.window, one.box
    share = item.view.width / area.w
    left, top = max(box.x, area.x), max(box.y, area.y)
    right, bottom = min(box.right, area.right), min(box.bottom, area.bottom)
    return {
        "id": visible(one.id),
        "box": [round(v * share, 2) for v in (left - area.x, top - area.y, right - left, bottom - top)],
        "place": [one.x, one.y, one.w, one.h],
        "multi": int(one.multi),
        "foundBy": visible(one.labeler) + (" (simulated)" if one.origin == "simulated" else ""),
        "note": visible(one.note),
        "answers": [],
    }
