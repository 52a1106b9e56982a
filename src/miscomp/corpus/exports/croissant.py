"""`croissant.json`: the tables and pictures described for programs, after Croissant 1.0 with its RAI vocabulary.

Record sets are read from Parquet where that is exported too. Readers of CSV guess types, so without it no text may
look like a number. A box is four whole numbers: Croissant's own type for boxes takes a list in one column.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any

from miscomp.corpus.exports.croissant_words import COLUMNS, CONTEXT, responsible
from miscomp.corpus.exports.facts import facts_of
from miscomp.corpus.exports.parquet import FOLDER as PARQUET
from miscomp.corpus.exports.release import Release
from miscomp.corpus.exports.tables import Table, tables_of
from miscomp.corpus.exports.wording import licence_url
from miscomp.errors import UsageError
from miscomp.folders import file_sha256
from miscomp.tables import columns

FILE = "croissant.json"
VERSIONS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}
_KEYS = {
    "annotations": ("image_sha1", "model", "labeler", "id"),
    "images": ("image_sha1", "model"),
    "models": ("model",),
    "views": ("image_sha1", "model", "labeler", "batch"),
    "sources": ("image_sha1",),
    "reviews": ("image_sha1", "model", "labeler", "id", "reviewer"),
    "flags": ("image_sha1", "model", "labeler"),
}
_PARQUET_TYPE = "application/x-parquet"
_UNKNOWN = frozenset(
    (
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
        *("NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
"""What pandas, which reads CSV for Croissant, takes for an unknown value."""


def write_croissant(release: Release) -> None:
    """Write `croissant.json`. Raises `UsageError` where the texts of a CSV would be misread and there is no Parquet."""
    text = json.dumps(croissant(release), indent=1, ensure_ascii=False, allow_nan=False)
    # Pages carry this file inside a script element, which no title may end.
    release.write(FILE, text.replace("<", "\\u003c") + "\n")


def croissant(release: Release) -> dict[str, Any]:
    """The file's content; the tables must lie in the folder already."""
    about, snapshot = release.snapshot.config.about, release.snapshot
    typed = "parquet" in release.options.formats
    tables = tables_of(snapshot)
    if not typed:
        _check_texts(tables)
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(VERSIONS),
        "name": snapshot.title,
        "description": about.description or f"{snapshot.title}: a corpus of miscompressions.",
        "license": licence_url(about.licence) or about.licence,
        "version": about.version,
        "url": about.url,
        "citeAs": about.citation or f"{', '.join((*about.creators, snapshot.title))}, version {about.version}",
        "creator": [{"@type": "Person", "name": name} for name in about.creators],
        "datePublished": snapshot.newest[:10],
        "isLiveDataset": False,
        "keywords": ["image compression", "miscompression", "object detection"],
        **responsible(release, facts_of(snapshot)),
        "distribution": [*_files(release, tables, typed), *_file_sets(release)],
        "recordSet": [*(_record_set(table, typed) for table in tables), *_picture_sets(release)],
    }
    return {name: value for name, value in content.items() if value not in ("", [])}


def _files(release: Release, tables: tuple[Table, ...], typed: bool) -> list[dict[str, Any]]:
    kinds = [("", "csv", "text/csv")] + ([(f"{PARQUET}/", "parquet", _PARQUET_TYPE)] if typed else [])
    return [
        {
            "@type": "cr:FileObject",
            "@id": f"{table.name}.{suffix}",
            "name": f"{table.name}.{suffix}",
            "description": table.about,
            "contentUrl": f"{folder}{table.name}.{suffix}",
            "encodingFormat": kind,
            "sha256": file_sha256(release.folder / folder / f"{table.name}.{suffix}"),
        }
        for folder, suffix, kind in kinds
        for table in tables
    ]


def _record_set(table: Table, typed: bool) -> dict[str, Any]:
    file = f"{table.name}.{'parquet' if typed else 'csv'}"
    hints = typing.get_type_hints(table.record)
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.about,
        "key": [{"@id": f"{table.name}/{name}"} for name in _KEYS[table.name]],
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.name}/{name}",
                "name": name,
                "description": COLUMNS[name],
                "dataType": _TYPES[_plain(hints[name])],
                "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
            }
            for name in columns(table.record)
        ],
    }


def _plain(hint: Any) -> type:
    found: type = hint
    if isinstance(hint, types.UnionType):
        found = next(part for part in hint.__args__ if part is not type(None))
    return found


def _file_sets(release: Release) -> list[dict[str, Any]]:
    if release.options.images == "none":
        return []
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "description": about,
            "encodingFormat": "image/png",
            "includes": includes,
        }
        for name, about, includes in (
            ("originals", "photographs as preprocessed", "images/originals/*/*.png"),
            ("reconstructions", "what the models made of them", "images/reconstructions/*/*/*.png"),
        )
    ]


def _picture_sets(release: Release) -> list[dict[str, Any]]:
    if release.options.images == "none":
        return []
    sha1 = ("image_sha1", "sc:Text", "filename", r"^([0-9a-f]{40})\.png$")
    model = ("model", "sc:Text", "fullpath", r"^(?:.*/)?reconstructions/([^/]+)/[0-9a-f]{2}/[0-9a-f]{40}\.png$")
    content = ("content", "sc:ImageObject", "content", "")
    return [
        _picture_set("originals", "the photographs' pixels", (sha1, content)),
        _picture_set("reconstructions", "the reconstructions' pixels", (sha1, model, content)),
    ]


def _picture_set(name: str, about: str, fields: tuple[tuple[str, str, str, str], ...]) -> dict[str, Any]:
    described = []
    for field, kind, file_property, regex in fields:
        source: dict[str, Any] = {
            "fileSet": {"@id": f"{name}-files"},
            "extract": {"fileProperty": file_property},
        }
        if regex:
            source["transform"] = {"regex": regex}
        described.append(
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field}",
                "name": field,
                "description": COLUMNS[field],
                "dataType": kind,
                "source": source,
            }
        )
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": about, "field": described}


def _check_texts(tables: tuple[Table, ...]) -> None:
    for table in tables:
        hints = typing.get_type_hints(table.record)
        for name in (one for one in columns(table.record) if hints[one] is str):
            for value in {getattr(row, name) for row in table.rows}:
                if value in _UNKNOWN or _is_number(value):
                    raise UsageError(
                        f"{table.name}.csv holds the text {value!r} in column {name}, which readers of Croissant would "
                        "take for a number or for nothing; add --format parquet, whose columns have types"
                    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
