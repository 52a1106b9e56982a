"""`miscomp stats`: of a corpus, of bare tables, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from corpora import small_corpus
from labelled import simulated, write_corpus
from typer.testing import CliRunner

from miscomp.cli.stats_commands import stats
from miscomp.errors import UsageError
from miscomp.records import Annotation, ImageRow, View
from miscomp.tables import write

QUICK = ("--no-plots", "--no-factors", "--gallery", "0", "--resamples", "50")


def run(*arguments: object) -> tuple[int, str, str]:
    app = typer.Typer()
    app.command()(stats)
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(result.exception, UsageError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_corpus_gives_table_2_on_stdout_and_the_rest_in_the_folder(tmp_path: Path) -> None:
    write_corpus(tmp_path / "c", images=6)

    code, out, err = run(tmp_path / "c", "-o", tmp_path / "s", *QUICK)

    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["Model", "Codec", "Rate", "Viewed"]
    assert [line.split()[:4] for line in out.splitlines()[1:4]] == [
        ["01L", "C1", "low", "6"],
        ["01H", "C1", "high", "6"],
        ["all", "all", "all", "12"],
    ]
    assert out.splitlines()[-1] == f"statistics: {tmp_path / 's' / 'statistics.json'}"
    assert "counting" in err and "counting" not in out
    assert "Labels by simulated labelers" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")


def test_json_is_one_line_and_what_the_file_holds(tmp_path: Path) -> None:
    write_corpus(tmp_path / "c", images=3)

    code, out, _ = run(tmp_path / "c", "-o", tmp_path / "s", *QUICK, "--json", "--everyone", "--at", "0.3")

    assert code == 0 and out.count("\n") == 1
    found = json.loads(out)
    assert found == json.loads((tmp_path / "s" / "statistics.json").read_text(encoding="utf-8"))
    assert found["settings"]["everyone"] is True and found["settings"]["targets"] == [0.3]


def test_bare_tables_do_as_well(tmp_path: Path) -> None:
    found = simulated(5, models=("01L",))
    write(tmp_path / "a.csv", Annotation, found.annotations)
    write(tmp_path / "i.csv", ImageRow, found.images)
    write(tmp_path / "v.csv", View, found.views or ())
    tables = ("--annotations", tmp_path / "a.csv", "--images", tmp_path / "i.csv")

    with_views = run(*tables, "--views", tmp_path / "v.csv", "-o", tmp_path / "s", *QUICK)
    without = run(*tables, "-o", tmp_path / "t", *QUICK)

    assert with_views[0] == without[0] == 0
    assert with_views[1].splitlines()[1].split()[2] == "5"
    assert without[1].splitlines()[1].split()[2:4] == ["-", "-"]
    assert "No views are recorded" in without[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs a corpus, or tables"),
        (["--images", "i.csv"], "needs a corpus, or tables"),
        (["c", "--images", "i.csv"], "give a corpus or tables, not both"),
        (["c", "--at", "a,b"], "--at needs rates"),
        (["c", "--resamples", "0"], "resamples lie in 1 to"),
        (["c", "--labeler", "eve"], "labeler 'eve'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    write_corpus(tmp_path / "c", images=1)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=said):
        run(*arguments, "-o", "s", "--no-plots", "--no-factors")
    assert not (tmp_path / "s").exists()


def test_damaged_pictures_are_listed_and_make_the_exit_code(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c", pixels=True, images=1, per_side=1, prevalence=1.0)
    for path in (corpus.folder / "originals").rglob("*.png"):
        path.write_bytes(b"no picture")

    code, out, err = run(tmp_path / "c", "-o", tmp_path / "s", *QUICK[:2], "--resamples", "50")

    assert code == 1
    assert "failed: " in err
    assert out.splitlines()[-1].startswith("statistics: ")


def test_a_corpus_without_labels_is_described_and_said_to_have_none(tmp_path: Path) -> None:
    small_corpus(tmp_path / "c", images=1, labels=False)
    code, _, err = run(tmp_path / "c", "-o", tmp_path / "s", *QUICK)
    assert code == 0 and "no annotations yet" in err
