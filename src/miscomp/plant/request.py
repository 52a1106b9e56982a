"""What is to be planted: the options, everything that decides the results, and one task per picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from miscomp.codecs.request import model_row, resolve_references
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import package_version
from miscomp.images import list_images
from miscomp.plant.catalog import KINDS
from miscomp.plant.controls import CONTROLS, control_specs
from miscomp.plant.controls import PREFIX as CONTROL_PREFIX
from miscomp.plant.edits import STRENGTHS, KindRow, check_strength
from miscomp.plant.natural import PREFIX as NATURAL_PREFIX
from miscomp.plant.natural import natural_specs
from miscomp.records import Box, Failure, ModelRow
from miscomp.registry import load

DEFAULT_CODECS = ("lucid@0.25bpp", "lucid@0.75bpp", "jpeg@0.25bpp", "jpeg@0.75bpp")
"""What changed pictures are coded with where no codec is named."""

MOST = 1000
"""Of anything that is planted in a picture of 768 x 512."""

PLANTER_VERSION = "1"
"""Stands in the tables; rises when the same request gives other plants."""

PLATE = KindRow(
    name="plate-character",
    target="miscomp.plant.plates:swap_on_plate",
    category="SHAPE",
    symbol=True,
    description="one character of a photographed plate becomes another, copied from the same plate",
)
"""Kind of what is changed on photographed plates; only with a folder of them."""


@dataclass(frozen=True, kw_only=True)
class PlantOptions:
    """How plants are made."""

    seed: int = 0
    count: int = 6
    """Labels in a picture of `scene.USUAL_PIXELS`; others get as many as `scene.number_for` says."""
    negatives: int = 3
    """Hard negatives, counted likewise; there are as many seams."""
    kinds: tuple[KindRow, ...] = tuple(KINDS)
    strengths: tuple[float, ...] = STRENGTHS
    controls: bool = True
    natural: int = 4
    """Known words in a picture, counted likewise; 0 leaves those pairs out."""
    jobs: int = 1
    """Processes; results do not depend on it."""
    max_megapixels: float = 200.0
    """Larger pictures are refused."""
    force: bool = False
    """Replace earlier plants, or write into a folder with other files."""
    reader: str = "miscomp.detect.reader:RapidReader"
    """`module:class` of a `TextReader`, called with `threads`."""
    put_word: str = "miscomp.plant.signboard:put_word"
    """`module:function` that renders known words, see `natural.WordPutter`."""

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("count", 0), ("negatives", 0), ("natural", 0), ("jobs", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be {least} or more, got {getattr(self, name)}")
        for name in ("count", "negatives", "natural"):
            if getattr(self, name) > MOST:
                raise UsageError(
                    f"{name} must be at most {MOST}, got {getattr(self, name)}: a picture has no more room"
                )
        if not self.kinds or not self.strengths:
            raise UsageError("plants need at least one kind and one strength")
        for strength in self.strengths:
            check_strength(strength)
        if not (math.isfinite(self.max_megapixels) and self.max_megapixels > 0):
            raise UsageError(f"max_megapixels must be a positive number, got {self.max_megapixels}")


def choose_kinds(names: Sequence[str]) -> tuple[KindRow, ...]:
    """Kinds by name, each once. Raises `UnknownName`."""
    return tuple(KINDS[name] for name in dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class PlantPlan:
    """What is the same for every picture; it travels to other processes."""

    folder: Path
    specs: tuple[CodecSpec, ...]
    references: Mapping[str, CodecSpec]
    """For each `like:` codec the one whose rate it follows."""
    options: PlantOptions
    settings: Mapping[str, Any]
    """Everything that decides the results."""


@dataclass(frozen=True, kw_only=True)
class PictureTask:
    """One photograph."""

    number: int
    path: Path
    plates: tuple[tuple[Box, str], ...] = ()
    """Where its plates are and what they say; nothing else is planted in a picture with plates."""

    @property
    def filename(self) -> str:
        """Name of its scene in the tables."""
        return f"{self.path.stem}.png"

    @property
    def words_filename(self) -> str:
        """Name of the same photograph with known words."""
        return f"{self.path.stem}-words.png"


def make_plan(specs: Sequence[CodecSpec], folder: Path, options: PlantOptions) -> PlantPlan:
    """Resolve every setting.

    Raises `UsageError` for codecs that contradict each other or cannot be opened, and `MissingExtra`.
    """
    if not specs:
        raise UsageError(f"nothing to code with; name a codec, as in --codec {DEFAULT_CODECS[0]}")
    references = resolve_references(specs)
    _check_extras(options)
    controls = control_specs(specs) if options.controls else []
    natural = natural_specs(specs) if options.natural else []
    for spec in (*specs, *references.values(), *controls, *natural):
        open_spec(spec)
    return PlantPlan(
        folder=folder,
        specs=tuple(specs),
        references=references,
        options=options,
        settings=_settings(specs, options),
    )


def _check_extras(options: PlantOptions) -> None:
    """Say once, before any work, what every picture would otherwise fail with."""
    for row in options.kinds:
        load(row.target)
    if options.natural and not (find_spec("rapidocr") and find_spec("onnxruntime")):
        raise MissingExtra("rapidocr and onnxruntime", "text", "telling what codecs made of words (--natural 0: none)")
    if find_spec("matplotlib") is None and (options.natural or any(row.symbol for row in options.kinds)):
        raise MissingExtra("matplotlib (for the fonts in its wheel)", "plant", "rendering signs")


def models(plan: PlantPlan) -> list[ModelRow]:
    """Every model that a pair may have, planted ones first."""
    rows = [model_row(spec) for spec in plan.specs]
    options = plan.options
    if options.controls:
        rows += [
            ModelRow(
                model=f"{CONTROL_PREFIX}{row.name}",
                codec=row.name,
                setting=row.setting,
                version=f"miscomp {package_version()}",
            )
            for row in CONTROLS.values()
        ]
        rows += [_prefixed(CONTROL_PREFIX, spec) for spec in control_specs(plan.specs)]
    if options.natural:
        rows += [_prefixed(NATURAL_PREFIX, spec) for spec in natural_specs(plan.specs)]
    return rows


def _prefixed(prefix: str, spec: CodecSpec) -> ModelRow:
    row = model_row(spec)
    return ModelRow(
        model=prefix + row.model,
        codec=row.codec,
        setting=row.setting,
        target_bpp=row.target_bpp,
        weights_sha256=row.weights_sha256,
        version=row.version,
    )


def _settings(specs: Sequence[CodecSpec], options: PlantOptions) -> dict[str, Any]:
    libraries = ["numpy", "opencv-python-headless", "pillow", "scipy", "matplotlib"]
    libraries += ["onnxruntime", "rapidocr"] if options.natural else []
    rows = [model_row(spec) for spec in (*specs, *(control_specs(specs) if options.controls else ()))]
    return {
        "version": package_version(),
        "planter": PLANTER_VERSION,
        "codecs": [str(spec) for spec in specs],
        "codec_versions": list(
            dict.fromkeys(f"{row.codec}: {row.version} {row.weights_sha256}".rstrip() for row in rows)
        ),
        "libraries": [f"{name} {package_version(name)}" for name in libraries],
        "seed": options.seed,
        "count": options.count,
        "negatives": options.negatives,
        "kinds": [row.name for row in options.kinds],
        "strengths": list(options.strengths),
        "controls": options.controls,
        "natural": options.natural,
        "max_megapixels": options.max_megapixels,
    }


def make_tasks(
    images: Sequence[Path], plates: Sequence[tuple[Path, Box, str]] = ()
) -> tuple[list[PictureTask], list[Failure]]:
    """One task for each picture, by file name; what cannot be told apart in the tables is a failure.

    Raises `ImageError` for a missing path or an empty folder, `UsageError` where there is nothing at all.
    """
    known: dict[Path, list[tuple[Box, str]]] = {}
    for path, box, text in plates:
        known.setdefault(path, []).append((box, text))
    files = {file for path in images for file in list_images(path)}
    paths = sorted(files | set(known), key=lambda path: (path.name, str(path)))
    if not paths:
        raise UsageError("no pictures; name at least one, or a folder of pictures")
    tasks: list[PictureTask] = []
    failures: list[Failure] = []
    names: dict[str, str] = {}
    for path in paths:
        task = PictureTask(number=len(tasks), path=path, plates=tuple(known.get(path, ())))
        if problem := _unfit(task, names):
            name = path.name.encode(errors="backslashreplace").decode()
            failures.append(Failure(name=name, reason=problem))
            continue
        # Without regard to case, because some file systems have none.
        names |= {name.casefold(): path.name for name in (task.filename, task.words_filename)}
        tasks.append(task)
    return tasks, failures


def _unfit(task: PictureTask, names: Mapping[str, str]) -> str:
    try:
        task.path.name.encode()
    except UnicodeEncodeError:
        return "the file's name is not UTF-8, so no table can hold it; rename it"
    for name in (task.filename, task.words_filename):
        if name.casefold() in names:
            return f"{names[name.casefold()]} needs the name {name} too; rename one, or plant in another folder"
    return ""
