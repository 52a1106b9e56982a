"""`miscomp corpus screen`: sheets out, decisions in, agreement and suggestions told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from screened import bare_corpus
from typer.testing import CliRunner, Result

from miscomp.cli import corpus_screen
from miscomp.corpus.corpus import Corpus
from miscomp.errors import UsageError

app = typer.Typer()
app.command()(corpus_screen.screen)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return bare_corpus(tmp_path / "corpus", images=4)


def filled(corpus: Corpus, screener: str, choices: str) -> Path:
    """The table that the command wrote, with a letter in each row by the filenames' order."""
    result = run(corpus.folder, "--screener", screener)
    assert result.exit_code == 0, result.output
    table = Path(result.stdout.splitlines()[1])
    header, *rows = table.read_text(encoding="ascii").splitlines()
    chosen = dict(zip(sorted(row.split(",")[1] for row in rows), choices, strict=True))
    lines = [f"{row.split(',')[0]},{row.split(',')[1]},{chosen[row.split(',')[1]].strip('-')}," for row in rows]
    table.write_text("\n".join([header, *lines]) + "\n", encoding="ascii")
    return table


def test_two_screeners_go_from_sheets_to_a_report(corpus: Corpus) -> None:
    for screener, choices in (("ann", "iebe"), ("bob", "eeb-")):
        result = run(corpus.folder, "--take", filled(corpus, screener, choices), "--screener", screener)
        assert result.exit_code == 0, result.output
    assert "3 decisions stored (0 include, 1 borderline, 2 exclude); 0 as before, 1 undecided, 0 wrong" in result.stdout
    report = json.loads(run(corpus.folder, "--report", "--json").stdout)
    assert report["verdicts"] == {"included": 1, "excluded": 2, "pending": 1, "unscreened": 0}
    assert report["agreement"][0]["pictures"] == 3 and report["agreement"][0]["same"]["value"] == 2 / 3
    assert "same choice of three" in run(corpus.folder, "--report").stdout
    assert run(corpus.folder, "--screener", "ann").stdout == "ann has nothing left to decide on\n"
    assert (corpus.folder / "manifest.json").is_file()


def test_wrong_rows_are_listed_on_stderr_and_leave_with_1(corpus: Corpus) -> None:
    table = filled(corpus, "ann", "ixe-")
    result = run(corpus.folder, "--take", table, "--screener", "ann", "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    assert record["stored"] == {"include": 1, "borderline": 0, "exclude": 1} and record["undecided"] == 1
    assert len(record["failures"]) == 1 and record["failures"][0] in result.stderr
    assert "'x'; allowed: include, borderline, exclude" in result.stderr


def test_a_picture_that_cannot_be_shown_leaves_with_1(corpus: Corpus) -> None:
    next(corpus.folder.glob("originals/*/*.png")).write_bytes(b"no picture")
    result = run(corpus.folder, "--screener", "ann")
    assert result.exit_code == 1 and "failed: " in result.stderr
    assert len(Path(result.stdout.splitlines()[1]).read_text(encoding="ascii").splitlines()) == 4


def test_suggestions_are_stored_once(corpus: Corpus) -> None:
    assert "detail 4; 0 were there" in run(corpus.folder, "--suggest", "detail").stdout
    again = run(corpus.folder, "--suggest", " detail ,", "--json")
    assert json.loads(again.stdout) == {"stored": {"detail": 0}, "kept": 4, "failures": []}
    page = run(corpus.folder, "--screener", "ann", "--suggestions").stdout.splitlines()[0]
    assert "detail " in Path(page).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a sheet needs --screener NAME"),
        (["--take", "f.csv"], "--take needs --screener NAME"),
        (["--take", "f.csv", "--report"], "--take and --report are different things"),
        (["--report", "--screener", "ann"], "is about all screeners"),
        (["--suggest", "detail", "--screener", "ann"], "is about all screeners"),
        (["--take", "f.csv", "--screener", "ann", "--all", "--force"], "--all, --force belong to a sheet"),
        (["--report", "-o", "x"], "-o belong to a sheet"),
        (["--screener", "ann", "--faces", "w.pth"], "--faces belongs to --suggest faces"),
        (["--suggest", "faces"], "needs the weights of a detector"),
        (["--suggest", "words"], "unknown detector 'words'"),
        (["--suggest", ","], "name a detector"),
    ],
)
def test_options_that_do_not_go_together_are_refused(corpus: Corpus, options: list[str], message: str) -> None:
    error = run(corpus.folder, *options).exception
    assert isinstance(error, UsageError)
    assert message in str(error)
