"""What an audit leaves behind (`report.json`), written and read back exactly; torch-free.

The file is plain JSON: one object per record with the record's field names. JSON knows no infinity, so a
number that is not finite is written as `{"non_finite": "inf"}` (or `"-inf"`, `"nan"`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miscomp.errors import InputError
from miscomp.folders import write_text
from miscomp.records import Failure, PairResult
from miscomp.report.seeds import SeedComparison

SCHEMA = 2
"""Number of the file's layout; it rises when a reader of the old one would misread the new one."""

Setting = str | int | float | bool | list[Any] | None

DISCLOSED = "disclosed"
"""Folder of the copies that say in their metadata what was found in them, where an audit was asked for them."""

_NON_FINITE = "non_finite"
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Run:
    """One audit: with which settings it was made, what it found, and what it could not look at."""

    version: str
    """Version of miscomp."""
    settings: Mapping[str, Setting]
    """Resolved settings of the audit, by name."""
    results: tuple[PairResult, ...]
    """In order of image, then model."""
    failures: tuple[Failure, ...]
    unmatched: tuple[str, ...]
    """Files that found no partner."""
    detector: str
    """Version of the detector and its weights."""
    seeds: tuple[SeedComparison, ...] = ()
    """Which places come back with other seeds, for codecs that were audited with several."""


def disclosed_file(result: PairResult) -> str:
    """Where the disclosed copy of a reconstruction lies, if one was written; relative to the audit's folder."""
    return f"{DISCLOSED}/{Path(result.reconstruction_file).parent.name}.png"


def write_json(run: Run, path: Path) -> None:
    """Write a run to `path`, atomically; the same run gives the same bytes."""
    content = {"schema": SCHEMA, **_encode(run)}
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, indent=1) + "\n"
    write_text(path, text)


def read_json(path: Path) -> Run:
    """Read a run. Raises `InputError` naming the file and the place for anything that `write_json` does not write."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise InputError(path, f"is {size} bytes long, a report holds at most {_MAX_BYTES}")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if not isinstance(content, dict):
            raise ValueError(f"needs an object, got {type(content).__name__}")
        schema = content.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(
                f"schema is {schema!r}, this version reads {SCHEMA}; make the report again with miscomp audit"
            )
        run: Run = _decode(Run, content, "report")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"cannot be read as a report: {error or type(error).__name__}") from error
    return run


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else {_NON_FINITE: repr(number)}
    raise TypeError(f"a report holds text, numbers, booleans, lists and records, not {type(value).__name__}: {value!r}")


def _decode(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_record(typing.cast(type[Any], kind), value, where)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} needs a list, got {type(value).__name__}")
        return tuple(_decode(parts[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{where} needs an object, got {type(value).__name__}")
        return {key: _decode(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    return _decode_plain(parts if origin in (types.UnionType, typing.Union) else (kind,), value, where)


def _decode_record(kind: type[Any], value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    if not isinstance(value, dict) or set(value) != set(names):
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{where} needs an object with {sorted(names)}, got {found}")
    fields = {name: _decode(hints[name], value[name], f"{where}.{name}") for name in names}
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _decode_plain(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if isinstance(value, dict) and list(value) == [_NON_FINITE]:
        value = _non_finite(value[_NON_FINITE], where)
    if isinstance(value, list) and any(typing.get_origin(kind) is list for kind in kinds):
        return [_decode_plain(kinds, item, f"{where}[{index}]") for index, item in enumerate(value)]
    # JSON does not tell 1 from 1.0 for other writers, so a whole number may stand where a float is asked for.
    allowed = {*kinds, int} if float in kinds else set(kinds)
    if type(value) not in allowed:
        names = ", ".join(sorted(getattr(kind, "__name__", str(kind)) for kind in kinds))
        raise ValueError(f"{where} needs {names}, got {type(value).__name__}")
    return value


def _non_finite(text: Any, where: str) -> float:
    if text not in ("inf", "-inf", "nan"):
        raise ValueError(f"{where} needs inf, -inf or nan, got {text!r}")
    return float(text)
