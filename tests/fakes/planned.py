"""A corpus of rows without pixels, as large as one likes: for plans, counts and shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from corpora import TIME

from miscomp.corpus.config import Config
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import Decision, Reconstruction, SourceImage
from miscomp.corpus.schema import add, fetch
from miscomp.corpus.selection import allot, allotted


def sha1_of(number: int) -> str:
    return hashlib.sha1(f"picture {number}".encode(), usedforsecurity=False).hexdigest()


def image_row(number: int, **values: object) -> SourceImage:
    fields: dict[str, object] = {
        "image_sha1": sha1_of(number),
        "sha256": hashlib.sha256(f"{number}".encode()).hexdigest(),
        "pixel_sha256": "",
        "width": 640,
        "height": 480,
        "size_bytes": 1,
        "name": f"{number}.png",
        "origin_sha256": f"{number}",
        "origin_width": 640,
        "origin_height": 480,
        "source": "made",
        "licence": "CC0-1.0",
        "split": "test",
        "added": TIME,
    }
    return SourceImage(**{**fields, **values})  # type: ignore[arg-type]


def reconstruction_row(image_sha1: str, model: str, **values: object) -> Reconstruction:
    fields: dict[str, object] = {
        "image_sha1": image_sha1,
        "model": model,
        "stream_file": "streams/x",
        "stream_sha256": "",
        "stream_bytes": 1,
        "file": "reconstructions/x",
        "sha256": "",
        "pixel_sha256": "",
        "width": 640,
        "height": 480,
        "quality": None,
        "bpp": int(image_sha1[:6], 16) / 2**24 + 0.01,
        "psnr": 30.0,
        "ssim": 0.9,
        "ms_ssim": 0.9,
        "encode_s": 1.0,
        "decode_s": 1.0,
        "version": "made 1",
        "weights_sha256": "f" * 64,
        "environment": "0" * 16,
        "made": TIME,
    }
    return Reconstruction(**{**fields, **values})  # type: ignore[arg-type]


def planned_corpus(
    folder: Path,
    config: Config,
    numbers: Sequence[int],
    *,
    there: Callable[[SourceImage, str], bool] = lambda image, model: True,
) -> Corpus:
    """Pictures in the order of their numbers, allotted; `there` says which pairs are compressed."""
    corpus = create_corpus(folder, config)
    with corpus.writing() as connection:
        add(connection, [image_row(number) for number in numbers])
        allot(connection, config, fetch(connection, SourceImage))
        pairs = allotted(config, fetch(connection, SourceImage))
        rows = [reconstruction_row(one.image_sha1, model.model) for one, model in pairs if there(one, model.model)]
        add(connection, rows)
    return corpus


def decision(number: int, screener: str, choice: str) -> Decision:
    about = f"{number} {screener} {choice}"
    uuid = hashlib.sha256(about.encode()).hexdigest()[:32]
    return Decision(uuid=uuid, image_sha1=sha1_of(number), screener=screener, choice=choice, note="", time=TIME)
