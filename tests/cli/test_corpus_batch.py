from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from corpora import small_corpus
from typer.testing import CliRunner, Result

from miscomp.cli.corpus_batch import batch
from miscomp.corpus.corpus import MANIFEST, Corpus, reconstruction_file
from miscomp.corpus.entries import Batch, Reconstruction
from miscomp.corpus.manifest import read_manifest
from miscomp.corpus.schema import RECONSTRUCTION, count, fetch
from miscomp.errors import InputError, UsageError

app = typer.Typer()
app.command()(batch)

SETTINGS = {"batch_size": 5, "agreement_batches": 1, "labelers": ["ann", "bob"]}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Twelve pairs for two labelers: batches of 5, 5 and 2, one of 5 for both."""
    return small_corpus(tmp_path / "corpus", labels=False, batches=SETTINGS, compress={"min_free_gib": 0})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def text(result: Result) -> list[str]:
    return result.stdout.splitlines()


def test_shares_are_printed_and_a_second_run_changes_nothing(corpus: Corpus) -> None:
    result = run(corpus.folder)
    assert result.exit_code == 0
    assert "3 new batches with 12 pairs; 4 new assignments" in result.stderr
    lines = [re.fullmatch(r"(\w+): 2 batches \(1 of them for agreement\), (\d+) pairs", one) for one in text(result)]
    assert [one[1] for one in lines if one] == ["ann", "bob"]
    assert sorted(int(one[2]) for one in lines if one) == [7, 10]  # who has the batch of two depends on the seed
    again = run(corpus.folder)
    assert again.stdout == result.stdout and "0 new batches with 0 pairs; 0 new" in again.stderr
    manifest = read_manifest(corpus.folder / MANIFEST)
    assert manifest.batches.batches == 3 and [one.labeler for one in manifest.labelers] == ["ann", "bob"]


def test_those_who_have_batches_stand_above_the_settings(corpus: Corpus) -> None:
    assert run(corpus.folder, "--labelers", "eve,dan").exit_code == 0
    result = run(corpus.folder, "--json")
    assert {json.loads(line)["labeler"] for line in result.stdout.splitlines()} == {"dan", "eve"}


def test_json_prints_one_object_a_labeler_and_labelers_can_be_named(corpus: Corpus) -> None:
    result = run(corpus.folder, "--labelers", "eve, dan", "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["labeler"] for one in found] == ["dan", "eve"]
    assert sum(one["pairs"] for one in found) == 17
    assert {one["agreement_batches"] for one in found} == {1}


def test_a_bulk_that_is_not_all_compressed_waits_and_says_so(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        one = fetch(connection, Reconstruction)[0]
        connection.execute(
            RECONSTRUCTION.delete().where(
                RECONSTRUCTION.c.image_sha1 == one.image_sha1, RECONSTRUCTION.c.model == one.model
            )
        )
    result = run(corpus.folder)
    assert result.exit_code == 0 and result.stdout == ""
    assert "bulk 1 waits: 11 of 12 pairs are there" in result.stderr
    assert "1 pairs are not compressed yet, 0 of them failed" in result.stderr
    assert "3 new batches with 11 pairs" in run(corpus.folder, "--incomplete").stderr


def test_files_are_written_filled_in_and_taken_in(corpus: Corpus, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    result = run(corpus.folder, "--files", lab)
    assert result.exit_code == 0 and "4 folders written" in result.stderr
    assert "0 folders written" in run(corpus.folder, "--files", lab).stderr
    place = min((lab / "ann").iterdir())
    with (place / "boxes.csv").open("a") as file:
        file.write("1,0,0,8,8,SHAPE,1,\n")
    taken = run(corpus.folder, "--take", lab, "--labeler", "ann", "--json")
    assert taken.exit_code == 0
    found = {one["batch"]: one for one in map(json.loads, taken.stdout.splitlines())}
    assert found[place.name]["added"] == 1 and found[place.name]["seen"] == 1
    assert {one["labeler"] for one in found.values()} == {"ann"}
    again = run(corpus.folder, "--take", lab, "--labeler", "ann").stdout
    assert re.search(rf"{place.name}: 1 of [25] pairs seen, 1 boxes \(0 new, 0 changed, 0 deleted\)", again)
    manifest = read_manifest(corpus.folder / MANIFEST)
    assert [(one.labeler, one.origin, one.boxes) for one in manifest.annotations] == [("ann", "person", 1)]


def test_only_one_labelers_folders_can_be_written_and_as_links(corpus: Corpus, tmp_path: Path) -> None:
    assert "2 folders written" in run(corpus.folder, "--files", tmp_path / "lab", "--labeler", "bob", "--link").stderr
    assert [one.name for one in (tmp_path / "lab").iterdir()] == ["bob"]
    error = run(corpus.folder, "--files", tmp_path / "lab", "--labeler", "eve").exception
    assert isinstance(error, UsageError) and "eve has no batches; those who have: ann, bob" in str(error)


def test_what_fails_is_listed_and_the_exit_code_is_one(corpus: Corpus, tmp_path: Path) -> None:
    with corpus.reading() as connection:
        one = fetch(connection, Reconstruction)[0]
    (corpus.folder / reconstruction_file(one.image_sha1, one.model)).unlink()
    result = run(corpus.folder, "--files", tmp_path / "lab")
    assert result.exit_code == 1 and "miscomp corpus verify" in result.stderr
    place = next(tmp_path.glob("lab/*/b*"))
    (place / "batch.csv").write_text("nothing\n")
    taken = run(corpus.folder, "--take", tmp_path / "lab", "--labeler", place.parent.name)
    assert taken.exit_code == 1
    assert "the header is" in taken.stderr and "1 batches were not taken in" in taken.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--take", "lab"],
        ["--take", "lab", "--labeler", "ann", "--files", "lab"],
        ["--take", "lab", "--labeler", "ann", "--incomplete"],
        ["--link"],
        ["--labeler", "ann"],
        ["--labelers", "ann,ann"],
        ["--labelers", "ann,../bob"],
        ["--labelers", ""],
    ],
)
def test_options_that_contradict_each_other_are_refused(corpus: Corpus, options: list[str]) -> None:
    result = run(corpus.folder, *options)
    assert isinstance(result.exception, UsageError), result.output
    with corpus.reading() as connection:
        assert count(connection, Batch) == 0


def test_a_folder_without_batches_cannot_be_taken(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus.folder)
    error = run(corpus.folder, "--take", tmp_path, "--labeler", "ann").exception
    assert isinstance(error, InputError) and "--files" in str(error)
