"""The folder of an evaluation: settings that must not change under it, and a journal of what was measured.

    settings.json                  what was asked for; another request needs another folder
    journal.jsonl                  one line per image and setting, and one for each setting's memory, written when
                                   it is measured

A line counts when it is whole, so a killed run loses what it was measuring and nothing else. Tables, summaries
and plots are made from the journal at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_type_hints

from miscomp.evaluate.measure import GenerationRow, MeasuredRow, Measurement
from miscomp.evaluate.memory import MemoryRow
from miscomp.folders import ResultsFolder, add_line, read_lines

JOURNAL = "journal.jsonl"
WRITTEN = (
    "images.csv",
    "generations.csv",
    "memory.csv",
    "summary.json",
    "results/*.json",
    "plots/*.png",
    "plots/*.svg",
)
"""What is made from the journal."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What was measured so far, by key."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    memory: dict[str, MemoryRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationFolder(ResultsFolder):
    """One evaluation's folder; one process at a time may own it."""

    kind: ClassVar[str] = "evaluation"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Go on in a folder made with the same settings; with `force`, start anew in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the
        files of an earlier evaluation and nothing else.
        """
        if not force:
            self.check_settings(settings)
        elif self.saved_settings() is not None:
            (self.path / JOURNAL).unlink(missing_ok=True)
            self.clear_results()
        self.write_settings(settings)

    def clear_results(self) -> None:
        """Remove what an earlier run made from the journal, so that nothing in the folder is of another request."""
        self.clear(WRITTEN, ("results", "plots"))

    def load(self) -> Journal:
        """What was measured. A line that is torn or damaged is dropped, to be measured again."""
        journal = Journal()
        found = read_lines(self.path / JOURNAL, lambda line: [((type(o), key), o) for key, o in _read_line(line)])
        for (_, key), one in found.items():
            if isinstance(one, Measurement):
                journal.measurements[key] = one
            else:
                journal.memory[key] = one
        return journal

    def add(self, key: str, one: Measurement | MemoryRow) -> None:
        """Write one line, and have it on the disk before going on."""
        content = dataclasses.asdict(one)
        content = content if isinstance(one, Measurement) else {"memory": content}
        add_line(self.path / JOURNAL, {"key": key, **content})


def measurement_key(filename: str, image_sha1: str, model: str) -> str:
    """Name of one image at one setting: 32 hex digits over the file's name and content and the setting."""
    text = json.dumps([filename, image_sha1, model], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def _fits(row: MeasuredRow | GenerationRow | MemoryRow) -> bool:
    """Whether every value is of its field's type; a whole number is a number."""
    hints = get_type_hints(type(row))
    values = ((getattr(row, name), hint) for name, hint in hints.items())
    return all(isinstance(value, hint) or (type(value) is int and hint is float) for value, hint in values)


def _read_line(line: str) -> list[tuple[str, Measurement | MemoryRow]]:
    """Key and content of a whole line; nothing for another. Infinity stands as Python's JSON writes it."""
    if not line.endswith("\n"):
        return []
    try:
        record = json.loads(line)
        if "memory" in record:
            memory = MemoryRow(**record["memory"])
            return [(str(record["key"]), memory)] if _fits(memory) else []
        row = MeasuredRow(**record["row"])
        generations = tuple(GenerationRow(**one) for one in record["generations"])
        rows: list[MeasuredRow | GenerationRow] = [row, *generations]
        if not all(map(_fits, rows)):
            return []
        return [(str(record["key"]), Measurement(row=row, generations=generations))]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
