"""`miscomp corpus export` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from corpora import small_corpus
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.corpus.config import CONFIG
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.exports.catalog import EXPORTS
from miscomp.corpus.remarks import Flag
from miscomp.errors import InputError, UnknownName, UsageError
from miscomp.records import Annotation
from miscomp.tables import read

FLAG: Any = Flag


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", "export", *map(str, arguments)])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return small_corpus(tmp_path / "corpus", images=2)


def test_it_prints_the_folder_and_says_what_is_in_it(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(corpus.folder, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    assert "tables, parquet, coco, croissant, datasheet: 9 annotations of 8 reconstructions" in result.stderr
    assert len(read(out / "annotations.csv", Annotation)) == 9 and not (out / "images").exists()


def test_every_format_and_option_can_be_given(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    formats = [word for name in EXPORTS.names for word in ("--format", name)]
    given = (*formats, "--images", "copy", "--streams", "--labelers", "keep", "--names", "keep", "--json")
    result = run(corpus.folder, "-o", out, *given)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "folder": str(out),
        "formats": list(EXPORTS.names),
        "annotations": 9,
        "reconstructions": 8,
        "pictures": 28,
        "removed": 0,
        "failures": [],
    }
    assert "ramp0.png" in (out / "sources.csv").read_text()
    assert {one.labeler for one in read(out / "annotations.csv", Annotation)} == {"ann", "bob"}


def test_missing_pictures_are_listed_and_leave_with_1(corpus: Corpus, tmp_path: Path) -> None:
    next((corpus.folder / "originals").rglob("*.png")).unlink()
    result = run(corpus.folder, "-o", tmp_path / "out", "--images", "copy", "--format", "tables")
    assert result.exit_code == 1
    assert "failed: images/originals/" in result.stderr and "has no SHA256SUMS" in result.stderr


def test_wrong_requests_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for kind, *arguments in (
        (UnknownName, corpus.folder, "--format", "cocco"),
        (UsageError, corpus.folder, "--format", "imagefolder"),
        (InputError, tmp_path / "nowhere"),
    ):
        error = run(*arguments, "-o", out).exception
        assert isinstance(error, kind)
    assert run(corpus.folder, "-o", out, "--images", "some").exit_code == 2
    assert not out.exists()


def test_the_help_names_every_format() -> None:
    text = " ".join(run("--help").stdout.split())
    assert all(name in text for name in EXPORTS.names) and "Example:" in text


def test_what_was_exported_can_be_imported_and_exported_again(corpus: Corpus, tmp_path: Path) -> None:
    given = ("--format", "tables", "--images", "copy", "--labelers", "keep")
    assert run(corpus.folder, "-o", tmp_path / "first", *given).exit_code == 0
    (tmp_path / "other").mkdir()
    shutil.copy(corpus.folder / CONFIG, tmp_path / "other")
    imported = CliRunner().invoke(
        app, ["corpus", "import", str(tmp_path / "other"), str(tmp_path / "first"), "--files", "copy"]
    )
    assert imported.exit_code == 0, imported.output
    assert run(tmp_path / "other", "-o", tmp_path / "second", *given).exit_code == 0
    sums = [(tmp_path / name / "SHA256SUMS").read_text().splitlines() for name in ("first", "second")]
    # Words on whole pictures are not read back; that a picture has many is, from `images.csv`, without a name.
    left_out = ("settings.json", "flags.csv")
    first, second = ([line for line in lines if not line.endswith(left_out)] for lines in sums)
    assert first == second and len(first) == 5 + 1 + 2 + 8  # tables, reviews.csv, originals, reconstructions
    flags = [read(tmp_path / name / "flags.csv", FLAG) for name in ("first", "second")]
    before, after = ([(one.image_sha1, one.model, one.multi) for one in rows] for rows in flags)
    assert before == after and len(before) == 1
