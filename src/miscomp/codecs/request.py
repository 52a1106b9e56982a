"""What several codecs asked for together mean: whose rate each follows, and how each stands in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

import PIL

from miscomp.codecs.base import HasCheckpoints, NamesVersion
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.rows import CodecRow
from miscomp.codecs.spec import CodecSpec, default_spec, open_spec, parse_spec
from miscomp.errors import UsageError
from miscomp.folders import package_version
from miscomp.records import ModelRow


def resolve_references(specs: Sequence[CodecSpec]) -> dict[str, CodecSpec]:
    """For each `like:` codec the one it follows: among those asked for, or else as the name alone stands for.

    Raises `UsageError` for a codec and setting asked for twice, and where several may be meant.
    """
    names = [str(spec) for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is asked for twice; name each codec and setting once")
    references: dict[str, CodecSpec] = {}
    for spec in specs:
        if spec.like is None:
            continue
        if "@" in spec.like:
            references[str(spec)] = parse_spec(spec.like)
            continue
        same = [other for other in specs if other.name == spec.like]
        if len(same) > 1 or any(other.like is not None for other in same):
            found = ", ".join(map(str, same))
            raise UsageError(
                f"{spec} may follow several ({found}); name one with its setting, as in like:lucid@0.25bpp"
            )
        references[str(spec)] = same[0] if same else default_spec(spec.like)
    return references


def with_seeds(specs: Sequence[CodecSpec], seeds: Sequence[int]) -> tuple[CodecSpec, ...]:
    """Put one spec for each seed in the place of every codec that decodes at random; without seeds, change nothing.

    Raises `UsageError` where no codec takes a seed, where one names a seed already, and for a seed that none takes.
    """
    if not seeds:
        return tuple(specs)
    taking = [spec for spec in specs if CODECS[spec.name].seeded]
    if not taking:
        able = ", ".join(row.name for row in CODECS if row.seeded)
        raise UsageError(f"seeds are for codecs that decode at random ({able}); name one of them, or leave --seed out")
    named = [str(spec) for spec in taking if spec.seed is not None]
    if named:
        raise UsageError(f"{', '.join(named)} has its seed already; write it without, or leave --seed out")
    each = tuple(dict.fromkeys(seeds))
    return tuple(
        one
        for spec in specs
        for one in ([replace(spec, seed=seed) for seed in each] if CODECS[spec.name].seeded else [spec])
    )


def model_row(spec: CodecSpec) -> ModelRow:
    """A codec at a setting with the version of what codes; the model is the spec as it was asked for."""
    row = CODECS[spec.name]
    return ModelRow(
        model=str(spec),
        codec=spec.name,
        setting=spec.setting,
        target_bpp=spec.bpp,
        weights_sha256=_weights_sha256(spec, row),
        seed=(spec.seed or 0) if row.seeded else None,
        version=_codec_version(row),
    )


def _weights_sha256(spec: CodecSpec, row: CodecRow) -> str:
    """Of the file; where a rate decides from picture to picture which of several is used, of all their hashes."""
    if row.weights is not None:
        return row.weights.sha256
    quality = spec.fixed_quality
    codec = open_spec(spec) if row.architecture else None
    return codec.weights_sha256(quality) if isinstance(codec, HasCheckpoints) else ""


def _codec_version(row: CodecRow) -> str:
    """Version of the library or program that codes."""
    codec = open_codec(row.name) if row.recognise else None
    if isinstance(codec, NamesVersion):
        return codec.version()
    if row.format_id is not None:
        return f"miscomp {package_version()}"
    return f"pillow-jxl-plugin {version('pillow-jxl-plugin')}" if row.extra == "jxl" else f"Pillow {PIL.__version__}"
