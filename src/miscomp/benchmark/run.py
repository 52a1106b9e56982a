"""A whole benchmark: a folder of labelled pairs and detectors in, figures, tables and a page out.

Everything but the speeds depends on the pairs, the detectors and the settings alone.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from miscomp.audit.run import Progress
from miscomp.benchmark.bootstrap import draws
from miscomp.benchmark.matching import Floats
from miscomp.benchmark.page import write_page
from miscomp.benchmark.scores import Comparison, NaturalScores, Scores, Speed, compare, score_detector, score_natural
from miscomp.benchmark.store import BenchmarkFolder, Seen
from miscomp.benchmark.summary import Benchmark, record
from miscomp.benchmark.tally import Cases, make_cases, make_tally
from miscomp.benchmark.work import Contender, Looked, look, open_contenders
from miscomp.detect.base import DEFAULT_DETECTOR, DetectSettings
from miscomp.detect.catalog import DETECTORS, DetectorRow
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import package_version, write_text
from miscomp.pairset import (
    ANNOTATIONS,
    IMAGES,
    MODELS,
    NATURAL,
    NEGATIVES,
    PLANTS,
    LabelledPair,
    PairSet,
    read_pair_set,
)
from miscomp.records import Annotation, display_id
from miscomp.tables import write as write_table
from miscomp.taxonomy import Origin

__all__ = ["Benchmark", "BenchmarkOptions", "Progress", "choose_detectors", "detect_settings", "run_benchmark"]

PER_MEGAPIXEL, AT_LEAST = 60.0, 20
"""Findings that a detector may have: enough that the limit cuts off none that matters, and the same for all."""


def detect_settings(*, text: bool = True) -> DetectSettings:
    """Settings under which a detector says all that it sees, as far as `PER_MEGAPIXEL` and `AT_LEAST` allow."""
    return DetectSettings(text=text, minimum_score=0.0, per_megapixel=PER_MEGAPIXEL, at_least=AT_LEAST)


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """How a benchmark is made."""

    resamples: int = 1000
    """Of the bootstrap."""
    seed: int = 0
    plots: bool = True
    """Draw curves where matplotlib is installed."""
    max_megapixels: float = 200.0
    """Larger pictures are refused."""
    threads: int = 2
    """Of the reader of text; they change times, not readings."""
    force: bool = False
    """Replace an earlier benchmark, or write into a folder with other files."""
    detect: DetectSettings = field(default_factory=detect_settings)
    """What detectors are asked for; `text` needs the extra of that name."""

    def __post_init__(self) -> None:
        if not 0 <= self.resamples <= 100_000:
            raise UsageError(f"resamples lie in 0 to 100000, got {self.resamples}")
        if self.seed < 0:
            raise UsageError(f"a seed is 0 or more, got {self.seed}")


def choose_detectors(names: Sequence[str], *, text: bool = True) -> list[DetectorRow]:
    """The rows of these names, else the default detector and every baseline.

    Without text, baselines that do nothing but read are left out. Raises `UnknownName`, and `UsageError` for a name
    given twice.
    """
    if len(set(names)) != len(names):
        raise UsageError(f"a detector is named twice in {', '.join(names)}; name each once")
    if names:
        return [DETECTORS[name] for name in names]
    rows = [row for row in DETECTORS if row.name == DEFAULT_DETECTOR or row.baseline]
    return [row for row in rows if text or not (row.baseline and row.reads_text)]


def run_benchmark(
    folder: Path,
    rows: Sequence[DetectorRow],
    output: Path,
    options: BenchmarkOptions,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Benchmark:
    """Run every detector on every pair of `folder` that it has not yet seen, and write figures and a page to `output`.

    Pairs that cannot be read, or that a detector fails on, are listed and are in no figure. Raises `TableError` for
    what `read_pair_set` cannot read, and `UsageError` for a request that cannot be carried out, before anything is
    written.
    """
    if not rows:
        raise UsageError("nothing to score; name a detector, as in --detector rules")
    if output.resolve() == folder.resolve():
        raise UsageError(f"{output} holds the pairs; choose another folder with -o")
    pair_set = read_pair_set(folder)
    if not pair_set.pairs:
        raise UsageError(f"{folder / IMAGES} has no pairs; plant some, or export annotations")
    make_cases(pair_set.pairs)
    reads = options.detect.text and any(row.reads_text for row in rows)
    reader = _open_reader(options.threads) if reads else None
    contenders = open_contenders(rows, options.detect, reader)
    settings = _settings(folder, contenders, options)
    store = BenchmarkFolder(output)
    with store.owned():
        store.open(settings, force=options.force)
        looked = look(
            store,
            pair_set.pairs,
            contenders,
            reader,
            max_megapixels=options.max_megapixels,
            progress=progress,
        )
        count = len(pair_set.pairs)
        progress(Progress(done=count, total=count, outcome="writing"))
        benchmark = score(pair_set, contenders, looked, settings=settings, options=options)
        _write(benchmark, pair_set.pairs, store, plots=options.plots)
    return benchmark


def _open_reader(threads: int) -> Any:
    if not (find_spec("rapidocr") and find_spec("onnxruntime")):
        raise MissingExtra("rapidocr and onnxruntime", "text", "reading text (--no-text leaves it out)")
    from miscomp.detect.reader import RapidReader
    from miscomp.detect.remember import RememberingReader

    return RememberingReader(RapidReader(threads=threads))


def _settings(folder: Path, contenders: Sequence[Contender], options: BenchmarkOptions) -> dict[str, Any]:
    """Everything that decides the figures, with the versions of what makes them; pictures are told by the tables."""
    digest = hashlib.sha256()
    for name in (IMAGES, ANNOTATIONS, NEGATIVES, PLANTS, MODELS):
        path = folder / name
        digest.update(path.read_bytes() if path.is_file() else b"")
        digest.update(b"\0")
    detect = {name: value for name, value in asdict(options.detect).items() if name != "detector"}
    libraries = ["numpy", "scipy", "opencv-python-headless", "pillow", "torch"]
    libraries += ["rapidocr", "onnxruntime"] if options.detect.text else []
    return {
        "version": package_version(),
        "tables_sha256": digest.hexdigest(),
        "detectors": {one.row.name: one.detector.version for one in contenders},
        "detect": detect,
        "resamples": options.resamples,
        "seed": options.seed,
        "libraries": [f"{name} {package_version(name)}" for name in libraries],
    }


def score(
    pair_set: PairSet,
    contenders: Sequence[Contender],
    looked: Looked,
    *,
    settings: dict[str, Any],
    options: BenchmarkOptions,
) -> Benchmark:
    """Figures from what was seen, over the pairs that every detector has seen; natural pairs apart from the others."""
    natural = [place for place in looked.whole if pair_set.pairs[place].row.source == NATURAL]
    places = [place for place in looked.whole if place not in set(natural)]
    cases = make_cases([pair_set.pairs[place] for place in places])
    seen = {one.row.name: [looked.seen[one.row.name][place] for place in places] for one in contenders}
    counts = draws(len(cases.sources), options.resamples, np.random.default_rng(options.seed))
    tallies = {name: make_tally(cases, all_seen) for name, all_seen in seen.items()}
    scores = tuple(
        score_detector(
            tallies[one.row.name],
            counts,
            [pair.found for pair in seen[one.row.name]],
            models=pair_set.models,
            about={
                "name": one.row.name,
                "version": one.detector.version,
                "description": one.row.description,
            },
            baseline=one.row.baseline,
            speed=_speed(cases, seen[one.row.name]),
            warnings=dict(Counter(text for pair in seen[one.row.name] for text in pair.warnings)),
        )
        for one in contenders
    )
    return Benchmark(
        settings=settings,
        cases=cases,
        tallies=tallies,
        seen=seen,
        scores=scores,
        comparisons=_compare(scores, tallies, counts),
        failures=tuple(looked.failures),
        natural=_natural(pair_set, natural, looked, scores, options),
    )


def _natural(
    pair_set: PairSet, places: Sequence[int], looked: Looked, scores: Sequence[Scores], options: BenchmarkOptions
) -> dict[str, NaturalScores]:
    """By the detector's name; empty where there are no natural pairs."""
    if not places:
        return {}
    cases = make_cases([pair_set.pairs[place] for place in places])
    counts = draws(len(cases.sources), options.resamples, np.random.default_rng(options.seed))
    return {
        one.name: score_natural(
            make_tally(cases, [looked.seen[one.name][place] for place in places]), counts, one.threshold
        )
        for one in scores
    }


def _compare(scores: Sequence[Scores], tallies: Any, counts: Floats) -> tuple[Comparison, ...]:
    baselines = [one.name for one in scores if one.baseline]
    return tuple(compare(one.name, tallies, baselines, counts) for one in scores if not one.baseline)


def _speed(cases: Cases, seen: Sequence[Seen]) -> Speed | None:
    sizes = [pair.row.width * pair.row.height / 1e6 for pair in cases.pairs]
    speeds = [size / max(one.seconds, 1e-9) for size, one in zip(sizes, seen, strict=True)]
    if not speeds:
        return None
    return Speed(median=statistics.median(speeds), slowest=float(np.quantile(speeds, 0.1)))


def _write(benchmark: Benchmark, pairs: Sequence[LabelledPair], store: BenchmarkFolder, *, plots: bool) -> None:
    store.clear_results()
    (store.path / "detections").mkdir(exist_ok=True)
    for one in benchmark.scores:
        rows = _annotations(benchmark, one)
        write_table(store.path / "detections" / f"{one.name}.csv", Annotation, rows)
    write_page(benchmark, store.path, plots=plots)
    content = json.dumps(record(benchmark), indent=1, ensure_ascii=True, allow_nan=False)
    write_text(store.path / "benchmark.json", content + "\n")


def _annotations(benchmark: Benchmark, scores: Scores) -> list[Annotation]:
    """Every detection as a labeler's annotation."""
    return [
        Annotation(
            id=display_id(pair.row.image_sha1, pair.row.model, one.box),
            filename=pair.row.filename,
            image_sha1=pair.row.image_sha1,
            model=pair.row.model,
            x=one.box.x,
            y=one.box.y,
            w=one.box.w,
            h=one.box.h,
            labeler=scores.name,
            origin=Origin.DETECTOR,
            version=scores.version,
            category=one.category,
            symbol=one.symbol,
            score=one.score,
            changed=one.changed,
            relevant=one.relevant,
            suspicion=one.suspicion,
            expected=one.expected,
            note=one.note,
        )
        for pair, seen in zip(benchmark.cases.pairs, benchmark.seen[scores.name], strict=True)
        for one in seen.found
    ]
