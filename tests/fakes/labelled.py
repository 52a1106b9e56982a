"""Labels by simulated labelers whose disagreement is known: each rates a tile as it is, but for chance errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from corpora import TIME, add_picture, add_reconstruction, label, picture
from planned import image_row, reconstruction_row, sha1_of

from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import ModelEntry, MultiFlag, Seen
from miscomp.corpus.schema import add
from miscomp.records import Annotation, Box, ImageRow, ModelRow, View, display_id
from miscomp.stats.material import Material
from miscomp.taxonomy import Category, Origin

MODELS = ("01L", "01H")
PEOPLE = ("ann", "bob", "cem")
SOURCES = ("made", "street", "faces")
"""What a third of the pictures each say that they come from."""


def theoretical_alpha(prevalence: float, error: float) -> float:
    """Krippendorff's alpha that simulated labelers have in the long run.

    Two of them differ on a tile with 2e(1 - e), whatever is in it; each annotates a tile with q = p(1 - e) + (1 - p)e,
    so that chance alone would let them differ with 2q(1 - q). With several models, p is the mean.
    """
    q = prevalence * (1 - error) + (1 - prevalence) * error
    return 1 - error * (1 - error) / (q * (1 - q))


def simulated(
    images: int = 50,
    labelers: Sequence[str] = PEOPLE,
    per_side: int = 4,
    prevalence: float | Mapping[str, float] = 0.2,
    error: float = 0.1,
    seed: int = 0,
    models: Sequence[str] = MODELS,
    *,
    unseen: float = 0.0,
    size: tuple[int, int] = (640, 480),
    sha1s: Sequence[str] | None = None,
    detectors: Sequence[str] = (),
) -> Material:
    """Labels whose rating of each tile is the truth, flipped with probability `error`.

    A tile of truth holds a miscompression with probability `prevalence` (one for all models, or one each). What a
    labeler calls annotated is a small box inside the tile, so that ratings are known exactly at `per_side` and at what
    divides it. `unseen`: how likely a labeler has not seen a reconstruction. `detectors`: which of `labelers` are such.
    """
    rng = np.random.default_rng(seed)
    pictures = tuple(sha1s) if sha1s is not None else tuple(sha1_of(number) for number in range(images))
    wanted = {name: prevalence if isinstance(prevalence, int | float) else prevalence[name] for name in models}
    boxes: list[Annotation] = []
    views: list[View] = []
    rows: list[ImageRow] = []
    for number, sha1 in enumerate(pictures):
        for model in models:
            truth = rng.random((per_side, per_side)) < wanted[model]
            drawn: list[Annotation] = []
            for who in labelers:
                rated = truth ^ (rng.random(truth.shape) < error)
                if rng.random() < unseen:
                    continue
                views.append(_view(sha1, model, who))
                origin = Origin.DETECTOR if who in detectors else Origin.SIMULATED
                drawn += [
                    _annotation(sha1, model, who, _box(rng, (int(column), int(row)), per_side, size), origin, rng)
                    for row, column in np.argwhere(rated)
                ]
            boxes += drawn
            rows.append(_image_row(sha1, model, size, number, drawn, rng))
    return Material(
        images=tuple(rows),
        annotations=tuple(boxes),
        views=tuple(views),
        models={name: _model_row(name) for name in models},
        codecs={name: model_of(name).codec for name in models},
        sources={sha1: _source(number, sha1, size) for number, sha1 in enumerate(pictures)},
    )


def model_of(name: str) -> Model:
    """A classical codec for a name such as `03L`: odd codecs are JPEG, even ones WebP."""
    spec = f"{'jpeg' if int(name[:2]) % 2 else 'webp'}@q{10 if name.endswith('L') else 60}"
    return Model(model=name, codec=f"C{int(name[:2])}", spec=spec, target_bpp=0.25 if name.endswith("L") else 0.75)


def write_corpus(folder: Path, *, pixels: bool = False, images: int = 50, **settings: Any) -> Corpus:
    """The corpus of what `simulated` makes with the same arguments, with views; its title says what it is.

    Rows only, of 640 x 480; with `pixels`, pictures of 192 x 176 and what JPEG and WebP make of them.
    """
    names = tuple(settings.get("models", MODELS))
    about = {"title": "Labels by simulated labelers"}
    config = Config.model_validate({"models": [model_of(name).model_dump() for name in names], "about": about})
    corpus = create_corpus(folder, config)
    with corpus.writing() as connection:
        add(connection, [_model_entry(name) for name in names])
    if pixels:
        made = [picture(number) for number in range(images)]
        sha1s = [
            add_picture(corpus, one, name=f"ramp{number}.png", source=SOURCES[number % len(SOURCES)])
            for number, one in enumerate(made)
        ]
        for sha1, one in zip(sha1s, made, strict=True):
            for name in names:
                add_reconstruction(corpus, sha1, one, model_of(name))
        return put_labels(corpus, simulated(images, sha1s=sha1s, size=(192, 176), **settings))
    material = simulated(images, **settings)
    with corpus.writing() as connection:
        add(connection, list(material.sources.values()))
        add(
            connection,
            [
                reconstruction_row(one.image_sha1, one.model, width=one.width, height=one.height, bpp=one.bpp)
                for one in material.images
            ],
        )
    return put_labels(corpus, material)


def put_labels(corpus: Corpus, material: Material) -> Corpus:
    """Put a material's boxes and views into a corpus that has its pictures."""
    events = [
        label(
            one.image_sha1,
            one.model,
            one.box,
            one.labeler,
            origin=one.origin,
            version=one.version,
            category=one.category,
            symbol=one.symbol,
            multi=one.multi,
        )
        for one in material.annotations
    ]
    seen = [
        Seen(
            image_sha1=one.image_sha1,
            model=one.model,
            labeler=one.labeler,
            batch=one.batch,
            opened=TIME,
            closed=TIME,
        )
        for one in material.views or ()
    ]
    with corpus.writing() as connection:
        add(connection, events)
        add(connection, seen)
        add(connection, _flags(material.annotations))
    return corpus


def _flags(boxes: Iterable[Annotation]) -> list[MultiFlag]:
    flagged = sorted({(one.image_sha1, one.model, one.labeler) for one in boxes if one.multi})
    return [
        MultiFlag(uuid=f"{number:032x}", image_sha1=sha1, model=model, labeler=who, multi=True, time=TIME)
        for number, (sha1, model, who) in enumerate(flagged)
    ]


def _box(rng: np.random.Generator, tile: tuple[int, int], per_side: int, size: tuple[int, int]) -> Box:
    """A box in the middle of a tile, at least one pixel away from its borders where the tile is large enough."""
    (left, width), (top, height) = (
        _span(rng, index * length // per_side, (index + 1) * length // per_side)
        for index, length in zip(tile, size, strict=True)
    )
    return Box(left, top, width, height)


def _span(rng: np.random.Generator, begin: int, end: int) -> tuple[int, int]:
    length = end - begin
    margin = max(length // 8, min(length // 3, 1))
    inside = length - 2 * margin
    extent = int(rng.integers(max(inside // 3, 1), inside + 1))
    return begin + margin + int(rng.integers(0, inside - extent + 1)), extent


def _annotation(sha1: str, model: str, who: str, box: Box, origin: Origin, rng: np.random.Generator) -> Annotation:
    categories = tuple(Category)
    return Annotation(
        id=display_id(sha1, model, box),
        filename=f"{sha1}.png",
        image_sha1=sha1,
        model=model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler=who,
        origin=origin,
        version="simulated 1" if origin == Origin.DETECTOR else "",
        category=str(categories[int(rng.integers(len(categories)))]) if rng.random() < 0.8 else "",
        symbol=bool(rng.random() < 0.25),
        multi=bool(rng.random() < 0.05),
        time="" if origin == Origin.DETECTOR else TIME,
    )


def _image_row(
    sha1: str,
    model: str,
    size: tuple[int, int],
    number: int,
    drawn: Sequence[Annotation],
    rng: np.random.Generator,
) -> ImageRow:
    people = [one for one in drawn if one.origin != Origin.DETECTOR]
    return ImageRow(
        filename=f"{sha1}.png",
        image_sha1=sha1,
        model=model,
        width=size[0],
        height=size[1],
        source=SOURCES[number % len(SOURCES)],
        bpp=float(model_of(model).target_bpp or 0.25) * float(rng.uniform(0.6, 1.6)),
        psnr=30.0,
        ssim=0.9,
        ms_ssim=0.9,
        annotations=len(people),
        multi=any(one.multi for one in drawn),
    )


def _view(sha1: str, model: str, who: str) -> View:
    return View(filename=f"{sha1}.png", image_sha1=sha1, model=model, labeler=who, opened=TIME, closed=TIME)


def _source(number: int, sha1: str, size: tuple[int, int]) -> Any:
    row = image_row(number, width=size[0], height=size[1], source=SOURCES[number % len(SOURCES)])
    return replace(row, image_sha1=sha1)


def _model_row(name: str) -> ModelRow:
    codec, setting = model_of(name).spec.split("@")
    return ModelRow(model=name, codec=codec, setting=setting, target_bpp=model_of(name).target_bpp, version="Pillow")


def _model_entry(name: str) -> ModelEntry:
    model = model_of(name)
    codec, setting = model.spec.split("@")
    return ModelEntry(
        model=name,
        codec=model.codec,
        spec=model.spec,
        codec_name=codec,
        setting=setting,
        target_bpp=model.target_bpp,
        weights_sha256="",
        seed=None,
        version="Pillow",
        stand_in="",
    )
