from __future__ import annotations

import csv
from pathlib import Path

from miscomp.training.runlog import StepLog, StepTable, in_words


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_holds_means_since_the_last_one_without_skipped_steps(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log.csv", 0, {})
    log.add({"loss": 1.0}, skipped=False)
    log.add({"loss": float("nan")}, skipped=True)
    log.add({"loss": 3.0}, skipped=False)
    assert log.means == {"loss": 2.0}
    assert log.flush(3).startswith("loss 2, ")
    log.add({"loss": 7.0}, skipped=False)
    log.flush(4)
    assert [(row["step"], row["loss"], row["skipped"]) for row in read(tmp_path / "log.csv")] == [
        ("3", "2", "1"),
        ("4", "7", "1"),
    ]


def test_what_no_line_holds_yet_goes_on_in_another_log(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "log.csv", 0, {})
    log.add({"loss": 1.0}, skipped=False)
    log.add({}, skipped=True)
    again = StepLog(tmp_path / "log.csv", 2, log.pending)
    again.add({"loss": 2.0}, skipped=False)
    again.flush(3)
    (row,) = read(tmp_path / "log.csv")
    assert (row["loss"], row["skipped"]) == ("1.5", "1")


def test_rows_after_the_step_to_go_on_from_and_broken_ones_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("step,loss\n2,1\n4,2\nsix,3\n3\n3,1,1\n6,4\n")
    assert StepTable(path, 4).rows == [{"step": "2", "loss": "1"}, {"step": "4", "loss": "2"}]
    assert StepTable(path, 0).rows == []


def test_a_figure_that_is_new_gets_a_column_and_old_rows_stay(tmp_path: Path) -> None:
    table = StepTable(tmp_path / "table.csv", 0)
    table.add([{"step": "1", "loss": "2"}])
    table.add([{"step": "2", "loss": "3", "bpp": "0.5"}])
    assert (tmp_path / "table.csv").read_text() == "step,loss,bpp\n1,2,\n2,3,0.5\n"


def test_figures_in_words() -> None:
    assert in_words({"loss": 1.23456, "psnr_db": 30.0}) == "loss 1.235, psnr_db 30"
