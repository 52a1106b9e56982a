"""`corpus sample` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from corpora import small_corpus
from typer.testing import CliRunner, Result

from miscomp.cli.corpus_sample import sample
from miscomp.corpus.corpus import MANIFEST, reconstruction_file
from miscomp.errors import UsageError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "corpus"
    small_corpus(folder)
    return folder


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(sample)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_it_prints_the_table_s_path_and_says_when_there_are_fewer(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, "-o", tmp_path / "out", "--annotated", "--size", 64, "--count", 50, "--category", "shape")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'out' / 'crops.csv'}\n" and (tmp_path / "out" / "crops.csv").is_file()
    assert "1 places, 4 crops of reconstructions" in result.stderr
    assert "50 were asked for, there are no more that meet the request; " in result.stderr
    assert "11 without such an annotation" in result.stderr
    assert (corpus / MANIFEST).is_file()
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["request"]["seed"] == 0 and settings["request"]["category"] == "SHAPE"


def test_json_has_all_figures(corpus: Path, tmp_path: Path) -> None:
    options = ("--context", 2, "--matched", "--count", 2, "--seed", 3, "--codec", "C1", "--no-all-models", "--json")
    result = run(corpus, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["table"] == str(tmp_path / "out" / "crops.csv") and record["failures"] == []
    assert (record["asked"], record["found"], record["crops"]) == (2, 2, 4 - record["unmatched"])


def test_none_leaves_with_1(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, "-o", tmp_path / "out", "--annotated", "--size", 64, "--model", "02H")
    assert result.exit_code == 1 and "0 places, 0 crops" in result.stderr
    assert (tmp_path / "out" / "crops.csv").read_text().count("\n") == 1


def test_damage_leaves_with_1_and_the_rest_goes_on(tmp_path: Path) -> None:
    made = small_corpus(tmp_path / "corpus", images=1, labels=False)
    (sha1,) = [path.stem for path in (made.folder / "originals").rglob("*.png")]
    (made.folder / reconstruction_file(sha1, "01H")).write_bytes(b"nothing")
    result = run(made.folder, "-o", tmp_path / "out", "--size", "64x32", "--count", 2, "--model", "02L")
    assert result.exit_code == 1 and "2 places, 6 crops" in result.stderr
    assert f"failed: {made.folder / reconstruction_file(sha1, '01H')}: " in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--free", "--annotated"), "--free contradicts"),
        (("--free", "--context", "2"), "--free contradicts"),
        (("--context", "2", "--annotated"), "leave out --annotated"),
        (("--context", "2", "--size", "64"), "leave out --size"),
        (("--matched",), "need --annotated or --context"),
        (("--free", "--symbol"), "need --annotated or --context"),
        (("--size", "0"), "--size needs pixels"),
        (("--size", "64 x 64"), "--size needs pixels"),
        (("--size", "9999"), "give a smaller --size"),
        (("--model", "9L"), "unknown model '9L'; known: 01H, 01L, 02H, 02L"),
    ],
)
def test_wrong_requests_are_usage_errors(corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run(corpus, "-o", tmp_path / "out", *options)
    assert isinstance(result.exception, UsageError) and message in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--context", "nan"), ("--max-bpp", "nan"), ("--count", "-1"), ("--seed", "x")])
def test_numbers_that_are_none_are_refused(corpus: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    assert run(corpus, "-o", tmp_path / "out", *options).exit_code == 2
