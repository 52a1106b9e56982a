"""A small corpus that tests make: ramps with blocks of noise, and labels by people who do not exist."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import Connection

from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import Corpus, create_corpus, original_file, reconstruction_file, stream_file
from miscomp.corpus.entries import (
    Action,
    LabelEvent,
    ModelEntry,
    MultiFlag,
    Reconstruction,
    Seen,
    SourceImage,
)
from miscomp.corpus.schema import add
from miscomp.images import Pixels, pixel_sha256
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim
from miscomp.records import Box, display_id

TIME = "2025-10-27T09:30:00Z"
MODELS = (
    Model(model="01L", codec="C1", spec="jpeg@q10", target_bpp=0.25),
    Model(model="01H", codec="C1", spec="jpeg@q60", target_bpp=0.75),
    Model(model="02L", codec="C2", spec="webp@q10", target_bpp=0.25, stand_in="for a test"),
    Model(model="02H", codec="C2", spec="webp@q60", target_bpp=0.75),
)
BOXES = (Box(16, 24, 40, 32), Box(100, 90, 24, 20))
"""What each labeler of the small corpus draws in the first picture's `01L` and `02L`."""
LABELERS = ("ann", "bob")


def picture(seed: int, *, width: int = 192, height: int = 176) -> Pixels:
    """A ramp with blocks of noise, the same on every machine."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:height, None], ramp[::-1]), axis=-1).copy()
    for _ in range(4):
        x, y = int(rng.integers(0, width - 40)), int(rng.integers(0, height - 40))
        pixels[y : y + 40, x : x + 40] = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return pixels


def png(pixels: Pixels) -> bytes:
    """A PNG file's content."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=3)
    return file.getvalue()


def small_config(**settings: object) -> Config:
    """Two classical codecs at two qualities."""
    return Config.model_validate({"models": [one.model_dump() for one in MODELS], **settings})


def add_picture(corpus: Corpus, pixels: Pixels, *, name: str, source: str = "ramps", split: str = "test") -> str:
    """Put a picture into a corpus as `miscomp corpus add` would, and return its SHA-1."""
    content = png(pixels)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    path = corpus.folder / original_file(sha1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    height, width = pixels.shape[:2]
    row = SourceImage(
        image_sha1=sha1,
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=pixel_sha256(pixels),
        width=width,
        height=height,
        size_bytes=len(content),
        name=name,
        origin_sha256=hashlib.sha256(name.encode()).hexdigest(),
        origin_width=width,
        origin_height=height,
        source=source,
        licence="CC0-1.0",
        split=split,
        added=TIME,
    )
    with corpus.writing() as connection:
        add(connection, [row])
    return sha1


def add_reconstruction(corpus: Corpus, image_sha1: str, pixels: Pixels, model: Model) -> None:
    """Put what a classical codec makes of a picture into a corpus."""
    name, quality = model.spec.split("@q")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=name.upper(), quality=int(quality))
    stream = file.getvalue()
    made = np.asarray(Image.open(io.BytesIO(stream)).convert("RGB"))
    content = png(made)
    paths = {stream_file(image_sha1, model.model, f".{name}"): stream}
    paths |= {reconstruction_file(image_sha1, model.model): content}
    for relative, written in paths.items():
        path = corpus.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written)
    height, width = pixels.shape[:2]
    first, second = paths
    row = Reconstruction(
        image_sha1=image_sha1,
        model=model.model,
        stream_file=first,
        stream_sha256=hashlib.sha256(stream).hexdigest(),
        stream_bytes=len(stream),
        file=second,
        sha256=hashlib.sha256(content).hexdigest(),
        pixel_sha256=pixel_sha256(made),
        width=width,
        height=height,
        quality=float(quality),
        bpp=8 * len(stream) / (width * height),
        psnr=psnr_pixels(pixels, made),
        ssim=ssim(pixels, made),
        ms_ssim=ms_ssim(pixels, made),
        encode_s=0.01,
        decode_s=0.01,
        version="Pillow",
        weights_sha256="",
        environment="0" * 16,
        made=TIME,
    )
    with corpus.writing() as connection:
        add(connection, [row])


def label(image_sha1: str, model: str, box: Box, labeler: str, **values: object) -> LabelEvent:
    """A box that a labeler drew; its uuid follows from what it is."""
    about = f"{image_sha1} {model} {box} {labeler}"
    fields: dict[str, object] = {
        "uuid": hashlib.sha256(about.encode()).hexdigest()[:32],
        "action": Action.ADD.value,
        "id": display_id(image_sha1, model, box),
        "filename": f"{image_sha1}.png",
        "image_sha1": image_sha1,
        "model": model,
        "x": box.x,
        "y": box.y,
        "w": box.w,
        "h": box.h,
        "labeler": labeler,
        "origin": "simulated",
        "time": TIME,
    }
    return LabelEvent(**{**fields, **values})  # type: ignore[arg-type]


def small_corpus(folder: Path, *, images: int = 3, labels: bool = True, **settings: object) -> Corpus:
    """Pictures by four models; both labelers boxed the first picture's low rates and flagged the second's `02L`."""
    corpus = create_corpus(folder, small_config(**settings))
    sha1s = []
    for number in range(images):
        pixels = picture(number)
        sha1s.append(add_picture(corpus, pixels, name=f"ramp{number}.png", split="train" if number % 2 else "test"))
        for model in MODELS:
            add_reconstruction(corpus, sha1s[-1], pixels, model)
    with corpus.writing() as connection:
        for model in MODELS:
            name, setting = model.spec.split("@")
            entry = ModelEntry(
                model=model.model,
                codec=model.codec,
                spec=model.spec,
                codec_name=name,
                setting=setting,
                target_bpp=model.target_bpp,
                weights_sha256="",
                seed=None,
                version="Pillow",
                stand_in=model.stand_in,
            )
            add(connection, [entry])
        if labels:
            _add_labels(connection, sha1s)
    return corpus


def _add_labels(connection: Connection, sha1s: list[str]) -> None:
    events = [label(sha1s[0], model, box, who) for who in LABELERS for model in ("01L", "02L") for box in BOXES]
    events += [label(sha1s[1], "02L", BOXES[0], "ann", category="SHAPE", symbol=True)]
    add(connection, events)
    seen = [
        Seen(image_sha1=one, model=model.model, labeler=who, batch="", opened=TIME, closed=TIME)
        for one in sha1s
        for model in MODELS
        for who in LABELERS
    ]
    add(connection, seen)
    flag = MultiFlag(uuid="0" * 32, image_sha1=sha1s[1], model="02L", labeler="ann", multi=True, time=TIME)
    add(connection, [flag])
