"""What an audit is to do: its options and settings, the codecs and whose rate they follow, and one task per image."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miscomp.codecs.request import model_row, resolve_references
from miscomp.codecs.spec import CodecSpec, open_spec
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
    disclose: bool = False
    """Also write copies of the reconstructions that disclose what was found. No result depends on it."""
    detector: str = "miscomp.audit"
    """Module that offers `audit_pair`, `DetectSettings` and `detector_version`."""

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
            identity["like"] = _coder(model_row(self.references[model]))
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
        open_spec(spec)
    models = (*((ModelRow(model=GIVEN, codec=GIVEN),) if given else ()), *map(model_row, specs))
    return Plan(
        folder=folder,
        specs=tuple(specs),
        references=references,
        models=models,
        settings=_settings(models, detect, options),
        detector=options.detector,
        detector_version=str(load(f"{options.detector}:detector_version")(detect)),
        detect=detect,
        max_megapixels=options.max_megapixels,
        threads=threads,
        version=package_version(),
    )


def _coder(row: ModelRow) -> str:
    return " ".join(filter(None, (row.model, row.version, row.weights_sha256)))


def _settings(models: Sequence[ModelRow], detect: DetectSettings, options: AuditOptions) -> dict[str, Setting]:
    coded = [row for row in models if row.model != GIVEN]
    return {
        "codecs": [row.model for row in coded],
        "codec_versions": [f"{row.codec}: {row.version} {row.weights_sha256}".rstrip() for row in coded],
        "given": len(coded) < len(models),
        "max_megapixels": float(options.max_megapixels),
        "detect.libraries": _detector_libraries(detect),
        **_flat("detect", _without_places(dataclasses.asdict(detect))),
    }


def _without_places(detect: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the names of files for their paths: their hashes stand in the detector's version."""
    files = {name: Path(detect[name]).name for name in ("faces", "face_embedding") if detect.get(name)}
    return {**detect, **files}


def _detector_libraries(detect: DetectSettings) -> list[str]:
    """Libraries whose version may decide a finding: the flow's, the networks', and the reader's where text is read."""
    names = ["opencv-python-headless", "torch", *(["onnxruntime", "rapidocr"] if detect.text else [])]
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
