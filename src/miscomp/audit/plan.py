"""What an audit is to do: its options and settings, the codecs and whose rate they follow, and one task per image."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL

from miscomp.codecs.catalog import CODECS, CodecRow, CodecSpec, open_codec, parse_spec
from miscomp.errors import UsageError
from miscomp.folders import package_version
from miscomp.pairs import Matching
from miscomp.records import GIVEN, Failure, ModelRow
from miscomp.registry import load
from miscomp.report.run import Setting

if TYPE_CHECKING:
    from miscomp.detect.base import DetectSettings

DEFAULT_CODECS = ("lucid@0.25bpp", "jpeg@like:lucid")
"""What is audited where neither reconstructions nor codecs are named."""


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """How an audit is made."""

    jobs: int | None = None
    """Processes; none: as many as cores, memory and the number of images allow. Results do not depend on it."""
    max_megapixels: float = 200.0
    """Larger pictures are refused."""
    detect: DetectSettings | None = None
    """None: the detector's own."""
    force: bool = False
    """Replace an earlier audit, or write into a folder with other files."""
    detector: str = "miscomp.audit"
    """Module that offers `audit_pair`, `DetectSettings` and `DETECTOR_VERSION`."""

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {self.jobs}")
        if not (math.isfinite(self.max_megapixels) and self.max_megapixels > 0):
            raise UsageError(f"max_megapixels must be a positive number, got {self.max_megapixels}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every image of an audit; it travels to other processes."""

    folder: Path
    specs: tuple[CodecSpec, ...]
    references: Mapping[str, CodecSpec]
    """For each `like:` model the codec whose rate it follows."""
    models: tuple[ModelRow, ...]
    """`given` first where reconstructions are, then the codecs as they were asked for."""
    settings: Mapping[str, Setting]
    """Everything that decides the results, by name."""
    detector: str
    """Module that offers `audit_pair`."""
    detector_version: str
    detect: DetectSettings
    max_megapixels: float
    threads: int
    """For OpenCV and the text reader, whose results do not depend on it."""
    version: str
    """Of miscomp."""

    @property
    def all_settings(self) -> dict[str, Setting]:
        """The settings and the versions of what works with them."""
        return {"version": self.version, "detector": self.detector_version, **self.settings}

    def spec(self, model: str) -> CodecSpec:
        """The codec behind a model's name."""
        return next(spec for spec in self.specs if str(spec) == model)

    def identity(self, model: str) -> dict[str, str]:
        """What decides a pair's result, beside the files."""
        row = next(row for row in self.models if row.model == model)
        detect = {name: value for name, value in self.settings.items() if name.startswith("detect.")}
        identity = {"version": self.version, "detector": self.detector_version}
        identity |= {"detect": json.dumps(detect, sort_keys=True), "model": model, "codec": _coder(row)}
        if model in self.references:
            identity["like"] = _coder(_model(self.references[model]))
        return identity


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One original and the reconstructions of it that are wanted."""

    number: int
    path: Path
    given: Path | None
    """The file behind the model `given`."""
    models: tuple[str, ...]
    failed: tuple[str, ...] = ()
    """Models that an earlier attempt at this image did not survive."""


def make_plan(specs: Sequence[CodecSpec], folder: Path, options: AuditOptions, *, given: bool, threads: int) -> Plan:
    """Resolve every setting. Raises `UsageError` for codecs that contradict each other or cannot be opened."""
    detect = options.detect if options.detect is not None else load(f"{options.detector}:DetectSettings")()
    references = resolve_references(specs)
    for spec in (*specs, *references.values()):
        open_codec(spec.name)
    models = (*((ModelRow(model=GIVEN, codec=GIVEN),) if given else ()), *map(_model, specs))
    return Plan(
        folder=folder,
        specs=tuple(specs),
        references=references,
        models=models,
        settings=_settings(models, detect, options),
        detector=options.detector,
        detector_version=str(load(f"{options.detector}:DETECTOR_VERSION")),
        detect=detect,
        max_megapixels=options.max_megapixels,
        threads=threads,
        version=package_version(),
    )


def resolve_references(specs: Sequence[CodecSpec]) -> dict[str, CodecSpec]:
    """For each `like:` codec the one it follows: among those asked for, or else as the name alone stands for."""
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


def _model(spec: CodecSpec) -> ModelRow:
    row = CODECS[spec.name]
    return ModelRow(
        model=str(spec),
        codec=spec.name,
        setting=spec.setting,
        target_bpp=spec.bpp,
        weights_sha256=row.weights.sha256 if row.weights is not None else "",
        version=_codec_version(row),
    )


def _coder(row: ModelRow) -> str:
    return " ".join(filter(None, (row.model, row.version, row.weights_sha256)))


def _codec_version(row: CodecRow) -> str:
    """Version of the library that codes."""
    if row.format_id is not None:
        return f"miscomp {package_version()}"
    return f"pillow-jxl-plugin {version('pillow-jxl-plugin')}" if row.extra == "jxl" else f"Pillow {PIL.__version__}"


def _settings(models: Sequence[ModelRow], detect: DetectSettings, options: AuditOptions) -> dict[str, Setting]:
    coded = [row for row in models if row.model != GIVEN]
    return {
        "codecs": [row.model for row in coded],
        "codec_versions": [f"{row.codec}: {row.version} {row.weights_sha256}".rstrip() for row in coded],
        "given": len(coded) < len(models),
        "max_megapixels": float(options.max_megapixels),
        "detect.libraries": _detector_libraries(detect),
        **_flat("detect", dataclasses.asdict(detect)),
    }


def _detector_libraries(detect: DetectSettings) -> list[str]:
    """Libraries whose version may decide a finding: the optical flow's, and the reader's where text is read."""
    names = ["opencv-python-headless", *(["onnxruntime", "rapidocr"] if detect.text else [])]
    return [f"{name} {package_version(name)}" for name in names]


def _flat(name: str, value: Any) -> dict[str, Setting]:
    if isinstance(value, Mapping):
        return {key: item for inner in value for key, item in _flat(f"{name}.{inner}", value[inner]).items()}
    if isinstance(value, tuple | list):
        return {name: list(value)}
    return {name: value if value is None or isinstance(value, str | int | float | bool) else str(value)}


def make_tasks(matching: Matching, specs: Sequence[CodecSpec]) -> tuple[list[ImageTask], list[Failure]]:
    """One task for each original with anything to do; what cannot be asked for is a failure."""
    failures = list(matching.failures)
    tasks: list[ImageTask] = []
    for path, given in matching.partners:
        models = (*((GIVEN,) if given is not None else ()), *map(str, specs))
        try:
            path.name.encode()
        except UnicodeEncodeError:
            name = path.name.encode(errors="backslashreplace").decode()
            reason = "the file's name is not UTF-8, so no table can hold it; rename it"
            failures.append(Failure(name=name, reason=reason))
            continue
        if models:
            tasks.append(ImageTask(number=len(tasks), path=path, given=given, models=models))
    return tasks, failures
