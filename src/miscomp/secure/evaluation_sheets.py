"""Contact sheets: pictures beside what their re-compression made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miscomp.images import Pixels, read, write_png
from miscomp.report.wording import number, one_line
from miscomp.secure.evaluation import SecureEvaluation
from miscomp.secure.evaluation_store import EvaluationFolder
from miscomp.secure.trials import CODED, NO_EDIT, PictureResult, TrialRow
from miscomp.training.sheet import Shown, draw_sheet

_COLUMNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture of which small copies were kept."""

    filename: str
    files: Path
    """Folder of the small copies."""
    psnr_db: float
    """Of the first compression."""
    again: TrialRow
    """Compressed again without an edit."""
    edits: tuple[TrialRow, ...]

    def file(self, name: str) -> Path:
        """Where a small copy lies: `x`, `x1`, `x2`, an edit's name or `NAME.again`."""
        return self.files / f"{name}.png"

    def pixels(self, name: str) -> Pixels:
        """A small copy."""
        return read(self.file(name)).pixels


def drawn_pictures(evaluation: SecureEvaluation, store: EvaluationFolder) -> Iterator[Drawn]:
    """Every picture that is shown, in order."""
    for (key, filename), result in zip(evaluation.drawn, evaluation.results, strict=False):
        yield Drawn(
            filename=filename,
            files=store.small_copy(key, "x").parent,
            psnr_db=result.coded.psnr_db,
            again=result.trials[0],
            edits=tuple(_edits(result)),
        )


def _edits(result: PictureResult) -> Iterator[TrialRow]:
    return (row for row in result.trials if row.picture == CODED and row.edit != NO_EDIT)


def write_sheets(evaluation: SecureEvaluation, store: EvaluationFolder) -> None:
    """Write `sheets/again.png` of all shown pictures, and `sheets/edits-NUMBER.png` of each."""
    drawn = list(drawn_pictures(evaluation, store))
    if not drawn:
        return
    folder = store.path / "sheets"
    folder.mkdir(exist_ok=True)
    label = str(evaluation.settings["codec"])
    title = f"{label}: picture x, first compression x1, compressed again x2"
    write_png(folder / "again.png", draw_sheet(title, [_again_line(one) for one in drawn]))
    for place, one in enumerate(drawn, 1):
        if one.edits:
            title = f"{label}, {one_line(one.filename)}: x1 after edits, and each compressed again"
            write_png(folder / f"edits-{place}.png", draw_sheet(title, list(_edit_lines(one))))


def _again_line(one: Drawn) -> list[Shown]:
    return [
        Shown(one.pixels("x"), f"x: {one_line(one.filename)}"),
        Shown(one.pixels("x1"), f"x1: {number(one.psnr_db)} dB to x"),
        Shown(one.pixels("x2"), f"x2: {number(one.again.psnr_db)} dB to x1"),
    ]


def _edit_lines(one: Drawn) -> Iterator[Sequence[Shown]]:
    for start in range(0, len(one.edits), _COLUMNS):
        rows = one.edits[start : start + _COLUMNS]
        yield [Shown(one.pixels(row.edit), row.edit) for row in rows]
        yield [Shown(one.pixels(f"{row.edit}.again"), f"again: {number(row.psnr_db)} dB") for row in rows]
