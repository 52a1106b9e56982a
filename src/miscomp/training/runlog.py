"""The tables of a run folder: `log.csv` of the steps, `valid.csv` of the validations; a resumed run continues both."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miscomp.folders import replacing

Row = dict[str, str]


class StepTable:
    """A CSV file of rows by step, rewritten atomically; rows after the step that a run goes on from are dropped."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self.rows: list[Row] = []
        if path.exists() and start:
            with path.open(encoding="utf-8", newline="", errors="replace") as file:
                self.rows = [row for row in csv.DictReader(file) if _step(row) <= start]

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows, whose first column is `step`, and write the file; the newest row gives the columns' order."""
        self.rows.extend(rows)
        columns = dict.fromkeys(name for row in reversed(self.rows) for name in row)
        with replacing(self._path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def _step(row: dict[str | Any, str | Any]) -> float:
    """The row's step; beyond every other for a row that is none."""
    known = None not in row and None not in row.values() and str(row.get("step", "")).isdigit()
    return int(row["step"]) if known else float("inf")


class StepLog:
    """Means of the figures since the last line of `log.csv`.

    What is not written yet travels in the checkpoint, so that a resumed run writes the same lines.
    """

    def __init__(self, path: Path, start: int, pending: dict[str, Any]) -> None:
        """`pending` is what `pending` gave when the checkpoint was written; empty where it holds none."""
        self.table = StepTable(path, start)
        self._sums: dict[str, float] = dict(pending.get("sums", {}))
        # Not every step has every figure: an edit that was not drawn has none.
        self._counts: dict[str, int] = dict(pending.get("counts", {}))
        self._count = int(pending.get("count", 0))
        last = self.table.rows[-1].get("skipped", "") if self.table.rows else ""
        self._skipped = int(pending.get("skipped", last if last.isdigit() else 0))
        self._since = time.monotonic() - float(pending.get("seconds", 0.0))

    def add(self, figures: dict[str, float], *, skipped: bool) -> None:
        """Count a step; the figures of a skipped one are left out."""
        if skipped:
            self._skipped += 1
            return
        self._count += 1
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def pending(self) -> dict[str, Any]:
        """Sums that no line holds yet."""
        seconds = time.monotonic() - self._since
        sums = {"sums": self._sums, "counts": self._counts}
        return {**sums, "count": self._count, "skipped": self._skipped, "seconds": seconds}

    @property
    def means(self) -> dict[str, float]:
        """Means since the last line, each over the steps that had it."""
        return {name: value / self._counts[name] for name, value in self._sums.items()}

    def flush(self, step: int) -> str:
        """Write the line of this step, and put it into words."""
        means = self.means
        seconds = (time.monotonic() - self._since) / max(self._count, 1)
        figures = {name: f"{value:.6g}" for name, value in means.items()}
        row = {"step": str(step), **figures, "skipped": str(self._skipped), "seconds_per_step": f"{seconds:.4f}"}
        self.table.add([row])
        self._sums, self._counts, self._count, self._since = {}, {}, 0, time.monotonic()
        skipped = f", {self._skipped} skipped" if self._skipped else ""
        return f"{in_words(means)}, {seconds:.2f} s a step{skipped}"


def in_words(figures: dict[str, float]) -> str:
    """Figures as `loss 1.23, estimated_bpp 0.4`."""
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
