"""The folder of a benchmark: settings that must not change under it, and a journal per detector of what it saw.

    settings.json                  what was asked for; another request needs another folder, or --force
    journals/DETECTOR.jsonl        one line per pair, written when the detector is done with it
    detections/DETECTOR.csv        the same as annotations
    benchmark.json, benchmark.html, plots/

A line counts when it is whole, so a killed run loses the pair it was at and nothing else. Its key holds everything
that decides what a detector sees, so lines outlive changes of labels, of other detectors and of how scores are made.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from miscomp.detect.base import Detections
from miscomp.folders import ResultsFolder, add_line, read_lines
from miscomp.records import Box
from miscomp.taxonomy import split_categories

LEVELS = 256
"""Heat is kept in so many levels of its square root, which tell small values apart as well as large ones."""

_MOST_CELLS = 2**26
WRITTEN = ("benchmark.json", "benchmark.html", "detections/*.csv", "plots/*.png", "plots/*.svg")
"""What is made from the journals."""

Levels = npt.NDArray[np.uint8]
_NODES = ("changed", "relevant", "suspicion", "expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A detection without its words and numbers."""

    box: Box
    score: float
    source: str
    category: str = ""
    symbol: bool = False
    note: str = ""
    changed: float | None = None
    relevant: float | None = None
    suspicion: float | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a detector saw in one pair."""

    found: tuple[Found, ...]
    heat: Levels
    """Level of each cell of 4 x 4 pixels."""
    seconds: float
    """What it took, with all reading of text."""
    warnings: tuple[str, ...] = ()

    @property
    def boxes(self) -> npt.NDArray[np.int64]:
        """Rows of x, y, w, h."""
        rows = [(one.box.x, one.box.y, one.box.w, one.box.h) for one in self.found]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Of `found`, in its order."""
        return np.array([one.score for one in self.found], dtype=np.float64)


def as_seen(detections: Detections, seconds: float) -> Seen:
    """What is kept of a detector's answer."""
    found = tuple(
        Found(
            box=one.box,
            score=float(one.score),
            source=one.source,
            category=one.category,
            symbol=one.symbol,
            note=one.note,
            changed=one.answer("changed"),
            relevant=one.answer("relevant"),
            suspicion=one.answer("suspicion"),
            expected=one.answer("expected"),
        )
        for one in detections.found
    )
    heat = np.clip(np.nan_to_num(detections.heat), 0, 1)
    levels = np.round((LEVELS - 1) * np.sqrt(heat)).astype(np.uint8)
    return Seen(found=found, heat=levels, seconds=seconds, warnings=detections.warnings)


def seen_key(pair: Mapping[str, str], detector: Mapping[str, Any]) -> str:
    """32 hex digits over everything that decides what is seen: the pair's files and the detector with its settings."""
    text = json.dumps([dict(pair), dict(detector)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class BenchmarkFolder(ResultsFolder):
    """One benchmark's folder; one process at a time may own it."""

    kind: ClassVar[str] = "benchmark"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Go on in a folder made with the same settings; with `force`, make new results in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the results
        of an earlier benchmark, not its journals: what a detector saw holds as long as the pair and the detector do.
        """
        if not force:
            self.check_settings(settings)
        elif self.saved_settings() is not None:
            self.clear_results()
        self.write_settings(settings)

    def clear_results(self) -> None:
        """Remove what an earlier run made from the journals, so that nothing in the folder is of another request."""
        self.clear(WRITTEN, ("detections", "plots"))

    def load(self, detector: str) -> dict[str, Seen]:
        """What a detector saw, by key. A line that is torn or damaged is dropped, to be made again."""
        return read_lines(self._journal(detector), _read_line)

    def add(self, detector: str, key: str, seen: Seen) -> None:
        """Write one line, and have it on the disk before going on."""
        path = self._journal(detector)
        path.parent.mkdir(exist_ok=True)
        add_line(path, {"key": key, **_record(seen)})

    def _journal(self, detector: str) -> Path:
        return self.path / "journals" / f"{detector}.jsonl"


def _record(seen: Seen) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(seen.heat.tobytes(), 6)).decode("ascii")
    return {
        "seconds": seen.seconds,
        "warnings": list(seen.warnings),
        "found": [asdict(one) for one in seen.found],
        "heat": {"shape": list(seen.heat.shape), "zlib": packed},
    }


def _read_line(line: str) -> list[tuple[str, Seen]]:
    """Key and contents of a whole line; nothing for another."""
    if not line.endswith("\n"):
        return []
    try:
        record = json.loads(line)
        found = tuple(_found(one) for one in record["found"])
        seen = Seen(
            found=found,
            heat=_heat(record["heat"]),
            seconds=float(record["seconds"]),
            warnings=tuple(map(str, record["warnings"])),
        )
        if not (math.isfinite(seen.seconds) and seen.seconds >= 0):
            raise ValueError("a time that no detector takes")
        for one in found:
            split_categories(one.category)
        return [(str(record["key"]), seen)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, zlib.error):
        return []


def _found(record: Mapping[str, Any]) -> Found:
    one = Found(**{**record, "box": Box(**record["box"])})
    texts = (one.source, one.category, one.note)
    values = (one.score, *(getattr(one, node) for node in _NODES))
    if not all(isinstance(text, str) for text in texts) or type(one.symbol) is not bool:
        raise ValueError("a text or the mark of a symbol is of another type")
    if one.score is None or not all(value is None or 0 <= value <= 1 for value in values):
        raise ValueError("a score lies outside [0, 1]")
    return one


def _heat(record: Mapping[str, Any]) -> Levels:
    rows, columns = map(int, record["shape"])
    if not 0 < rows * columns <= _MOST_CELLS:
        raise ValueError("a heat map of no possible size")
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(base64.b64decode(record["zlib"]), rows * columns + 1)
    return np.frombuffer(content, dtype=np.uint8).reshape(rows, columns)
