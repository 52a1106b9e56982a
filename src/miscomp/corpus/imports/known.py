"""What a corpus has before an import, and which model or picture a table's text means."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import LabelEvent, ModelEntry, MultiFlag, Reconstruction, Seen, SourceImage
from miscomp.corpus.imports.mapping import Mapping, plain
from miscomp.corpus.imports.rows import annotation_uuid
from miscomp.corpus.imports.tables import Row
from miscomp.corpus.labels import current_labels, multi_pairs
from miscomp.corpus.schema import fetch
from miscomp.errors import InputError, UsageError
from miscomp.records import Annotation, ModelRow

_NAMED = re.compile(r"(?:.*[/\\])?([0-9A-Fa-f]{40})(?:\.[A-Za-z0-9.]{1,32})?", re.ASCII | re.DOTALL)
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)

Pair = tuple[str, str]
"""Picture (SHA-1) and model."""
Key = tuple[str, str, str, str]
"""Picture, model, labeler and the box's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The rows of a corpus that an import has to fit to."""

    sources: dict[str, SourceImage]
    made: dict[Pair, Reconstruction]
    models: dict[str, ModelEntry]
    uuids: set[str]
    """Of events and flags as an import would name them, also of those that do not stand any more."""
    standing: dict[Key, Annotation]
    flagged: set[Pair]
    seen: dict[tuple[str, str, str, str], Seen]
    names: dict[str, list[str]]
    """Pictures by the name under which they were added."""


def read_known(corpus: Corpus) -> Known:
    """Read them, as they are at one moment."""
    try:
        return _read(corpus)
    except ValueError as error:
        raise InputError(corpus.folder, f"has a label that none can be: {error}; see miscomp corpus verify") from error


def _read(corpus: Corpus) -> Known:
    with corpus.reading() as connection:
        sources = fetch(connection, SourceImage)
        labels = current_labels(connection)
        names: defaultdict[str, list[str]] = defaultdict(list)
        for one in sources:
            if one.name:
                names[one.name].append(one.image_sha1)
        return Known(
            sources={one.image_sha1: one for one in sources},
            made={(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)},
            models={one.model: one for one in fetch(connection, ModelEntry)},
            uuids={
                *(one.uuid for one in fetch(connection, MultiFlag)),
                *(annotation_uuid(one.annotation) for one in fetch(connection, LabelEvent)),
            },
            standing={key_of(one.annotation): one.annotation for one in labels},
            flagged=multi_pairs(connection, labels),
            seen={(one.image_sha1, one.model, one.labeler, one.batch): one for one in fetch(connection, Seen)},
            names=dict(names),
        )


def key_of(one: Annotation) -> Key:
    """What no two annotations share."""
    return (one.image_sha1, one.model, one.labeler, one.id)


class Models:
    """Which model a text means, and what the corpus is to know of it."""

    def __init__(
        self, corpus: Config, mapping: Mapping, known: Known, *, rows: Sequence[ModelRow] | None = None
    ) -> None:
        """`rows` are the models of an exported corpus, whose names mean nothing but what its own tables say."""
        self._settings = {one.model: one for one in corpus.models}
        self._release = mapping.models if rows is None else {}
        self._known = known.models
        self._rows = {one.model: one for one in rows or ()}
        self._specs = {one.spec: one.model for one in corpus.models}
        self._aliases = {plain(alias): name for name, one in self._release.items() for alias in (name, *one.aliases)}
        self._exact = {*self._settings, *self._known, *self._rows, *self._release}
        self.spellings: defaultdict[str, set[str]] = defaultdict(set)
        """How each model was spelled in the tables, for its folders."""

    def find(self, row: Row, given: str = "") -> str:
        """The model of a row. Raises `ValueError` for one that nobody knows, `UsageError` as `entry` does."""
        text = given or row.text("model")
        rated = f"{text} {row.text('rate')}" if row.has("rate") and not given else text
        name = text if text in self._exact else self._specs.get(text) or self._alias(rated) or self._alias(text)
        if not name:
            raise ValueError(
                f"model {rated[:80]!r} is not known; known: {', '.join(sorted(self._exact))}; add its spelling to the "
                "aliases of one of them in the mapping, or say which model all rows are of with --model"
            )
        if text != name and text not in self._specs:
            self._need_same_codec(name)
        if not given:
            self.spellings[name].add(text)
        return name

    def _alias(self, text: str) -> str:
        return self._aliases.get(plain(text), "")

    def _need_same_codec(self, name: str) -> None:
        if name in self._rows:
            allowed: tuple[str, ...] = (self._rows[name].codec,)
        else:
            allowed = self._release[name].codec_names if name in self._release else ()
        taken = self._known[name].codec_name if name in self._known else ""
        if not taken and name in self._settings:
            taken = self._settings[name].spec.partition("@")[0]
        if taken and allowed and taken not in allowed:
            raise UsageError(
                f"the corpus calls {taken} {name}, in the tables that is {' or '.join(allowed)}; import into a new "
                "corpus (miscomp corpus init NAME --profile sclic), or rename the model in the mapping"
            )

    def entry(self, name: str) -> ModelEntry | None:
        """The row of a model that the corpus has none for yet.

        Raises `UsageError` where the corpus uses the name for another codec.
        """
        self._need_same_codec(name)
        setting, row, release = self._settings.get(name), self._rows.get(name), self._release.get(name)
        if name in self._known:
            return None
        family = setting.codec if setting else (release.codec if release else name)
        if row:
            return _entry_of_row(row, family, setting)
        if release:
            return _entry(
                name, family, codec_name=release.codec_names[0], setting=release.setting, target_bpp=release.target_bpp
            )
        if setting is None:
            raise ValueError(f"nothing is known about the model {name!r}")
        codec, _, chosen = setting.spec.partition("@")
        return _entry(name, family, codec_name=codec, setting=chosen, target_bpp=setting.target_bpp)


def _entry(model: str, codec: str, *, codec_name: str, setting: str, target_bpp: float | None) -> ModelEntry:
    """A model that a release used. Its spec is empty: with which checkpoint and version it ran is not known here."""
    return ModelEntry(
        model=model,
        codec=codec,
        spec="",
        codec_name=codec_name,
        setting=setting,
        target_bpp=target_bpp,
        weights_sha256="",
        seed=None,
        version="",
        stand_in="",
    )


def _entry_of_row(row: ModelRow, codec: str, setting: Model | None) -> ModelEntry:
    """A model as an exported corpus has it; one that was imported there (it has no version) still has no spec."""
    spec = f"{row.codec}@{row.setting}" if row.setting and row.version else ""
    if setting and spec and setting.spec.partition("+")[0] == spec:
        spec = setting.spec  # with its seed, which the table has in a column of its own
    return ModelEntry(
        model=row.model,
        codec=codec,
        spec=spec,
        codec_name=row.codec,
        setting=row.setting,
        target_bpp=row.target_bpp,
        weights_sha256=row.weights_sha256,
        seed=row.seed,
        version=row.version,
        stand_in=setting.stand_in if setting and setting.spec == spec else "",
    )


def find_image(row: Row, known: Known) -> str:
    """The SHA-1 that a row names its picture by. Raises `ValueError` for a name that tells none."""
    if sha1 := row.text("image_sha1"):
        if not _SHA1.fullmatch(sha1):
            raise ValueError(f"image_sha1 needs 40 hex digits, got {sha1[:80]!r}")
        return sha1.lower()
    name = row.text("filename")
    if found := _NAMED.fullmatch(name):
        return found[1].lower()
    here = known.names.get(name, [])
    if len(here) == 1:
        return here[0]
    problem = f"{len(here)} pictures of the corpus have that name" if here else "no picture of the corpus has that name"
    raise ValueError(f"filename {name[:80]!r} is not made of 40 hex digits, and {problem}")
