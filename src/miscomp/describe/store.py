"""`descriptions.json`: what a model said about an audit's findings, beside its tables; torch-free.

A description stays until the same model, prompts and options describe other pixels under the same id. The digest of its
crops says which pixels it is of.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miscomp.describe.compare import CompareOptions, Verdict
from miscomp.describe.findings import Described
from miscomp.describe.meter import Usage
from miscomp.describe.prompts import load_prompts
from miscomp.errors import InputError
from miscomp.folders import write_text
from miscomp.records import Finding

NAME = "descriptions.json"
SCHEMA = 1
"""Number of the file's layout; it rises when a reader of the old one would misread the new one."""

_MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who was asked, and how: what tells two descriptions of the same crops apart."""

    describer: str
    """The model, and where it ran."""
    prompts: str
    """Version of the questions."""
    swap: bool
    pictures: bool
    seed: int

    @classmethod
    def now(cls, describer: str, options: CompareOptions, seed: int) -> Asked:
        """With the questions of this version."""
        version = load_prompts().version
        return cls(describer=describer, prompts=version, swap=options.swap, pictures=options.pictures, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionRow:
    """One description. `image_sha1`, `model` and `id` are those of the annotation; all texts are untrusted."""

    id: str
    image_sha1: str
    model: str
    """Of the codec."""
    asked: Asked
    crops: str
    before: str
    after: str
    verdict: Verdict
    what: str
    raw: tuple[str, ...]
    usage: Usage

    @property
    def key(self) -> tuple[str, str, str, Asked]:
        """One row for each."""
        return self.image_sha1, self.model, self.id, self.asked


class Descriptions:
    """The rows of a file, in the order in which they were made."""

    def __init__(self, rows: Iterable[DescriptionRow] = ()) -> None:
        self._rows = {row.key: row for row in rows}

    @property
    def rows(self) -> tuple[DescriptionRow, ...]:
        return tuple(self._rows.values())

    def find(self, finding: Finding, crops: str, asked: Asked) -> DescriptionRow | None:
        """The description of these very crops, asked for in this very way."""
        annotation = finding.annotation
        row = self._rows.get((annotation.image_sha1, annotation.model, annotation.id, asked))
        return row if row is not None and row.crops == crops else None

    def add(self, described: Described, asked: Asked) -> DescriptionRow:
        """Add a description; one of other pixels under the same key is replaced."""
        annotation, said = described.finding.annotation, described.description
        row = DescriptionRow(
            id=annotation.id,
            image_sha1=annotation.image_sha1,
            model=annotation.model,
            asked=asked,
            crops=described.crops,
            before=said.before,
            after=said.after,
            verdict=said.verdict,
            what=said.what,
            raw=said.raw,
            usage=said.usage,
        )
        self._rows[row.key] = row
        return row

    def write(self, path: Path) -> None:
        """Write the file in one step."""
        content = {"schema": SCHEMA, "descriptions": [dataclasses.asdict(row) for row in self.rows]}
        write_text(path, json.dumps(content, ensure_ascii=True, allow_nan=False, indent=1) + "\n")


def read_descriptions(path: Path) -> Descriptions:
    """Read the file; none is no descriptions. Raises `InputError` for anything that `write` does not write."""
    try:
        if not path.exists():
            return Descriptions()
        if (size := path.stat().st_size) > _MAX_BYTES:
            raise ValueError(f"it is {size} bytes long, the limit is {_MAX_BYTES}")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ValueError(f"it needs an object with schema {SCHEMA}")
        return Descriptions(_row(value) for value in _typed(content.get("descriptions"), list, "descriptions"))
    except (OSError, ValueError, RecursionError) as error:
        problem = f"cannot be read as descriptions: {error or type(error).__name__}"
        raise InputError(path, f"{problem}; move it away to begin anew") from error


def _row(value: Any) -> DescriptionRow:
    names = {field.name for field in dataclasses.fields(DescriptionRow)}
    fields = dict(_record(value, names, "a description"))
    fields["asked"] = Asked(**_plain(fields["asked"], Asked))
    fields["usage"] = Usage(**_plain(fields["usage"], Usage))
    fields["raw"] = tuple(_typed(text, str, "raw") for text in _typed(fields["raw"], list, "raw"))
    for name in names - {"asked", "usage", "raw"}:
        _typed(fields[name], str, name)
    fields["verdict"] = Verdict(fields["verdict"])
    return DescriptionRow(**fields)


def _plain(value: Any, kind: type[Asked] | type[Usage]) -> dict[str, Any]:
    kinds = {"str": str, "int": int, "bool": bool, "float": float}
    hints = {field.name: kinds[str(field.type)] for field in dataclasses.fields(kind)}
    record = _record(value, set(hints), kind.__name__.lower())
    for name, hint in hints.items():
        _typed(record[name], hint, name)
        if hint is not str and not (math.isfinite(record[name]) and (kind is Asked or record[name] >= 0)):
            raise ValueError(f"{name} is {record[name]}, it must be finite and not negative")
    return record


def _record(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError(f"{what} needs an object with {sorted(names)}")
    return value


def _typed(value: Any, kind: type, name: str) -> Any:
    allowed = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise ValueError(f"{name} needs {kind.__name__}, got {type(value).__name__}")
    return value
