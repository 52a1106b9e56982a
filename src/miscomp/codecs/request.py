"""What several codecs asked for together mean: whose rate each follows, and how each stands in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import PIL

from miscomp.codecs.catalog import CODECS, CodecRow, CodecSpec, parse_spec
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
        references[str(spec)] = same[0] if same else CODECS[spec.like].default
    return references


def model_row(spec: CodecSpec) -> ModelRow:
    """A codec at a setting with the version of what codes; the model is the spec as it was asked for."""
    row = CODECS[spec.name]
    return ModelRow(
        model=str(spec),
        codec=spec.name,
        setting=spec.setting,
        target_bpp=spec.bpp,
        weights_sha256=row.weights.sha256 if row.weights is not None else "",
        version=_codec_version(row),
    )


def _codec_version(row: CodecRow) -> str:
    """Version of the library that codes."""
    if row.format_id is not None:
        return f"miscomp {package_version()}"
    return f"pillow-jxl-plugin {version('pillow-jxl-plugin')}" if row.extra == "jxl" else f"Pillow {PIL.__version__}"
