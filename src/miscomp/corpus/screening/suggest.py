"""What detectors see in the pictures, stored for the screeners as suggestions; never a decision.

A detector misses things, and sees things that are not there: a picture that it finds nothing in may hold all of the
criteria's reasons to include it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import SourceImage, Suggestion, now
from miscomp.corpus.schema import IMAGE, fetch, put
from miscomp.corpus.screening.decisions import read_original
from miscomp.errors import MiscompError, UnknownName, UsageError
from miscomp.folders import package_version
from miscomp.images import Pixels
from miscomp.records import Box

CELL = 16
"""Pixels a side of the cells that `detail` counts."""

_BLUR = 1.0
_STANDS_OUT = 5.0
_SHARE = 0.36
_MOST_REGIONS = 64
_LEAST_CELLS = 4
_DETAIL_VERSION = "1"

Seen = tuple[float, list[Box]]
"""The value that is stored, and where."""


@dataclass(frozen=True, slots=True)
class Suggester:
    """A detector that looks at one picture."""

    kind: str
    detector: str
    version: str
    """With another version, pictures are looked at again."""
    look: Callable[[Pixels], Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """What a run did."""

    made: Mapping[str, int]
    """By kind."""
    kept: int
    """Suggestions that were there, by the same version."""
    failures: tuple[str, ...]


def detail(pixels: Pixels) -> Seen:
    """Share of 16 x 16 cells full of small structures, in [0, 1], and the boxes of the largest areas of such cells.

    A cell is full where more than 36 % of its pixels differ by more than 5 of 255 levels from their surroundings (grey,
    Gaussian blur of 1 pixel): text, fences and leaves are; skies, blurred backgrounds and a single edge, of whatever
    contrast and direction, are not. Film grain and sensor noise count as structures. Borders of less than a cell are
    left out; a picture smaller than a cell has none.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    stands_out = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), _BLUR)) > _STANDS_OUT
    rows, columns = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    if not rows * columns:
        return 0.0, []
    cells = stands_out[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    full = cells.mean(axis=(1, 3)) > _SHARE
    _, _, found, _ = cv2.connectedComponentsWithStats(full.astype(np.uint8), connectivity=4)
    areas = sorted((area for area in found[1:].tolist() if area[4] >= _LEAST_CELLS), key=lambda a: (-a[4], a[1], a[0]))
    boxes = [Box(*(value * CELL for value in area[:4])) for area in areas[:_MOST_REGIONS]]
    return float(full.mean()), boxes


def _detail(_: str) -> Suggester:
    return Suggester("detail", "detail", _DETAIL_VERSION, detail)


def _text(_: str) -> Suggester:
    from miscomp.detect.reader import RapidReader

    reader = RapidReader()
    # Tried once, so that a missing extra stops the work before it begins.
    reader.read(np.zeros((64, 64, 3), dtype=np.uint8))

    def look(pixels: Pixels) -> Seen:
        words = reader.read(pixels)
        return float(len(words)), [word.box for word in words]

    return Suggester("text", "rapidocr", package_version("rapidocr"), look)


def _faces(weights: str) -> Suggester:
    from miscomp.detect.faces import open_faces

    source = open_faces(weights)

    def look(pixels: Pixels) -> Seen:
        faces = source.find(pixels)
        return float(len(faces)), [face.box for face in faces]

    return Suggester("face", "faces", source.identity, look)


SUGGESTERS: Mapping[str, Callable[[str], Suggester]] = {"text": _text, "faces": _faces, "detail": _detail}
"""By the name on the command line; each is opened with the weights of the face detector."""


def open_suggesters(names: Sequence[str], *, faces: str = "") -> list[Suggester]:
    """Detectors by name, each once, ready to look.

    `faces` names the weights that only `faces` needs. Raises `UnknownName`, `UsageError` for missing weights,
    `WeightsError` for wrong ones and `MissingExtra`.
    """
    for name in names:
        if name not in SUGGESTERS:
            raise UnknownName("detector", name, SUGGESTERS)
    if not names:
        raise UsageError(f"name a detector: {', '.join(SUGGESTERS)}, with commas between several")
    if faces and "faces" not in names:
        raise UsageError("the weights of a face detector are of use to --suggest faces only; add it, or leave them out")
    return [SUGGESTERS[name](faces) for name in dict.fromkeys(names)]


def suggest(
    corpus: Corpus,
    suggesters: Sequence[Suggester],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Suggested:
    """Show every picture that was not removed to every detector that has not seen it, and store what it sees.

    Stored picture by picture: after a kill, another run goes on where it stopped. Pictures that fail are listed.
    """
    with corpus.reading() as connection:
        images = fetch(connection, SourceImage, IMAGE.c.removed == "")
        there = {(one.image_sha1, one.detector, one.kind, one.version) for one in fetch(connection, Suggestion)}
    made = {one.kind: 0 for one in suggesters}
    kept, failures = 0, []
    for done, image in enumerate(images):
        progress(done, len(images))
        wanted = [one for one in suggesters if (image.image_sha1, one.detector, one.kind, one.version) not in there]
        kept += len(suggesters) - len(wanted)
        try:
            rows = _looked(corpus, image, wanted) if wanted else []
        except MiscompError as error:
            failures.append(str(error))
            continue
        with corpus.writing() as connection:
            put(connection, rows)
        for row in rows:
            made[row.kind] += 1
    progress(len(images), len(images))
    return Suggested(made=made, kept=kept, failures=tuple(failures))


def _looked(corpus: Corpus, image: SourceImage, suggesters: Sequence[Suggester]) -> list[Suggestion]:
    pixels = read_original(corpus, image)
    rows = []
    for one in suggesters:
        value, boxes = one.look(pixels)
        regions = json.dumps([[box.x, box.y, box.w, box.h] for box in boxes])
        rows.append(
            Suggestion(
                image_sha1=image.image_sha1,
                detector=one.detector,
                version=one.version,
                kind=one.kind,
                value=value,
                regions=regions,
                time=now(),
            )
        )
    return rows
