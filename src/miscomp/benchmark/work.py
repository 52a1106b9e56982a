"""Detectors on labelled pairs, pair by pair; what was seen is kept as soon as it is known."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from miscomp.audit.run import Progress
from miscomp.benchmark.store import BenchmarkFolder, Seen, as_seen, seen_key
from miscomp.detect.base import Detector, DetectSettings
from miscomp.detect.catalog import DetectorRow
from miscomp.errors import ImageError, MiscompError, SizeMismatch
from miscomp.images import Pixels, read
from miscomp.pairs import hash_file
from miscomp.pairset import LabelledPair
from miscomp.records import Failure
from miscomp.registry import load

if TYPE_CHECKING:
    from miscomp.detect.remember import RememberingReader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A detector that takes part, ready to look."""

    row: DetectorRow
    detector: Detector
    settings: DetectSettings

    @property
    def identity(self) -> dict[str, Any]:
        """Everything about it that decides what it sees."""
        return {"detector": self.row.name, "version": self.detector.version, "settings": asdict(self.settings)}


@dataclass(kw_only=True)
class Looked:
    """What was seen: for each detector, by the place of the pair; pairs that failed are in `failures` alone."""

    seen: dict[str, dict[int, Seen]]
    failures: list[Failure] = field(default_factory=list)

    @property
    def whole(self) -> list[int]:
        """Places of the pairs that every detector has seen."""
        places = [set(found) for found in self.seen.values()]
        return sorted(set.intersection(*places)) if places else []


@dataclass(frozen=True, kw_only=True)
class _Looking:
    """A run in progress."""

    store: BenchmarkFolder
    contenders: Sequence[Contender]
    reader: RememberingReader | None
    max_megapixels: float
    progress: Callable[[Progress], None]
    total: int
    looked: Looked
    kept: Mapping[str, Mapping[str, Seen]]


def open_contenders(
    rows: Sequence[DetectorRow], settings: DetectSettings, reader: RememberingReader | None
) -> list[Contender]:
    """Build the detectors; those that read text share the reader. Raises what a detector raises that lacks a part."""
    contenders = []
    for row in rows:
        detector: Detector = load(row.build)(reader=reader if row.reads_text else None)
        contenders.append(Contender(row=row, detector=detector, settings=replace(settings, detector=row.name)))
    return contenders


def look(
    store: BenchmarkFolder,
    pairs: Sequence[LabelledPair],
    contenders: Sequence[Contender],
    reader: RememberingReader | None,
    *,
    max_megapixels: float,
    progress: Callable[[Progress], None],
) -> Looked:
    """Let every detector see every pair that it has not yet seen in this folder; failures are listed."""
    looking = _Looking(
        store=store,
        contenders=contenders,
        reader=reader,
        max_megapixels=max_megapixels,
        progress=progress,
        total=len(pairs),
        looked=Looked(seen={one.row.name: {} for one in contenders}),
        kept={one.row.name: store.load(one.row.name) for one in contenders},
    )
    progress(Progress(done=0, total=len(pairs), outcome="planned"))
    for done, place in enumerate(_one_original_after_another(pairs)):
        _look_at(looking, pairs[place], place, done)
    return looking.looked


def _one_original_after_another(pairs: Sequence[LabelledPair]) -> list[int]:
    """So that what was read in an original is still remembered when its next reconstruction comes."""
    first: dict[str, int] = {}
    for place, pair in enumerate(pairs):
        first.setdefault(pair.row.image_sha1, place)
    return sorted(range(len(pairs)), key=lambda place: (first[pairs[place].row.image_sha1], place))


def _look_at(looking: _Looking, pair: LabelledPair, place: int, done: int) -> None:
    name, model = pair.row.filename, pair.row.model
    begin = time.perf_counter()
    told = Progress(done=done, total=looking.total, outcome="started", name=name, model=model)
    looking.progress(told)
    reason, new = "", False
    try:
        new = _see(looking, pair, place)
    except (MiscompError, MemoryError, OSError) as error:
        reason = str(error) or type(error).__name__
    except Exception as error:  # one pair must not stop the others, whatever is wrong with it or with a detector
        _log.exception("%s, %s", name, model)
        reason = f"{type(error).__name__}: {error}; this is a fault in a detector, please report it"
    if reason:
        looking.looked.failures.append(Failure(name=name, reason=f"{model}: {reason}"))
    looking.progress(
        replace(
            told,
            done=done + 1,
            outcome="failed" if reason else "done" if new else "kept",
            reason=reason,
            seconds=time.perf_counter() - begin,
        )
    )


def _see(looking: _Looking, pair: LabelledPair, place: int) -> bool:
    """Whether there was anything left to see in the pair."""
    hashes = {"original": hash_file(pair.original)[0], "reconstruction": hash_file(pair.reconstruction)[0]}
    if hashes["original"] != pair.row.image_sha1:
        raise ImageError(
            pair.original,
            f"the original's SHA-1 is {hashes['original']}, images.csv says {pair.row.image_sha1}; restore the file",
        )
    pixels: tuple[Pixels, Pixels] | None = None
    for one in looking.contenders:
        name, key = one.row.name, seen_key(hashes, one.identity)
        seen = looking.kept[name].get(key)
        if seen is None:
            pixels = pixels or _read(pair, looking.max_megapixels)
            seen = _detect(one, pixels, looking.reader)
            looking.store.add(name, key, seen)
        looking.looked.seen[name][place] = seen
    return pixels is not None


def _read(pair: LabelledPair, max_megapixels: float) -> tuple[Pixels, Pixels]:
    pictures = [read(path, max_megapixels=max_megapixels) for path in (pair.original, pair.reconstruction)]
    for picture, what in zip(pictures, ("original", "reconstruction"), strict=True):
        if (picture.width, picture.height) != (pair.row.width, pair.row.height):
            raise SizeMismatch(
                picture.path,
                f"the {what} has {picture.width} x {picture.height} pixels, images.csv says {pair.row.width} x "
                f"{pair.row.height}; correct the table or the picture",
            )
    return pictures[0].pixels, pictures[1].pixels


def _detect(one: Contender, pixels: tuple[Pixels, Pixels], reader: RememberingReader | None) -> Seen:
    saved = reader.saved_seconds if reader else 0.0
    begin = time.perf_counter()
    detections = one.detector(*pixels, one.settings)
    seconds = time.perf_counter() - begin
    return as_seen(detections, seconds + (reader.saved_seconds - saved if reader else 0.0))
