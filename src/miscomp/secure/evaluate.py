"""A whole evaluation of a self-destructing codec: pictures in, a folder with tables, page, sheets and plots out.

All figures depend on the files and the settings alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from miscomp.audit.plan import make_tasks
from miscomp.audit.run import Progress
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.spec import CodecSpec
from miscomp.detect.reader import RapidReader, TextReader
from miscomp.errors import MissingExtra, UsageError
from miscomp.evaluate.compare import compare
from miscomp.evaluate.measure import MeasuredRow
from miscomp.evaluate.published import is_kodak
from miscomp.evaluate.results import make_curves
from miscomp.folders import package_version, write_text
from miscomp.pairs import match_files
from miscomp.secure.calibration import weights_sha256
from miscomp.secure.codec import SecureCodec
from miscomp.secure.edits import EDITS
from miscomp.secure.evaluation import SecureEvaluation, evaluation_record, make_coding, make_groups
from miscomp.secure.evaluation_run import Limits, Run
from miscomp.secure.evaluation_store import EvaluationFolder
from miscomp.secure.evaluation_work import Request
from miscomp.secure.published import PUBLISHED
from miscomp.secure.trials import CodedRow, TrialRow
from miscomp.tables import write as write_table

__all__ = ["EvaluateOptions", "Progress", "SecureEvaluation", "evaluate"]

_FOREIGN = ("splice", "inpaint")
"""Edits that need scikit-image."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How an evaluation is made."""

    edits: tuple[str, ...] | None = None
    """Names of `EDITS`; none: all."""
    curve: int = 0
    """Points of the rate-distortion curve, over the codec's qualities; 0 leaves it out."""
    pictures: int = 4
    """How many pictures are shown, the first ones."""
    text: bool = True
    """Read the words that are left."""
    plots: bool = True
    seed: int = 0
    max_megapixels: float = 200.0
    """Larger pictures are refused."""
    force: bool = False
    """Replace an earlier evaluation, or write into a folder with other files."""

    def __post_init__(self) -> None:
        if self.curve not in (0, *range(2, 101)):
            raise UsageError(f"a curve needs 2 to 100 points, or 0 for none, got {self.curve}")
        if self.pictures < 0 or self.seed < 0:
            raise UsageError(f"pictures and seed must be 0 or more, got {self.pictures} and {self.seed}")
        if not (math.isfinite(self.max_megapixels) and self.max_megapixels > 0):
            raise UsageError(f"max_megapixels must be a positive number, got {self.max_megapixels}")

    @property
    def edit_names(self) -> tuple[str, ...]:
        """Each once, as the registry spells them. Raises `UnknownName`."""
        names = EDITS.names if self.edits is None else self.edits
        return tuple(dict.fromkeys(EDITS[name].name for name in names))


def evaluate(
    images: Sequence[Path],
    codec: SecureCodec,
    folder: Path,
    options: EvaluateOptions,
    *,
    base: SecureCodec | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> SecureEvaluation:
    """Measure every image that is not yet in `folder`, and write its tables, page, contact sheets and plots.

    Images are files or folders. `base` is the untouched codec that the cost is counted against. What fails is listed
    and the rest goes on. Raises `UsageError` for a request that cannot be carried out, before anything is written.
    """
    reader = _check_extras(options)
    request = _request(codec, base, options, reader)
    tasks, failures = make_tasks(match_files(images, None), [CodecSpec(codec.codec.name, quality=codec.quality)])
    kodak = is_kodak([task.path for task in tasks])
    settings = _settings(request, options)
    store = EvaluationFolder(folder)
    with store.owned():
        store.open(settings, force=options.force)
        limits = Limits(pictures=options.pictures, max_megapixels=options.max_megapixels)
        run = Run(store, request, limits, progress)
        for task in tasks:
            run.picture(task, len(tasks))
        progress(Progress(done=len(tasks), total=len(tasks), outcome="writing"))
        store.keep_pictures(tuple(key for key, _ in run.drawn))
        evaluation = _conclude(run, settings, request, kodak=kodak)
        evaluation = replace(evaluation, failures=(*failures, *evaluation.failures))
        _write(evaluation, store, plots=options.plots)
    return evaluation


def _check_extras(options: EvaluateOptions) -> TextReader | None:
    """Raise `MissingExtra` before anything begins; returns what reads text."""
    if options.plots and find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plots", "drawing curves (--no-plots leaves them out)")
    foreign = [name for name in _FOREIGN if name in options.edit_names]
    if foreign and find_spec("skimage") is None:
        raise MissingExtra("scikit-image", "demo", f"the edit {foreign[0]} (name others with --edit)")
    if not options.text:
        return None
    if not (find_spec("rapidocr") and find_spec("onnxruntime")):
        raise MissingExtra("rapidocr and onnxruntime", "text", "reading text (--no-text leaves it out)")
    return RapidReader()


def _request(
    codec: SecureCodec, base: SecureCodec | None, options: EvaluateOptions, reader: TextReader | None
) -> Request:
    row = CODECS[codec.codec.name]
    ends = () if row.architecture else (row.qualities.low, row.qualities.high)
    curve, base_curve = _curve_qualities(codec, base, options.curve)
    return Request(
        codec=codec,
        base=base,
        edits=options.edit_names,
        seed=options.seed,
        again_qualities=tuple(end for end in ends if end != codec.quality),
        curve=curve,
        base_curve=base_curve,
        reader=reader,
    )


def _curve_qualities(
    codec: SecureCodec, base: SecureCodec | None, points: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The codec's qualities, evenly over its scale, and the base's: the same where it has them, else over its own."""
    if not points:
        return (), ()
    rows = [CODECS[one.codec.name] for one in (codec, base) if one is not None]
    for row in rows:
        if row.architecture:
            raise UsageError(
                f"{row.name} has other weights for each quality, so one of them has no curve; leave it out"
            )
    if len({row.name for row in rows}) < len(rows):
        raise UsageError(f"a curve needs two codecs, and both are {rows[0].name}; name another with --base")
    scales = [row.qualities for row in rows]
    spread = [
        tuple(
            scale.low + scale.step * round((scale.high - scale.low) * place / (points - 1) / scale.step)
            for place in range(points)
        )
        for scale in scales
    ]
    spread = [tuple(dict.fromkeys(round(quality, 6) for quality in one)) for one in spread]
    mine, last = scales[0], scales[-1]
    fits = last.low <= mine.low and mine.high <= last.high and last.integer == mine.integer
    return spread[0], () if base is None else spread[0] if fits else spread[1]


def _settings(request: Request, options: EvaluateOptions) -> dict[str, Any]:
    """Everything that decides the figures and the small copies, with the versions of what measures them."""
    codec, base = request.codec, request.base
    libraries = ["numpy", "opencv-python-headless", "pillow", "torch", "constriction"]
    libraries += ["scikit-image"] if set(_FOREIGN) & set(request.edits) else []
    libraries += ["rapidocr", "onnxruntime"] if options.text else []
    return {
        "version": package_version(),
        "codec": codec.label,
        "quality": codec.quality,
        "weights": weights_sha256(codec),
        "base": None if base is None else base.label,
        "base_weights": None if base is None else weights_sha256(base),
        "edits": list(request.edits),
        "seed": request.seed,
        "again_qualities": list(request.again_qualities),
        "curve": list(request.curve),
        "base_curve": list(request.base_curve),
        "text": options.text,
        "pictures": options.pictures,
        "libraries": [f"{name} {package_version(name)}" for name in libraries],
    }


def _conclude(run: Run, settings: dict[str, Any], request: Request, *, kodak: bool) -> SecureEvaluation:
    rows = [row for result in run.results for row in result.curve]
    specs = [CodecSpec(one.codec.name, quality=one.quality) for one in (request.codec, request.base) if one is not None]
    curves = make_curves(rows, specs)
    groups = make_groups(run.results)
    notes = []
    if kodak and len(run.results) < 24:
        notes.append("what the paper reports is left out: it is of all 24 Kodak images")
    return SecureEvaluation(
        settings=settings,
        results=tuple(run.results),
        coding=make_coding([result.coded for result in run.results]),
        groups=groups,
        published=PUBLISHED if kodak and not notes else (),
        curves=curves,
        comparisons=tuple(one for one in compare(curves, ()) if one.test == request.codec.codec.name),
        failures=tuple(run.failures),
        notes=tuple(notes),
        drawn=tuple(run.drawn),
    )


def _write(evaluation: SecureEvaluation, store: EvaluationFolder, *, plots: bool) -> None:
    from miscomp.secure.evaluation_page import write_page
    from miscomp.secure.evaluation_sheets import write_sheets

    folder = store.path
    store.clear_results()
    tables: list[tuple[str, type[Any], list[Any]]] = [
        ("images.csv", CodedRow, [result.coded for result in evaluation.results]),
        ("edits.csv", TrialRow, [row for result in evaluation.results for row in result.trials]),
        ("curve.csv", MeasuredRow, [row for result in evaluation.results for row in result.curve]),
    ]
    for name, record, rows in tables:
        if rows or name != "curve.csv":
            write_table(folder / name, record, rows)
    if plots:
        from miscomp.secure.evaluation_plots import draw

        draw(evaluation, folder / "plots")
    write_sheets(evaluation, store)
    content = json.dumps(evaluation_record(evaluation), indent=1, ensure_ascii=True, allow_nan=False)
    write_text(folder / "evaluation.json", content + "\n")
    write_page(evaluation, store, plots=plots)
