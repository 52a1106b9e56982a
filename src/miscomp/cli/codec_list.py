"""The verb `codecs`: every codec with what its user needs to know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import typer

from miscomp.cli.talk import JsonOption

if TYPE_CHECKING:
    from miscomp.codecs.rows import CodecRow


def codecs(json_lines: JsonOption = False) -> None:
    """List every codec with its qualities, weights and licences.

    Rates are those that its qualities span on photographs. Weights are shipped with this package, cached (on this
    machine), to be fetched (by `miscomp weights fetch`), or yours to bring.

    Example: miscomp codecs --json
    """
    from miscomp.codecs.catalog import CODECS

    if json_lines:
        for row in CODECS:
            typer.echo(json.dumps(_record(row)))
        return
    notes: dict[str, int] = {}
    for row in CODECS:
        numbers = " ".join(f"[{notes.setdefault(text, len(notes) + 1)}]" for text in _sources(row))
        typer.echo(f"{row.name}  {_scale(row)}\n    {row.description}; weights: {_weights(row)}  {numbers}")
    typer.echo()
    for text, number in notes.items():
        typer.echo(f"[{number}] {text}")


def _scale(row: CodecRow) -> str:
    """Its file, its qualities, what the name alone stands for, and the rates that it has."""
    from miscomp.codecs.spec import default_spec

    scale = f"{row.qualities.low:g} to {row.qualities.high:g} {row.qualities.unit}".rstrip()
    rates = f"; {row.typical_bpp} bpp" if row.typical_bpp else ""
    return f"{row.suffix}  quality {scale}, default {default_spec(row.name).setting}{rates}"


def _sources(row: CodecRow) -> Iterable[str]:
    """Where its program and its weights come from, and their licences."""
    from miscomp.codecs.checkpoints import checkpoints_of

    if row.paper:
        yield f"paper: {row.paper}"
    yield f"program: {row.licence}"
    if row.weights is not None:
        yield f"weights: {row.weights.source}; {row.weights.licence}"
    for checkpoint in checkpoints_of(row.name)[:1]:
        yield f"weights: {checkpoint.source}; licence: {checkpoint.licence}"


def _weights(row: CodecRow) -> str:
    """How many of a codec's weights are where."""
    if row.weights is not None:
        return "shipped"
    if row.recognise:
        return "the program's own"
    return ", ".join(f"{count} {state}" for state, count in Counter(_states(row).values()).items()) or "none needed"


def _states(row: CodecRow) -> Mapping[str, str]:
    """For each quality of a codec with published checkpoints, whether its weights are here."""
    from miscomp.codecs.checkpoints import checkpoints_of
    from miscomp.codecs.weight_store import state

    return {f"q{one.quality}": state(one) for one in checkpoints_of(row.name)}


def _record(row: CodecRow) -> dict[str, object]:
    from miscomp.codecs.checkpoints import checkpoints_of
    from miscomp.codecs.spec import default_spec

    published = [
        {"quality": one.quality, "filename": one.filename, "url": one.url, "sha256_start": one.sha256, "note": one.note}
        for one in checkpoints_of(row.name)
    ]
    first = next(iter(checkpoints_of(row.name)), None)
    about = row.weights or first
    return {
        **{part: getattr(row, part) for part in ("name", "format_id", "suffix", "media")},
        **{f"quality_{part}": getattr(row.qualities, part) for part in ("low", "high", "integer", "unit")},
        "typical_bpp": row.typical_bpp or None,
        "quality_map": row.quality_map,
        "seeded": row.seeded,
        "default": str(default_spec(row.name)),
        **{part: getattr(row, part) for part in ("max_side", "description", "paper", "licence")},
        **{f"weights_{part}": getattr(about, part, None) for part in ("source", "licence")},
        "weights_sha256": row.weights.sha256 if row.weights is not None else None,
        "weights_states": _states(row) or None,
        "checkpoints": published or None,
        "kmac_per_pixel": row.kmac or None,
        "extra": row.extra,
    }
