"""A contact sheet for one screener: a page of small pictures with the criteria beside them, and the table to fill in.

The page has no decision of anybody in it. Small pictures are files beside it, so that it opens at once whatever their
number; it works from disk and reaches nothing outside.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup
from PIL import Image
from sqlalchemy import Connection

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Copied, Meta, SourceImage, Suggestion, now
from miscomp.corpus.schema import COPIED, META, add, count, fetch
from miscomp.corpus.screening.agreement import SHOWN
from miscomp.corpus.screening.decisions import check_screener, read_original, waiting, write_table
from miscomp.errors import MiscompError, UsageError
from miscomp.folders import replacing, write_text
from miscomp.images import Pixels
from miscomp.report import wording
from miscomp.report.environment import asset, page_environment

SCREENING = "screening"
"""Folder of the corpus for sheets."""
PICTURES = "pictures"
"""Folder beside a page; each file in it begins with the SHA-1 of the picture it shows."""
SMALL, LARGE = 400, 1600
"""Pixels of the longer side: on the page, and enlarged where the originals are not at hand."""
GROUP = 100
"""Pictures under one heading."""

_QUALITY = {SMALL: 80, LARGE: 90}


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetOptions:
    """What a sheet shows."""

    every: bool = False
    """Also pictures that this screener decided on."""
    suggestions: bool = False
    """What detectors saw; it sways decisions, so it is recorded that this screener was shown it."""
    force: bool = False
    """Replace the page and the table, filled or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What was written."""

    page: Path
    table: Path
    pictures: int
    """None to decide on: then nothing was written."""
    failures: tuple[str, ...]
    """Pictures that could not be shown; they are not in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    number: int
    digits: str
    small: Markup
    large: Markup
    width: int
    height: int
    """Of the small picture, in pixels."""


def write_sheet(
    corpus: Corpus,
    screener: str,
    folder: Path | None = None,
    *,
    options: SheetOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sheet:
    """Write `SCREENER.html`, `SCREENER.csv` and the pictures; by default into `screening/SCREENER` of the corpus.

    Pictures that lie there from a run that was cut off are kept. Raises `UsageError` for a page or table that is there
    already: it may be half filled.
    """
    with corpus.reading() as connection:
        check_screener(connection, corpus.config, screener)
        images = waiting(connection, corpus.config, screener, every=options.every)
        noted = _suggestions(connection) if options.suggestions else {}
    place = folder or corpus.folder / SCREENING / screener
    inside = _check_place(corpus, place)
    page, table = place / f"{screener}.html", place / f"{screener}.csv"
    if not images:
        return Sheet(page=page, table=table, pictures=0, failures=())
    for file in (page, table):
        if file.exists() and not options.force:
            raise UsageError(
                f"{file} is there already, and may be filled in: take it first with --take, or replace it with --force"
            )
    try:
        (place / PICTURES).mkdir(parents=True, exist_ok=True)
        # Recorded before anything is written: a removal must know of the pixels even if this is cut off.
        _record(corpus, screener, copied_to=None if inside else place, suggestions=bool(noted))
        shown, failures = _show_all(corpus, images, place, inside=inside, progress=progress)
        write_table(table, [image for image, _ in shown])
        write_text(page, _page(corpus, screener, shown, noted))
    except OSError as error:
        raise UsageError(f"{place} cannot hold the sheet: {error}; choose another folder with -o") from error
    return Sheet(page=page, table=table, pictures=len(shown), failures=failures)


def _check_place(corpus: Corpus, place: Path) -> bool:
    """Whether a folder lies in the corpus; there sheets have one place, so that a removal finds their pictures."""
    whole, target = corpus.folder.resolve(), place.resolve()
    if not target.is_relative_to(whole):
        return False
    if not target.is_relative_to(whole / SCREENING):
        raise UsageError(
            f"{place} is a folder of the corpus for other files; choose one in {corpus.folder / SCREENING}, or outside"
        )
    return True


def _record(corpus: Corpus, screener: str, *, copied_to: Path | None, suggestions: bool) -> None:
    with corpus.writing() as connection:
        if copied_to is not None:
            what, path = "contact sheet", str(copied_to.resolve())
            if not count(connection, Copied, COPIED.c.path == path, COPIED.c.what == what):
                add(connection, [Copied(path=path, what=what, time=now())])
        name = SHOWN + screener
        if suggestions and not count(connection, Meta, META.c.name == name):
            add(connection, [Meta(name=name, value=now())])


def _show_all(
    corpus: Corpus,
    images: Sequence[SourceImage],
    place: Path,
    *,
    inside: bool,
    progress: Callable[[int, int], None],
) -> tuple[list[tuple[SourceImage, _Shown]], tuple[str, ...]]:
    shown: list[tuple[SourceImage, _Shown]] = []
    failures = []
    for done, image in enumerate(images):
        progress(done, len(images))
        try:
            shown.append((image, _show(corpus, image, place, inside=inside, number=len(shown) + 1)))
        except MiscompError as error:
            failures.append(str(error))
    progress(len(images), len(images))
    return shown, tuple(failures)


def _show(corpus: Corpus, image: SourceImage, place: Path, *, inside: bool, number: int) -> _Shown:
    """Write the copies of a picture that are not there yet; within the corpus the enlarged picture is the original."""
    sha1 = image.image_sha1
    files = {side: place / PICTURES / f"{sha1}-{side}.jpg" for side in ((SMALL,) if inside else (SMALL, LARGE))}
    missing = [side for side, file in files.items() if not file.is_file()]
    if missing:
        pixels = read_original(corpus, image)
        for side in missing:
            _write_jpeg(files[side], pixels, side)
    large = corpus.original(sha1) if inside else files[LARGE]
    width, height = _fitted(image.width, image.height, SMALL)
    return _Shown(
        number=number,
        digits=sha1[:8],
        small=_address(files[SMALL], place),
        large=_address(large, place),
        width=width,
        height=height,
    )


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(side / max(width, height), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _write_jpeg(path: Path, pixels: Pixels, side: int) -> None:
    size = _fitted(pixels.shape[1], pixels.shape[0], side)
    small = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    content = io.BytesIO()
    small.save(content, format="JPEG", quality=_QUALITY[side])
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())


def _address(file: Path, place: Path) -> Markup:
    """A path relative to the page, with nothing left in it to escape."""
    return Markup(quote(Path(os.path.relpath(file.resolve(), place.resolve())).as_posix()))


def _suggestions(connection: Connection) -> dict[str, str]:
    """What detectors saw, in words, by picture."""
    words: defaultdict[str, list[str]] = defaultdict(list)
    for one in fetch(connection, Suggestion):
        noun = {"text": "word", "face": "face"}.get(one.kind)
        share = f"{one.kind} {100 * one.value:.0f} %"
        words[one.image_sha1].append(share if noun is None else wording.count(round(one.value), noun))
    return {sha1: ", ".join(parts) for sha1, parts in words.items()}


def _page(corpus: Corpus, screener: str, shown: Sequence[tuple[SourceImage, _Shown]], noted: dict[str, str]) -> str:
    script = asset("miscomp.corpus", "contact_sheet.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    context = {
        "title": corpus.config.about.title or corpus.folder.resolve().name,
        "screener": screener,
        "screening": corpus.config.screening,
        "groups": [shown[start : start + GROUP] for start in range(0, len(shown), GROUP)],
        "pictures": len(shown),
        "noted": noted,
        "policy": (
            "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
            f"img-src 'self' file:; script-src 'sha256-{digest}'"
        ),
        "style": Markup(asset("miscomp.report", "report.css") + asset("miscomp.corpus", "contact_sheet.css")),
        "script": Markup(script),
    }
    return page_environment("miscomp.corpus").get_template("contact_sheet.html.j2").render(context)
