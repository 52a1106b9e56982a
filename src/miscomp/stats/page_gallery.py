"""Annotations with their surroundings, cut from a corpus for a report: pixels leave the corpus here.

Every crop's file begins with the SHA-1 of the picture it shows, and the corpus remembers the folder, so that a removal
of the picture finds and deletes its crops. One picture is in memory at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Copied, Reconstruction, now
from miscomp.corpus.labels import PEOPLE
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import COPIED, add, count, fetch
from miscomp.errors import InputError
from miscomp.folders import replacing
from miscomp.images import read
from miscomp.records import Annotation, Failure, ImageRow
from miscomp.report.pictures import CropWindow, crop, crop_window, encode
from miscomp.stats.material import Material, Pair
from miscomp.stats.page_choice import GalleryRequest, cell_of, choose

CROPS = "gallery"
"""Folder beside the page for the crops."""
COPIED_AS = "statistics"
_LEAST, _CONTEXT, _WIDEST = 192, 2.5, 512
"""Pixels of the narrowest crop; how much larger than its box one is; beyond that width it is shown reduced."""
_OTHERS = 24
"""Most other boxes that are shown in a crop."""
_CROP_FILE = re.compile(r"[0-9a-f]{40}-\d+-\d+-\d+-\d+-(original|[0-9a-f]{12})\.(webp|png)")

Report = Callable[[int, int], None]
"""Told how many pictures are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryItem:
    """One annotation as it is shown."""

    annotation: Annotation
    codec: str
    rate: str
    """`low`, `high`, or empty where models are named otherwise."""
    row: ImageRow
    view: CropWindow
    original: str
    """Its crops' files, from the page on."""
    reconstruction: str
    others: tuple[Annotation, ...] = ()
    """More boxes of the same reconstruction that reach into the crop."""

    @property
    def category(self) -> str:
        """The main category, or empty."""
        return self.annotation.categories[0].value if self.annotation.categories else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What is shown, in the order of codec, rate, category and picture, and what is not."""

    items: tuple[GalleryItem, ...]
    annotations: int
    """Boxes in the material that could be shown: all but those of detectors."""
    detections: int = 0
    """Boxes of detectors, which are not shown."""
    simulated: int = 0
    """How many of the boxes shown no person drew."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reasons, and how many boxes could not be shown because of them."""
    failures: tuple[Failure, ...] = ()
    """Files that are damaged or are not what the database says."""


def make_gallery(
    corpus: Corpus, material: Material, folder: Path, request: GalleryRequest, *, report: Report = lambda *_: None
) -> Gallery:
    """Choose annotations and write their crops into `folder/gallery`, in place of what an earlier call wrote there.

    Removed pictures and files that are missing or damaged are left out and counted. The corpus remembers the folder
    before the first crop is written, also one that lies inside it: a removal looks through what it remembers.
    """
    people = [one for one in material.annotations if one.origin in PEOPLE]
    with corpus.reading() as connection:
        made = {(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)}
    left_out: Counter[str] = Counter()
    there = list(_there(corpus, material, people, made, left_out))
    chosen = choose(material, there, request)
    clear_gallery(folder)
    if chosen:
        _remember(corpus, folder)
    cutter = _Cutter(corpus, material, folder, made)
    items = sorted(cutter.cut(chosen, people, report), key=_place)
    left_out["whose files are damaged"] += len(chosen) - len(items)
    return Gallery(
        items=tuple(items),
        annotations=len(people),
        detections=len(material.annotations) - len(people),
        simulated=sum(one.annotation.origin == "simulated" for one in items),
        left_out={reason: number for reason, number in sorted(left_out.items()) if number},
        failures=tuple(cutter.failures.values()),
    )


def _place(item: GalleryItem) -> tuple[object, ...]:
    one = item.annotation
    rate = {"low": 0, "high": 1}.get(item.rate, 2)
    return (item.codec, rate, one.model, item.category == "", item.category, one.image_sha1, one.y, one.x, one.labeler)


def _there(
    corpus: Corpus,
    material: Material,
    boxes: Sequence[Annotation],
    made: Mapping[Pair, Reconstruction],
    left_out: Counter[str],
) -> Iterator[Annotation]:
    """The boxes of pictures whose both files are there."""
    known: dict[Pair, str] = {}
    for one in boxes:
        pair = (one.image_sha1, one.model)
        if pair not in known:
            known[pair] = _absence(corpus, material, pair, made.get(pair))
        if known[pair]:
            left_out[known[pair]] += 1
        else:
            yield one


def _absence(corpus: Corpus, material: Material, pair: Pair, row: Reconstruction | None) -> str:
    source = material.sources.get(pair[0])
    if source is not None and source.removed:
        return "of removed pictures"
    if row is None or not row.file or not corpus.file(row.file).is_file() or not corpus.original(pair[0]).is_file():
        return "whose files are missing"
    return ""


def clear_gallery(folder: Path) -> None:
    """Delete the crops of an earlier call: what is not shown any more may be of a picture that was removed."""
    for path in sorted((folder / CROPS).glob("*")):
        if _CROP_FILE.fullmatch(path.name):
            path.unlink()


def _remember(corpus: Corpus, folder: Path) -> None:
    path = str(folder.resolve())
    with corpus.owned():
        with corpus.writing() as connection:
            if count(connection, Copied, COPIED.c.path == path, COPIED.c.what == COPIED_AS):
                return
            add(connection, [Copied(path=path, what=COPIED_AS, time=now())])
        write_manifest(corpus)


class _Cutter:
    """Goes through the pictures of a gallery, one at a time."""

    def __init__(self, corpus: Corpus, material: Material, folder: Path, made: Mapping[Pair, Reconstruction]) -> None:
        self._corpus = corpus
        self._material = material
        self._folder = folder
        self._made = made
        self._rows = {(one.image_sha1, one.model): one for one in material.images}
        self.failures: dict[str, Failure] = {}

    def cut(self, chosen: Sequence[Annotation], all_boxes: Sequence[Annotation], report: Report) -> list[GalleryItem]:
        """Cut and write what can be read; what cannot is in `failures` then."""
        pictures: dict[str, dict[Pair, list[Annotation]]] = {}
        for one in chosen:
            pair = (one.image_sha1, one.model)
            pictures.setdefault(one.image_sha1, {}).setdefault(pair, []).append(one)
        wanted = {pair for pairs in pictures.values() for pair in pairs}
        beside: dict[Pair, list[Annotation]] = {pair: [] for pair in wanted}
        for one in all_boxes:
            if (one.image_sha1, one.model) in wanted:
                beside[one.image_sha1, one.model].append(one)
        items: list[GalleryItem] = []
        for number, (sha1, pairs) in enumerate(sorted(pictures.items()), 1):
            report(number, len(pictures))
            try:
                original = self._original(sha1)
            except InputError as error:
                self._fail(error)
                continue
            for pair, boxes in sorted(pairs.items()):
                try:
                    reconstruction = self._reconstruction(pair, original.size)
                except InputError as error:
                    self._fail(error)
                    continue
                items += [self._item(one, (original, reconstruction), beside[pair]) for one in boxes]
        return items

    def _item(
        self, one: Annotation, pictures: tuple[Image.Image, Image.Image], boxes: Sequence[Annotation]
    ) -> GalleryItem:
        view = crop_window(one.box, *pictures[0].size, least=_LEAST, context=_CONTEXT, widest=_WIDEST)
        codec, rate, _ = cell_of(self._material, one)
        others = [other for other in boxes if other != one and other.box.intersection(view.window)]
        model = hashlib.sha256(one.model.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return GalleryItem(
            annotation=one,
            codec=codec,
            rate=rate,
            row=self._rows[one.image_sha1, one.model],
            view=view,
            original=self._write(one, view, "original", pictures[0]),
            reconstruction=self._write(one, view, model, pictures[1]),
            others=tuple(others[:_OTHERS]),
        )

    def _write(self, one: Annotation, view: CropWindow, which: str, picture: Image.Image) -> str:
        content, suffix = encode(crop(picture, view))
        area = view.window
        name = f"{CROPS}/{one.image_sha1}-{area.x}-{area.y}-{area.w}-{area.h}-{which}{suffix}"
        path = self._folder / name
        if not path.is_file():  # an equal area of the original was cut for another model's box
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(content)
        return name

    def _original(self, sha1: str) -> Image.Image:
        path = self._corpus.original(sha1)
        picture = read(path, max_megapixels=self._corpus.config.images.max_megapixels)
        if picture.image_sha1 != sha1:
            raise InputError(path, "its content is not what its name says; see: miscomp corpus verify")
        return Image.fromarray(picture.pixels)

    def _reconstruction(self, pair: Pair, size: tuple[int, int]) -> Image.Image:
        row = self._made[pair]
        path = self._corpus.file(row.file)
        picture = read(path, max_megapixels=self._corpus.config.images.max_megapixels)
        if picture.pixel_sha256 != (row.pixel_sha256 or picture.pixel_sha256):
            raise InputError(path, "its pixels are not those that the database knows; see: miscomp corpus verify")
        if (picture.width, picture.height) != size:
            raise InputError(path, f"has {picture.width} x {picture.height} pixels, its original {size[0]} x {size[1]}")
        return Image.fromarray(picture.pixels)

    def _fail(self, error: InputError) -> None:
        self.failures[error.where] = Failure(name=error.where, reason=error.problem)
