"""`miscomp corpus import` as it is typed: what it prints, writes and leaves with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpora import small_corpus
from release import Release, imitation
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.corpus.corpus import create_corpus, open_corpus
from miscomp.corpus.entries import LabelEvent, Reconstruction, SourceImage
from miscomp.corpus.imports.mapping import default_text
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import count, fetch
from miscomp.errors import UsageError


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return imitation(tmp_path / "release", pictures=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return create_corpus(tmp_path / "corpus", PROFILES["sclic"].config()).folder


def call(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(app, ["corpus", "import", str(folder), *map(str, words)])


def counted(folder: Path) -> tuple[int, int, int]:
    with open_corpus(folder).reading() as connection:
        kinds = (SourceImage, Reconstruction, LabelEvent)
        return tuple(count(connection, one) for one in kinds)  # type: ignore[return-value]


def test_a_release_is_taken_in_and_counted_on_stdout(folder: Path, release: Release) -> None:
    done = call(folder, release.folder, "--files", "copy")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "models: 4 new",
        "images: 3 new",
        "reconstructions: 12 new",
        "annotations: 21 new",
        "flags: 3 new",
        "views: 0 new",
        "files of compressed: 6",
        "files of originals: 3",
        "files of reconstructions: 12",
        "not taken: 0",
    ]
    assert "differs: annotations: 21 good rows, 18019 in SCLIC 1.0 as its paper states it" in done.stderr
    assert counted(folder) == (3, 12, 21)
    assert (folder / "manifest.json").is_file()


def test_json_says_the_same_and_a_second_time_nothing_is_new(folder: Path, release: Release) -> None:
    call(folder, release.folder)
    done = call(folder, release.folder, "--json")

    found = json.loads(done.stdout)
    assert set(found["added"].values()) == {0}
    assert found["there"] == {"reconstructions": 12, "annotations": 21, "flags": 3}
    assert (found["files"], found["not_taken"]) == ({}, 0)


def test_check_says_what_would_be_done_and_changes_nothing(folder: Path, release: Release) -> None:
    before = {path.name for path in folder.iterdir()}

    done = call(folder, release.folder, "--files", "link", "--check")

    assert done.exit_code == 0
    assert "annotations: 21 new" in done.stdout
    assert "nothing was changed" in done.stderr
    assert {path.name for path in folder.iterdir()} == before
    assert counted(folder) == (0, 0, 0)


def test_bad_rows_are_told_and_written_and_the_exit_code_says_so(
    folder: Path, release: Release, tmp_path: Path
) -> None:
    for row in release.boxes[:2]:
        row[3] = "-5"
    release.write()

    done = call(folder, release.folder, "--problems", tmp_path / "problems.jsonl")

    assert done.exit_code == 1
    assert f"not taken: {release.box_table}, line 2: a box needs x, y >= 0" in done.stderr
    assert "not taken: 2" in done.stdout
    written = [json.loads(line) for line in (tmp_path / "problems.jsonl").read_text().splitlines()]
    assert [(one["file"], one["line"]) for one in written] == [(str(release.box_table), 2), (str(release.box_table), 3)]
    assert counted(folder) == (3, 12, 19)


def test_the_mapping_is_written_once_and_used(folder: Path, release: Release, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    assert call(folder, "--write-mapping", path).exit_code == 0
    assert path.read_text(encoding="utf-8") == default_text()
    again = call(folder, "--write-mapping", path)
    assert isinstance(again.exception, UsageError)
    assert "is not overwritten" in str(again.exception)

    path.write_text(path.read_text(encoding="utf-8").replace('labeler = "sclic"', 'labeler = "they"'), encoding="utf-8")
    call(folder, release.folder, "--mapping", path)

    with open_corpus(folder).reading() as connection:
        assert {one.labeler for one in fetch(connection, LabelEvent)} == {"they"}


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "nothing to import"), (("--files", "copy"), "needs the folder of the RELEASE")],
)
def test_a_request_for_nothing_is_a_usage_error(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = call(folder, *words)

    # Whoever owns the program turns it into exit code 2.
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_a_table_alone_is_added_to_a_corpus(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", labels=False)
    with corpus.reading() as connection:
        sha1 = fetch(connection, SourceImage)[0].image_sha1
    table = tmp_path / "boxes.csv"
    table.write_text(f"filename;codec;x;y;w;h\n{sha1};01L;1;2;3;4\n", encoding="utf-8")

    done = call(corpus.folder, "--annotations", table, "--labeler", "eve")

    assert done.exit_code == 0
    assert counted(corpus.folder)[2] == 1
