"""Curves that others published for the Kodak images, shipped as data and compared only with measurements of those."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from miscomp.errors import ImageError, UsageError
from miscomp.images import read
from miscomp.registry import Registry

DEFAULT_PUBLISHED = ("bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor", "vtm")
"""What is shown beside measurements of the Kodak images unless the caller says otherwise."""

NONE = "none"
"""Stands for no curve in a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCurve:
    """Means over the 24 Kodak images, as published."""

    name: str
    description: str
    bpp: tuple[float, ...]
    psnr_db: tuple[float, ...] | None
    """Mean of per-image values; none where only MS-SSIM was published."""
    ms_ssim_db: tuple[float, ...] | None
    """-10 log10(1 - MS-SSIM), of the mean over the images where that was published."""


@cache
def _content() -> Mapping[str, Any]:
    text = (files("miscomp.evaluate") / "assets" / "kodak_published.json").read_text(encoding="ascii")
    content: Mapping[str, Any] = json.loads(text)
    return content


def source() -> str:
    """Where the curves come from and under which licence."""
    return str(_content()["source"])


@cache
def published_curves() -> Registry[PublishedCurve]:
    """Every published curve; an unknown name raises `UnknownName` with the known ones."""
    return Registry("published curve", (_curve(name, entry) for name, entry in _content()["curves"].items()))


def _curve(name: str, entry: Mapping[str, Any]) -> PublishedCurve:
    results: Mapping[str, list[float]] = entry["results"]
    ms_ssim_db = results.get("ms-ssim-db-rgb")
    if ms_ssim_db is None and "ms-ssim-rgb" in results:
        ms_ssim_db = [-10 * math.log10(1 - value) for value in results["ms-ssim-rgb"]]
    psnr_db = results.get("psnr-rgb")
    return PublishedCurve(
        name=name,
        description=str(entry["description"]),
        bpp=tuple(results["bpp"]),
        psnr_db=None if psnr_db is None else tuple(psnr_db),
        ms_ssim_db=None if ms_ssim_db is None else tuple(ms_ssim_db),
    )


def choose_published(names: Sequence[str] | None, images: Sequence[Path]) -> tuple[PublishedCurve, ...]:
    """The curves to compare with: those named, or the default ones if `images` are the Kodak images and else none.

    Raises `UnknownName`, and `UsageError` where curves are named for other images: their means say nothing there.
    """
    if names is not None and (NONE in names or not names):
        if len(names) > 1:
            raise UsageError(f"{NONE!r} stands for no published curve; leave it or the others out")
        return ()
    chosen = tuple(published_curves()[name] for name in dict.fromkeys(DEFAULT_PUBLISHED if names is None else names))
    if is_kodak(images):
        return chosen
    if names is not None:
        raise UsageError(
            f"published curves are means over the 24 Kodak images; these {len(images)} are not those (they are told "
            "by their pixels); measure all 24 and nothing else, or leave --published out"
        )
    return ()


def is_kodak(images: Sequence[Path]) -> bool:
    """Whether the files are the 24 Kodak images, each once; told by their pixels, whatever the names and formats."""
    known = set(_content()["images"].values())
    if len(images) != len(known):
        return False
    try:
        return {read(path).pixel_sha256 for path in images} == known
    except ImageError:  # told as a failure when it is measured
        return False
