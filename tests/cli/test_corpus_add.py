"""`miscomp corpus add` through the command line. Oracles: exit codes and streams of the documented contract."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import picture, png, small_config
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import Rejected, SourceImage
from miscomp.corpus.schema import count, fetch
from miscomp.errors import InputError, UsageError

ABOUT = ("--source", "ramps", "--licence", "CC0-1.0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", "add", *map(str, arguments)])


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    images = {"min_side": 64, "max_side": 160, "scales": {"Small": 0.5}}
    return create_corpus(tmp_path / "corpus", small_config(images=images))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(png(picture(1)))
    (folder / "sub" / "b.png").write_bytes(png(picture(2)))
    return folder


def images(corpus: Corpus) -> list[SourceImage]:
    with corpus.reading() as connection:
        return fetch(connection, SourceImage)


def test_counts_go_to_stdout_and_a_second_run_adds_nothing(corpus: Corpus, photos: Path) -> None:
    (photos / "notes.txt").touch()
    result = run(corpus.folder, photos, *ABOUT, "--split", "test")
    assert result.exit_code == 0, result.output
    assert result.stdout == "added: 2\nalready there: 0\nrejected: 0\nfailed: 0\n"
    assert "2 files of ramps" in result.stderr and "at most 160 a side" in result.stderr
    assert "passed over, by suffix: .txt 1" in result.stderr
    assert {(one.source, one.licence, one.split) for one in images(corpus)} == {("ramps", "CC0-1.0", "test")}
    assert (corpus.folder / "manifest.json").exists()
    again = run(corpus.folder, photos, *ABOUT)
    assert again.exit_code == 0
    assert again.stdout == "added: 0\nalready there: 2\nrejected: 0\nfailed: 0\n"
    assert "already there: 2 of which it is noted: its split stays 'test'" in again.stderr


def test_rejections_are_listed_and_leave_with_0_and_what_cannot_be_read_with_1(corpus: Corpus, photos: Path) -> None:
    (photos / "copy.png").write_bytes((photos / "a.png").read_bytes())
    result = run(corpus.folder, photos, *ABOUT)
    assert result.exit_code == 0
    assert result.stdout == "added: 2\nalready there: 0\nrejected: 1 (duplicate 1)\nfailed: 0\n"
    assert f"rejected: {photos}/copy.png: duplicate: has the same content as" in result.stderr
    assert "(a.png of ramps)" in result.stderr
    (photos / "bad.png").write_bytes(b"no picture")
    result = run(corpus.folder, photos, photos / "gone.png", *ABOUT, "--json")
    assert result.exit_code == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["outcome"] for one in records] == ["failed", "already there", "failed", "rejected", "already there"]
    assert [one["name"] for one in records] == ["", "a.png", "bad.png", "copy.png", "sub/b.png"]
    assert {*records[0]} == {"path", "name", "outcome", "image_sha1", "kind", "reason", "same_as", "note"}
    assert records[1]["image_sha1"] in {one.image_sha1 for one in images(corpus)}
    assert f"failed: {photos}/bad.png: corrupt: " in result.stderr
    assert f"failed: {photos}/gone.png: does not exist" in result.stderr
    with corpus.reading() as connection:
        assert count(connection, Rejected) == 2


def test_a_folder_without_pictures_fails_and_the_rest_goes_on(corpus: Corpus, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run(corpus.folder, tmp_path / "empty", photos, *ABOUT, "--flat")
    assert result.exit_code == 1
    assert result.stdout == "added: 1\nalready there: 0\nrejected: 0\nfailed: 1\n"
    assert f"failed: {tmp_path}/empty: holds no further picture" in result.stderr


def test_a_dry_run_writes_nothing_even_while_another_command_is_at_work(corpus: Corpus, photos: Path) -> None:
    with corpus.owned():
        result = run(corpus.folder, photos, *ABOUT, "--dry-run", "--jobs", 2)
        refused = run(corpus.folder, photos, *ABOUT)
    assert result.exit_code == 0 and result.stdout.startswith("added: 2\n")
    assert "nothing was written" in result.stderr and images(corpus) == []
    assert isinstance(refused.exception, UsageError) and refused.stdout == ""


def test_a_sources_own_scale_is_told_and_used(corpus: Corpus, photos: Path) -> None:
    result = run(corpus.folder, photos, "--source", "small", "--licence", "CC0-1.0")
    assert "scaled down to 0.5 of its size and at most 160 a side" in result.stderr
    assert {(one.width, one.height) for one in images(corpus)} == {(96, 80)}  # 192 x 176 halved is 96 x 88


@pytest.mark.parametrize("left_out", ["--source", "--licence"])
def test_source_and_licence_must_be_said(corpus: Corpus, photos: Path, left_out: str) -> None:
    options = {"--source": "ramps", "--licence": "CC0-1.0"}
    del options[left_out]
    assert run(corpus.folder, photos, *(part for pair in options.items() for part in pair)).exit_code == 2
    empty = run(corpus.folder, photos, *(part for pair in options.items() for part in pair), left_out, "")
    assert isinstance(empty.exception, UsageError)


def test_a_folder_that_is_no_corpus_and_photographs_inside_the_corpus_are_refused(corpus: Corpus, photos: Path) -> None:
    assert isinstance(run(photos, photos, *ABOUT).exception, InputError)
    assert isinstance(run(corpus.folder, corpus.folder / "originals", *ABOUT).exception, UsageError)


def test_what_was_done_is_told_when_the_disk_is_full(
    corpus: Corpus, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from miscomp.corpus.intake import add

    store, calls = add._store, []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise InputError(path, "cannot be written: No space left on device")
        store(path, content)

    monkeypatch.setattr(add, "_store", full)
    result = run(corpus.folder, photos, *ABOUT)
    assert isinstance(result.exception, InputError) and result.stdout.startswith("added: 1\n")
    assert len(images(corpus)) == 1


def test_it_needs_no_torch(corpus: Corpus, photos: Path) -> None:
    arguments = ["corpus", "add", str(corpus.folder), str(photos), *ABOUT]
    program = f"import sys\nfrom miscomp.cli.app import main\ntry:\n    main({arguments!r})\n"
    program += "except SystemExit as end:\n    assert end.code == 0 and 'torch' not in sys.modules, end.code\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
