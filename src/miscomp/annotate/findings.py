"""What audits and benchmarks found, read for a corpus: every row checked, pictures and models known by it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection

from miscomp.corpus.batches.planning import Pair
from miscomp.corpus.config import NAME
from miscomp.corpus.entries import ModelEntry, Reconstruction, SourceImage
from miscomp.corpus.imports.mapping import read_mapping
from miscomp.corpus.imports.rows import annotation
from miscomp.corpus.imports.tables import Problem, Row, open_table
from miscomp.corpus.schema import fetch
from miscomp.errors import UnknownName, UsageError
from miscomp.records import Annotation, Box
from miscomp.taxonomy import Origin

Told = tuple[Pair, str]
"""A pair and the detector that looked at it."""

BOXES, PICTURES = "annotations.csv", "images.csv"
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was read."""

    found: Mapping[Told, Sequence[Annotation]]
    """Empty for a detector that looked at a pair and found nothing."""
    problems: Sequence[Problem]
    """Rows that were not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """What the corpus has."""

    sizes: Mapping[Pair, tuple[int, int]]
    removed: frozenset[str]
    names: Mapping[str, frozenset[str]]
    """Models by what a table may call them."""


@dataclass(slots=True)
class _Reader:
    here: _Here
    detector: str
    model: str
    found: dict[Told, list[Annotation]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: set[Pair] = field(default_factory=set)
    """Pairs of the report being read of which a row was wrong: what was found there is not known in full."""

    def boxes(self, path: Path) -> dict[Told, list[Annotation]]:
        """The good rows of a table of boxes."""
        told: defaultdict[Told, list[Annotation]] = defaultdict(list)
        mapping = read_mapping()
        for row in open_table(path, mapping, "annotations", without=("model",) if self.model else ()).rows():
            if isinstance(row, Problem):
                self.problems.append(row)
                continue
            try:
                pair = self._pair(row)
                try:
                    one = self._checked(annotation(row, pair, self.detector or "", mapping.defaults))
                    if any(one.id == other.id for other in told[pair, one.labeler]):
                        raise ValueError(f"the box {one.id} of {one.labeler} stands twice; once is enough")
                except ValueError:
                    self.unread.add(pair)
                    raise
            except ValueError as error:
                self.problems.append(row.problem(error))
                continue
            told[pair, one.labeler].append(one)
        return dict(told)

    def pictures(self, path: Path) -> set[Pair]:
        """The pairs of a table of pictures that the corpus has; what is wrong there is said of the boxes."""
        pairs = set()
        for row in open_table(path, read_mapping(), "images", without=("model",) if self.model else ()).rows():
            if isinstance(row, Row):
                try:
                    pairs.add(self._pair(row))
                except ValueError as error:
                    self.problems.append(row.problem(error))
        return pairs

    def _pair(self, row: Row) -> Pair:
        sha1, text = row.text("image_sha1").lower(), self.model or row.text("model")
        if not _SHA1.fullmatch(sha1):
            raise ValueError(f"image_sha1 needs 40 hex digits, got {sha1[:80]!r}")
        models = sorted(self.here.names.get(text, ()))
        if len(models) != 1:
            which = f"may be {', '.join(models)}" if models else "is none of the corpus'"
            raise ValueError(f"model {text[:80]!r} {which}; say which model all rows are of with --model")
        if sha1 in self.here.removed:
            raise ValueError(f"the picture {sha1} was removed from the corpus")
        if (sha1, models[0]) not in self.here.sizes:
            raise ValueError(f"the corpus has no reconstruction of {sha1} by {models[0]}")
        return sha1, models[0]

    def _checked(self, one: Annotation) -> Annotation:
        if one.origin != Origin.DETECTOR:
            raise ValueError(f"the box {one.id} is of origin {one.origin}; only detectors suggest (see corpus import)")
        one = replace(one, labeler=self.detector or one.labeler, time="")
        if not re.fullmatch(NAME, one.labeler, re.ASCII):
            raise ValueError(f"a detector cannot be called {one.labeler[:80]!r}; give it a name with --detector")
        Box(one.x, one.y, one.w, one.h).check_inside(*self.here.sizes[one.image_sha1, one.model])
        return one


def read_findings(connection: Connection, sources: Sequence[Path], *, detector: str = "", model: str = "") -> Findings:
    """Read folders of audits, or tables of boxes; `detector` and `model` stand above what the rows say.

    Beside a table of boxes, `images.csv` says which pairs were looked at, also where nothing was found. Pairs of which
    a row is wrong are left out whole. Raises `UsageError` where two sources speak for one detector and pair,
    `UnknownName` for a model that the corpus does not have, and `TableError` for files that are no tables.
    """
    here = _here(connection)
    if model and model not in here.names:
        raise UnknownName("model", model, {name for names in here.names.values() for name in names})
    reader = _Reader(here, detector, model)
    said: dict[Told, Path] = {}
    for source in sources:
        table = source / BOXES if source.is_dir() else source
        reader.unread.clear()
        told = reader.boxes(table)
        detectors = {name for _, name in told} | ({detector} if detector else set())
        beside = table.with_name(PICTURES)
        looked = reader.pictures(beside) if beside.is_file() and table.name == BOXES else set()
        for key in [(pair, name) for pair in sorted(looked) for name in sorted(detectors)]:
            told.setdefault(key, [])
        for key, boxes in told.items():
            if key[0] in reader.unread:
                continue
            if key in said:
                pair = ":".join(key[0])
                raise UsageError(f"{said[key]} and {table} both say what {key[1]} found in {pair}; give one of them")
            said[key], reader.found[key] = table, boxes
    return Findings(found=reader.found, problems=tuple(reader.problems))


def _here(connection: Connection) -> _Here:
    names: defaultdict[str, set[str]] = defaultdict(set)
    models = fetch(connection, ModelEntry)
    for one in models:
        for text in (one.spec, f"{one.codec_name}@{one.setting}"):
            names[text].add(one.model)
    names |= {one.model: {one.model} for one in models}  # a name of the corpus' own means nothing else
    return _Here(
        sizes={(one.image_sha1, one.model): (one.width, one.height) for one in fetch(connection, Reconstruction)},
        removed=frozenset(one.image_sha1 for one in fetch(connection, SourceImage) if one.removed),
        names={text: frozenset(found) for text, found in names.items() if text},
    )
