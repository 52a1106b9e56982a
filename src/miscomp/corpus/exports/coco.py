"""COCO detection JSON: what most detectors are trained and scored with.

Removed pictures are not in it, as nothing can be trained on them; their boxes are in `annotations.csv`.
"""

from __future__ import annotations

import json
from typing import Any

from miscomp.corpus.exports.release import Release, published_original, published_reconstruction
from miscomp.corpus.exports.snapshot import Snapshot
from miscomp.corpus.exports.wording import licence_url
from miscomp.errors import InputError
from miscomp.records import Annotation, ImageRow
from miscomp.taxonomy import Category

FILE = "coco.json"
UNCATEGORISED = "UNCATEGORISED"
CATEGORIES = (*(one.value for one in Category), UNCATEGORISED)
"""Number 1 to 4; the number follows from the place."""


def write_coco(release: Release) -> None:
    """Write `coco.json`: images are the reconstructions, the original stands beside each."""
    release.write(FILE, json.dumps(coco(release.snapshot), indent=None, separators=(",", ":"), allow_nan=False) + "\n")


def coco(snapshot: Snapshot) -> dict[str, Any]:
    """The file's content. Raises `InputError` for a box of a pair that has no reconstruction."""
    about = snapshot.config.about
    licences = sorted({one.licence for one in snapshot.sources})
    licence_of = {one.image_sha1: licences.index(one.licence) + 1 for one in snapshot.sources}
    removed = snapshot.removed
    shown = [one for one in snapshot.images if one.image_sha1 not in removed]
    image_of = {(one.image_sha1, one.model): number for number, one in enumerate(shown, 1)}
    boxes = [one for one in snapshot.annotations if one.image_sha1 not in removed]
    for one in boxes:
        if (one.image_sha1, one.model) not in image_of:
            raise InputError(one.id, "is a box of a pair that has no reconstruction; see: miscomp corpus verify")
    return {
        "info": {
            "description": about.description or snapshot.title,
            "url": about.url,
            "version": about.version,
            "year": int(snapshot.newest[:4]) if snapshot.newest else None,
            "contributor": ", ".join(about.creators),
            "date_created": snapshot.newest,
            "annotations_licence": about.licence,
            "removed_pictures": len(removed),
        },
        "licenses": [{"id": number, "name": name, "url": licence_url(name)} for number, name in enumerate(licences, 1)],
        "categories": [
            {"id": number, "name": name, "supercategory": "miscompression"} for number, name in enumerate(CATEGORIES, 1)
        ],
        "images": [_image(one, number, licence_of[one.image_sha1]) for number, one in enumerate(shown, 1)],
        "annotations": [
            _annotation(one, number, image_of[one.image_sha1, one.model]) for number, one in enumerate(boxes, 1)
        ],
    }


def _image(row: ImageRow, number: int, licence: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": published_reconstruction(row.image_sha1, row.model),
        "width": row.width,
        "height": row.height,
        "license": licence,
        "date_captured": "",
        "original_file_name": published_original(row.image_sha1),
        "image_sha1": row.image_sha1,
        "model": row.model,
        "source": row.source,
        "bpp": row.bpp,
        "multi": row.multi,
    }


def _annotation(row: Annotation, number: int, image: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": number,
        "image_id": image,
        "category_id": CATEGORIES.index(row.categories[0].value if row.categories else UNCATEGORISED) + 1,
        "bbox": [float(value) for value in (row.x, row.y, row.w, row.h)],
        "area": float(row.box.area),
        "iscrowd": 0,
        "segmentation": [],
        "annotation_id": row.id,
        "category": row.category,
        "labeler": row.labeler,
        "origin": row.origin,
        "symbol": row.symbol,
        "multi": row.multi,
    }
    if row.score is not None:
        found["score"] = row.score
    return found
