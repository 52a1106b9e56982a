"""`miscomp agree`: a corpus or tables in, tables or JSON out. Oracle: the library on the same material."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from labelled import simulated, write_corpus
from typer.testing import CliRunner, Result

from miscomp.cli import agree_commands
from miscomp.errors import TableError, UnknownName, UsageError
from miscomp.records import Annotation, ImageRow, View
from miscomp.stats.agreement import agree
from miscomp.stats.agreement_text import agreement_record
from miscomp.tables import write

app = typer.Typer()
app.command()(agree_commands.agree)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    made = simulated(8, seed=5)
    write(tmp_path / "annotations.csv", Annotation, made.annotations)
    write(tmp_path / "images.csv", ImageRow, made.images)
    write(tmp_path / "views.csv", View, made.views or ())
    return tmp_path


def test_a_corpus_gives_the_numbers_of_its_material(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", images=8, seed=5)
    result = run(tmp_path / "corpus", "--json", "--resamples", 100, "--seed", 3, "--per-side", "4, 1")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    expected = agreement_record(agree(simulated(8, seed=5), (1, 4), resamples=100, seed=3))
    assert record["rows"] == expected["rows"]
    assert len(record["box_agreement"]) == 3 and not expected["box_agreement"]
    assert len(result.stdout.splitlines()) == 1


def test_a_corpus_with_pictures_works_alike(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", pixels=True, images=2, per_side=2, prevalence=0.5)
    result = run(tmp_path / "corpus", "--per-side", "2", "--resamples", 50)
    assert result.exit_code == 0, result.output
    assert "3 labelers; 4 reconstructions that two or more of them have seen, of 2 photographs" in result.stdout


def test_tables_give_the_same_with_and_without_views_where_all_saw_all(tables: Path) -> None:
    files = ("--annotations", tables / "annotations.csv", "--images", tables / "images.csv")
    common = ("--json", "--resamples", 50, "--no-boxes")
    plain, viewed = run(*files, *common), run(*files, "--views", tables / "views.csv", *common)
    assert plain.exit_code == viewed.exit_code == 0, plain.output
    first, second = json.loads(plain.stdout), json.loads(viewed.stdout)
    assert first["rows"] == second["rows"]
    assert first["notes"] == [
        "Nothing says who has seen what: every labeler counts as having seen every reconstruction.",
        *second["notes"],
    ]
    assert not first["box_agreement"]


def test_a_detectors_table_is_joined_to_the_labelers(tables: Path) -> None:
    made = simulated(8, labelers=("net",), detectors=("net",), seed=6)
    write(tables / "found.csv", Annotation, made.annotations)
    files = ("--annotations", tables / "annotations.csv", "--annotations", tables / "found.csv")
    result = run(*files, "--images", tables / "images.csv", "--resamples", 50, "--per-side", 4)
    assert result.exit_code == 0, result.output
    assert "net (detector): saw 16" in result.stdout and "Detectors count as labelers here: net" in result.stdout


def test_labelers_models_rule_and_method_are_handed_on(tables: Path) -> None:
    files = ("--annotations", tables / "annotations.csv", "--images", tables / "images.csv")
    chosen = ("--labeler", "ann", "--labeler", "cem", "--model", "01H", "--rule", "largest", "--method", "bca")
    record = json.loads(run(*files, *chosen, "--resamples", 50, "--json").stdout)
    assert [one["name"] for one in record["labelers"]] == ["ann", "cem"]
    assert (record["images"], record["method"]) == (8, "bca")
    assert {row["rule"] for row in record["rows"]} == {"largest"}
    assert [row["per_side"] for row in record["rows"]] == [1, 2, 4, 8, 16]
    assert [row["n"] for row in record["rows"]] == [8, 32, 128, 512, 2048]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs a corpus, or tables"),
        (("--annotations", "annotations.csv"), "needs a corpus, or tables"),
        (("corpus", "--images", "images.csv"), "not both"),
        (("corpus", "--per-side", "2,x"), "whole numbers with commas"),
        (("corpus", "--per-side", ""), "whole numbers with commas"),
        (("corpus", "--per-side", "²"), "whole numbers with commas"),
        (("corpus", "--per-side", "-2"), "whole numbers with commas"),
        (("corpus", "--per-side", "0"), "1 to 128"),
        (("corpus", "--resamples", "0"), "resamples must be 1 to"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_read(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)


def test_what_the_tables_cannot_answer_is_an_error(tables: Path) -> None:
    files = ("--annotations", tables / "annotations.csv", "--images", tables / "images.csv")
    one = run(*files, "--labeler", "ann").exception
    assert isinstance(one, UsageError) and "needs two labelers, found ann" in str(one)
    unknown = run(*files, "--views", tables / "views.csv", "--labeler", "ann", "--labeler", "dan").exception
    assert isinstance(unknown, UnknownName) and "unknown labeler 'dan'" in str(unknown)
    swapped = run("--annotations", tables / "images.csv", "--images", tables / "annotations.csv").exception
    assert isinstance(swapped, TableError)


def test_a_labeler_of_bare_tables_may_have_drawn_nothing(tables: Path) -> None:
    files = ("--annotations", tables / "annotations.csv", "--images", tables / "images.csv")
    result = run(*files, "--labeler", "ann", "--labeler", "dan", "--resamples", 50)
    assert result.exit_code == 0, result.output
    assert "dan has no box, and counts as having seen everything and annotated nothing." in result.stdout
