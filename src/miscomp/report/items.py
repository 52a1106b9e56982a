"""A run as its page shows it: one item per image, with the pictures, findings and crops of every codec."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from miscomp.records import Finding, PairResult
from miscomp.report.pictures import CropWindow, PictureStore, crop, crop_window, read_heat, read_pair, thumbnail
from miscomp.report.run import Run, disclosed_file
from miscomp.report.wording import QUESTIONS, short_number, visible

CROPS_PER_PAIR = 3
CROPS_PER_PAGE = 96
"""Crops that exist without a script (print, noscript, the gallery): the best-scored ones of the run."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One finding with its two crops, as pictures' numbers."""

    item: int
    pair: int
    rank: int
    finding: Finding
    view: CropWindow
    original: int
    reconstruction: int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One reconstruction, its findings best first, and its pictures' numbers."""

    result: PairResult
    findings: tuple[Finding, ...]
    original: int
    reconstruction: int
    heat: int | None
    figures: tuple[Figure, ...]

    @property
    def top_score(self) -> float:
        """The highest score, 0 without findings."""
        return max((score(f) for f in self.findings), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image and all its reconstructions."""

    number: int
    name: str
    thumb: int
    pairs: tuple[Pair, ...]
    first: PairResult = field(repr=False)

    @property
    def top_score(self) -> float:
        """The highest score of any codec, 0 without findings."""
        return max(pair.top_score for pair in self.pairs)


def score(finding: Finding) -> float:
    """A finding's score; one without a score counts as 0 in every order and filter."""
    return finding.annotation.score or 0.0


def ranked(result: PairResult) -> tuple[Finding, ...]:
    """Findings, best first; equal scores keep their order."""
    return tuple(sorted(result.findings, key=lambda f: -score(f)))


def group(run: Run) -> list[list[PairResult]]:
    """Results per image, in order of appearance; the same bytes under two names are two images."""
    groups: dict[tuple[str, str], list[PairResult]] = {}
    for result in run.results:
        groups.setdefault((result.row.image_sha1, result.row.filename), []).append(result)
    return list(groups.values())


def choose_crops(groups: Sequence[Sequence[PairResult]]) -> set[tuple[int, int, int]]:
    """The findings that get static crops, as (item, pair, rank): the best of each pair, the best of the run."""
    candidates = (
        (-score(finding), item, pair, rank)
        for item, results in enumerate(groups)
        for pair, result in enumerate(results)
        for rank, finding in enumerate(ranked(result)[:CROPS_PER_PAIR])
    )
    return {(item, pair, rank) for _, item, pair, rank in heapq.nsmallest(CROPS_PER_PAGE, candidates)}


def make_items(groups: Sequence[Sequence[PairResult]], folder: Path, store: PictureStore) -> list[Item]:
    """Read, encode and number every picture of the run. Raises `InputError` for a picture that is not as recorded."""
    chosen = choose_crops(groups)
    return [_make_item(number, results, folder, store, chosen) for number, results in enumerate(groups)]


def _make_item(
    number: int,
    results: Sequence[PairResult],
    folder: Path,
    store: PictureStore,
    chosen: set[tuple[int, int, int]],
) -> Item:
    pairs: list[Pair] = []
    originals: dict[str, int] = {}
    thumb = -1
    for index, result in enumerate(results):
        original, reconstruction = read_pair(folder, result)
        if thumb < 0:
            thumb = store.add(thumbnail(original))
        if result.original_file not in originals:
            originals[result.original_file] = store.add(original)
        heat = read_heat(folder, result)
        findings = ranked(result)
        figures = tuple(
            _figure((number, index, rank), finding, (original, reconstruction), store)
            for rank, finding in enumerate(findings)
            if (number, index, rank) in chosen
        )
        pairs.append(
            Pair(
                result=result,
                findings=findings,
                original=originals[result.original_file],
                reconstruction=store.add(reconstruction),
                heat=None if heat is None else store.add(heat),
                figures=figures,
            )
        )
    return Item(number=number, name=visible(results[0].row.filename), thumb=thumb, pairs=tuple(pairs), first=results[0])


def _figure(
    place: tuple[int, int, int], finding: Finding, pictures: tuple[Image.Image, Image.Image], store: PictureStore
) -> Figure:
    box, (width, height) = finding.annotation.box, pictures[0].size
    box.check_inside(width, height)
    view = crop_window(box, width, height)
    original, reconstruction = (store.add(crop(picture, view)) for picture in pictures)
    item, pair, rank = place
    return Figure(
        item=item, pair=pair, rank=rank, finding=finding, view=view, original=original, reconstruction=reconstruction
    )


def index_of(items: Sequence[Item], folder: Path) -> list[dict[str, Any]]:
    """What the page's script needs of every image at once: names, figures, pictures, and each finding in brief."""
    return [
        {
            "name": item.name,
            "width": item.first.row.width,
            "height": item.first.row.height,
            "pairs": [_pair_index(pair, folder) for pair in item.pairs],
        }
        for item in items
    ]


def _pair_index(pair: Pair, folder: Path) -> dict[str, Any]:
    row = pair.result.row
    disclosed = disclosed_file(pair.result)
    return {
        "model": visible(row.model),
        "bpp": row.bpp,
        "psnr": "inf" if row.psnr == float("inf") else row.psnr,
        "ssim": row.ssim,
        "msSsim": row.ms_ssim,
        "original": pair.original,
        "reconstruction": pair.reconstruction,
        "heat": pair.heat,
        "disclosed": disclosed if (folder / disclosed).is_file() else "",
        "findings": [
            [score(f), [c.value for c in f.annotation.categories], int(f.annotation.symbol)] for f in pair.findings
        ],
    }


def details_of(results: Sequence[PairResult]) -> list[dict[str, Any]]:
    """What the viewer needs of one image once it is opened: per codec the warnings, boxes, answers and numbers."""
    return [
        {
            "warnings": [visible(text) for text in result.warnings],
            "findings": [_finding_details(finding) for finding in ranked(result)],
        }
        for result in results
    ]


def _finding_details(finding: Finding) -> dict[str, Any]:
    annotation = finding.annotation
    answers = []
    for name, _, _ in QUESTIONS:
        evidence = getattr(finding, name)
        numbers = [[visible(key), short_number(value)] for key, value in evidence.numbers.items()]
        answers.append([evidence.value, visible(evidence.words), numbers])
    return {
        "id": visible(annotation.id),
        "box": [annotation.x, annotation.y, annotation.w, annotation.h],
        "multi": int(annotation.multi),
        "foundBy": visible(finding.found_by),
        "note": visible(annotation.note),
        "answers": answers,
    }
