"""A row of a foreign table as a row of the corpus: what it says is checked, what it does not say stays empty."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import Any

from miscomp.corpus.entries import MultiFlag, Reconstruction, Seen, SourceImage, now
from miscomp.corpus.imports.mapping import Defaults
from miscomp.corpus.imports.tables import Row
from miscomp.records import Annotation, Box, ImageRow, View, display_id
from miscomp.taxonomy import MultiKind

FROM_IMPORT = "from an imported release; its numbers are as that states them"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "miscomp corpus import")
_TEXTS = ("labeler", "origin", "version", "category", "multi_kind", "note", "time")
_UNITS = ("score", "changed", "relevant", "suspicion", "expected")


def uuid_of(what: str, *content: object) -> str:
    """The same for the same content, so that importing twice adds nothing."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([what, *content])))


def annotation_uuid(one: Annotation) -> str:
    """The name of the event that adds this box."""
    return uuid_of("annotation", values_of(one))


def values_of(one: Annotation) -> dict[str, Any]:
    """Its fields by name; `asdict`, which copies deeply, takes ten times as long."""
    return {name: getattr(one, name) for name in Annotation.__dataclass_fields__}


def image_row(row: Row, sha1: str, model: str) -> tuple[ImageRow, int | None]:
    """What a table of images says, and how many annotations it counts. Raises `ValueError` for what cannot be."""
    count = None if row.number("annotations") is None else row.whole("annotations")
    checked = ImageRow(
        filename=f"{sha1}.png",
        image_sha1=sha1,
        model=model,
        width=row.whole("width"),
        height=row.whole("height"),
        source=row.text("source"),
        bpp=row.number("bpp"),
        psnr=row.number("psnr"),
        ssim=row.number("ssim"),
        ms_ssim=row.number("ms_ssim"),
        annotations=count or 0,
    )
    return checked, count


def new_source(row: Row, image_sha1: str, defaults: Defaults) -> SourceImage:
    """A photograph of which no file is here: no hashes, no bytes. Raises `ValueError` for what cannot be."""
    width, height = row.whole("width"), row.whole("height")
    if width < 1 or height < 1:
        raise ValueError(f"an image needs width, height >= 1, got {width} x {height}")
    removed = _must_say(row, "removed")
    return SourceImage(
        image_sha1=image_sha1,
        sha256="",
        pixel_sha256=row.text("pixel_sha256"),
        width=width,
        height=height,
        size_bytes=0,
        name=row.text("name" if row.table.role == "sources" else "filename"),
        origin_sha256="",
        origin_width=0,
        origin_height=0,
        source=row.text("source"),
        licence=row.text("licence") or defaults.licence,
        split=row.text("split") or defaults.split,
        note=FROM_IMPORT,
        added=now(),
        removed=now() if removed else "",
        removed_reason="removed before it was published" if removed else "",
    )


def new_reconstruction(checked: ImageRow) -> Reconstruction:
    """A reconstruction of which no file is here; its rate and quality are as stated."""
    return Reconstruction(
        image_sha1=checked.image_sha1,
        model=checked.model,
        stream_file="",
        stream_sha256="",
        stream_bytes=0,
        file="",
        sha256="",
        pixel_sha256="",
        width=checked.width,
        height=checked.height,
        quality=None,
        bpp=checked.bpp,
        psnr=checked.psnr,
        ssim=checked.ssim,
        ms_ssim=checked.ms_ssim,
        encode_s=None,
        decode_s=None,
        version="",
        weights_sha256="",
        environment="",
        note=FROM_IMPORT,
    )


def box_of(row: Row) -> Box:
    """The box of a row. Raises `ValueError` for one that is none."""
    return Box(row.whole("x"), row.whole("y"), row.whole("w"), row.whole("h"))


def annotation(row: Row, pair: tuple[str, str], labeler: str, defaults: Defaults) -> Annotation:
    """A row of annotations; `labeler` is for a row that names none. Raises `ValueError` for what cannot be."""
    sha1, model = pair
    box = box_of(row)
    texts = {name: row.text(name) for name in _TEXTS}
    texts["labeler"] = texts["labeler"] or labeler
    texts["origin"] = texts["origin"] or str(defaults.origin)
    texts["time"] = texts["time"] or ("" if row.has("time") else defaults.time)
    if foreign := foreign_id(row, pair, box):
        texts["note"] = f"id in the release: {foreign[:200]}" + (f"; {texts['note']}" if texts["note"] else "")
    values: dict[str, Any] = {**asdict(box), **texts, **{name: row.number(name) for name in _UNITS}}
    return Annotation(
        id=display_id(sha1, model, box),
        filename=f"{sha1}.png",
        image_sha1=sha1,
        model=model,
        symbol=_must_say(row, "symbol"),
        multi=_must_say(row, "multi"),
        **values,
    )


def foreign_id(row: Row, pair: tuple[str, str], box: Box) -> str:
    """The id of a row where it is not made of image and box as ours are; the model in it may be spelled otherwise."""
    given = row.text("id")
    first, _, rest = given.partition("-")
    same = (first.lower(), rest.rpartition("-")[2].lower()) == (pair[0][:8], box.hash8)
    return "" if same else given


def _must_say(row: Row, name: str) -> bool:
    truth = row.truth(name)
    if truth is None:
        raise ValueError(f"{name} must say yes or no, got {row.text(name)[:80]!r}; see [values] of the mapping")
    return truth


def flag(row: Row, pair: tuple[str, str], labeler: str, time: str) -> MultiFlag:
    """The flag of a row of images that says more than no: yes, how many, a kind, or words, which become its note."""
    text = "" if row.truth("multi") else row.text("multi")
    kind = text.casefold() if text.casefold() in tuple(MultiKind) else ""
    counted = text.removesuffix(".0").isdigit()
    note = "" if kind or counted else text[:1000]
    return MultiFlag(
        uuid=uuid_of("flag", *pair, labeler, kind, note),
        image_sha1=pair[0],
        model=pair[1],
        labeler=labeler,
        multi=True,
        kind=kind,
        note=note,
        time=time,
    )


def seen(row: Row, pair: tuple[str, str], labeler: str) -> Seen:
    """Who saw a pair, and when if the row says so. Raises `ValueError` for what cannot be."""
    values = {name: row.text(name) for name in ("batch", "opened", "closed")}
    view = View(filename=f"{pair[0]}.png", image_sha1=pair[0], model=pair[1], labeler=labeler, **values)
    return Seen(image_sha1=view.image_sha1, model=view.model, labeler=view.labeler, **values)
