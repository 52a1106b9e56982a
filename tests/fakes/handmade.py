"""Materials written down row by row, for statistics that can be counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planned import sha1_of

from miscomp.records import Annotation, Box, ImageRow, View, display_id
from miscomp.stats.material import Material


def image(number: int, model: str, **values: Any) -> ImageRow:
    sha1 = sha1_of(number)
    fields: dict[str, Any] = {"filename": f"{sha1}.png", "image_sha1": sha1, "model": model, "bpp": 0.25}
    return ImageRow(**{**fields, "width": 100, "height": 100, **values})


def box(number: int, model: str, place: tuple[int, int, int, int], who: str = "ann", **values: Any) -> Annotation:
    sha1, drawn = sha1_of(number), Box(*place)
    fields: dict[str, Any] = {"filename": f"{sha1}.png", "image_sha1": sha1, "model": model, "labeler": who}
    where = {"x": drawn.x, "y": drawn.y, "w": drawn.w, "h": drawn.h}
    return Annotation(**{**fields, **where, "id": display_id(sha1, model, drawn), "origin": "simulated", **values})


def view(number: int, model: str, who: str = "ann") -> View:
    sha1 = sha1_of(number)
    return View(filename=f"{sha1}.png", image_sha1=sha1, model=model, labeler=who)


def material(
    images: Sequence[ImageRow],
    boxes: Sequence[Annotation] = (),
    views: Sequence[View] | None = (),
    codecs: Mapping[str, str] | None = None,
    **values: Any,
) -> Material:
    return Material(
        images=tuple(images),
        annotations=tuple(boxes),
        views=None if views is None else tuple(views),
        codecs=codecs or {},
        **values,
    )
