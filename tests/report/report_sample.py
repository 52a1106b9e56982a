"""A small audit made by hand: synthetic pictures with planted changes, and the findings an audit could report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from miscomp.records import Annotation, Box, Evidence, Failure, Finding, ImageRow, PairResult, display_id
from miscomp.report.run import Run

HOSTILE = "</script><img src=x onerror=alert(1)>.png"
NAMES = ("harbour.png", HOSTILE, "quote\"and'amp&.png", "gnp.\u202elive\u2028.png", "plain sky.png")
MODELS = ("lucid@0.25bpp", "jpeg@like:lucid")

MakeRun = Callable[..., Run]


def scene(seed: int, size: tuple[int, int]) -> Image.Image:
    """A soft gradient with texture, a sign, a disc and a bar."""
    rng = np.random.default_rng(seed)
    w, h = size
    y, x = np.mgrid[0:h, 0:w]
    base = np.stack([90 + 80 * x / w, 120 + 60 * y / h, 150 - 50 * x / w], axis=-1) + rng.normal(0, 5, (h, w, 3))
    picture = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((10, 10, 62, 30), fill=(245, 240, 225), outline=(30, 30, 30))
    draw.text((16, 14), f"EXIT {seed % 10}", fill=(20, 20, 20))
    draw.ellipse((90, 30, 108, 48), fill=(200, 40, 40))
    draw.rectangle((40, 70, 90, 78), fill=(30, 60, 110))
    return picture


def spoil(original: Image.Image, model: int) -> Image.Image:
    """Blur a little; write another text, fade the disc, move the bar."""
    picture = original.filter(ImageFilter.GaussianBlur(0.6 + 0.4 * model))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((10, 10, 62, 30), fill=(245, 240, 225), outline=(30, 30, 30))
    draw.text((16, 14), "EX1T 7", fill=(20, 20, 20))
    draw.ellipse((90, 30, 108, 48), fill=(160, 110, 110))
    draw.rectangle((44, 72, 94, 80), fill=(30, 60, 110))
    return picture


PLANTED = (
    (Box(10, 10, 53, 21), "SHAPE", True, "text", "The text may have changed: 'EXIT 3' reads as 'EX1T 7'."),
    (Box(90, 30, 19, 19), "AMPLITUDE", False, "object", "A small distinct object lost colour."),
    (Box(38, 68, 58, 14), "GEOMETRY+SHAPE", False, "change", "The structure moved by 4.0 px."),
)


def finding(
    row: ImageRow, box: Box, *, category: str, symbol: bool, found_by: str, words: str, score: float
) -> Finding:
    """A finding with plausible answers."""
    name = display_id(row.image_sha1, row.model, box)
    annotation = Annotation(
        id=name, filename=row.filename, image_sha1=row.image_sha1, model=row.model,
        x=box.x, y=box.y, w=box.w, h=box.h, labeler="miscomp", origin="detector", version="0.1", category=category,
        symbol=symbol, score=score, changed=0.9, relevant=score, suspicion=0.3, expected=0.2,
    )  # fmt: skip
    return Finding(
        annotation=annotation,
        changed=Evidence(value=0.9, words=words, numbers={"colour difference": 12.25, "structure": 0.41}),
        relevant=Evidence(value=score, words="A word of 4 letters was read here.", numbers={"read": "</script>\u202e"}),
        suspicion=Evidence(value=0.3, words="The reconstruction looks clean here."),
        expected=Evidence(value=0.2, words="Nothing nearby changed as much.", numbers={"z": float("inf")}),
        category=Evidence(value=0.7, words="Contours differ.", numbers={"shape": 0.7}),
        found_by=found_by,
    )


def make_pair(folder: Path, name: str, seed: int, model: int, *, size: tuple[int, int], changed: bool) -> PairResult:
    """Write the three pictures of a pair and return its record; an unchanged pair is identical."""
    original = scene(seed, size)
    reconstruction = spoil(original, model) if changed else original
    stem = f"pictures/{seed:04d}"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    original.save(folder / f"{stem}-original.png", compress_level=1)
    reconstruction.save(folder / f"{stem}-{model}.png", compress_level=1)
    ImageChops.difference(original, reconstruction).convert("L").save(folder / f"{stem}-{model}-change.png")
    psnr = 30.0 + seed % 5 - model if changed else float("inf")
    row = ImageRow(
        filename=name, image_sha1=hashlib.sha1(name.encode("utf-8")).hexdigest(), model=MODELS[model], width=size[0],
        height=size[1], bpp=0.25 + 0.01 * (seed % 7) + 0.02 * model, psnr=psnr,
        ms_ssim=0.95 if changed else 1.0, annotations=3 if changed else 0,
    )  # fmt: skip
    findings = tuple(
        finding(
            row,
            box,
            category=category,
            symbol=symbol,
            found_by=by,
            words=words,
            score=round(0.9 - 0.2 * i - 0.01 * (seed % 9), 3),
        )
        for i, (box, category, symbol, by, words) in enumerate(PLANTED)
    )
    return PairResult(
        row=row, findings=findings if changed else (), original_file=f"{stem}-original.png",
        reconstruction_file=f"{stem}-{model}.png", change_file=f"{stem}-{model}-change.png",
        warnings=("alpha was composited on white",) if seed == 0 else (), seconds=1.5,
    )  # fmt: skip


def make_sample(folder: Path, names: Sequence[str] = NAMES, *, size: tuple[int, int] = (128, 96)) -> Run:
    """Write the pictures of a small audit into `folder` and return the audit."""
    results = tuple(
        make_pair(folder, name, seed, model, size=size, changed=name != "plain sky.png")
        for seed, name in enumerate(names)
        for model in range(len(MODELS))
    )
    return Run(
        version="0.1.0",
        settings={"codec": list(MODELS), "text": True, "max_megapixels": 200, "limit": 0.5, "note": "<b>bold</b>"},
        results=results,
        failures=(Failure(name="broken<br>.jpg", reason="is truncated after 12 bytes; make it again"),),
        unmatched=("lonely & alone.webp",),
        detector="classic 0.1 (no weights)",
    )
