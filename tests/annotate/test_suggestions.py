"""Suggestions: what a report puts into a corpus, when labelers are shown it, and what they made of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from corpora import TIME, label, small_corpus
from typer.testing import CliRunner

from miscomp.annotate.suggestion_use import suggestion_use
from miscomp.annotate.suggestions import suggestions_of, take_findings
from miscomp.cli.annotate_suggest import suggest
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Action, Batch, BatchKind, LabelEvent, Shown, SourceImage
from miscomp.corpus.imports.mapping import read_mapping
from miscomp.corpus.imports.run import Request, plan_import
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import IMAGE, LABEL_EVENT, add, fetch
from miscomp.errors import MiscompError, UnknownName, UsageError
from miscomp.records import Annotation, Box, ImageRow, display_id
from miscomp.report.summary import wilson
from miscomp.tables import write

ON = {"annotate": {"suggestions": True}}
FIRST, SECOND = Box(16, 24, 40, 32), Box(100, 90, 24, 20)


def corpus_of(folder: Path, **settings: Any) -> tuple[Corpus, list[str]]:
    """Three pictures by four models without labels, and their SHA-1s."""
    corpus = small_corpus(folder, labels=False, batches={"labelers": ["ann", "bob"]}, **settings)
    with corpus.reading() as connection:
        return corpus, [one.image_sha1 for one in fetch(connection, SourceImage)]


def finding(sha1: str, box: Box = FIRST, model: str = "01L", **values: Any) -> Annotation:
    """What an audit writes into its table."""
    fields: dict[str, Any] = {
        "id": display_id(sha1, model, box),
        "filename": "street.png",
        "image_sha1": sha1,
        "model": model,
        **{name: getattr(box, name) for name in "xywh"},
        "labeler": "miscomp",
        "origin": "detector",
        "version": "1",
        "score": 0.5,
    }
    return Annotation(**{**fields, **values})


def report(folder: Path, rows: list[Annotation], looked: list[tuple[str, str]] | None = None) -> Path:
    """A folder with the tables of an audit."""
    folder.mkdir(exist_ok=True)
    write(folder / "annotations.csv", Annotation, rows)
    if looked is not None:
        images = [ImageRow(filename="a.png", image_sha1=s, model=m, width=192, height=176) for s, m in looked]
        write(folder / "images.csv", ImageRow, images)
    return folder


def standing(corpus: Corpus) -> list[tuple[str, str, int, str]]:
    with corpus.reading() as connection:
        found = current_labels(connection, LABEL_EVENT.c.origin == "detector")
    return sorted((one.image_sha1, one.model, one.x, one.version) for one in found)


def test_findings_come_in_once_and_a_new_version_supersedes_them(tmp_path: Path) -> None:
    corpus, (a, b, _) = corpus_of(tmp_path / "c")
    old = report(tmp_path / "r1", [finding(a), finding(a, SECOND), finding(b)], [(a, "01L"), (b, "01L")])
    first = take_findings(corpus, [old])
    assert (first.pairs, first.added, first.there, first.superseded) == (2, 3, 0, 0)
    again = take_findings(corpus, [old])
    assert (again.added, again.there, again.superseded) == (0, 3, 0)
    # The new version finds one box of the first picture, and looked at the second in vain.
    new = report(tmp_path / "r2", [finding(a, version="2")], [(a, "01L"), (b, "01L")])
    second = take_findings(corpus, [new])
    assert (second.added, second.there, second.superseded) == (1, 0, 3)
    assert standing(corpus) == [(a, "01L", FIRST.x, "2")]
    with corpus.reading() as connection:
        events = fetch(connection, LabelEvent)
    assert [one.action for one in events].count(Action.DELETE) == 3  # nothing is erased
    back = take_findings(corpus, [old])
    assert (back.added, back.superseded) == (3, 1)
    assert len(standing(corpus)) == 3


def test_pairs_that_a_table_does_not_speak_of_stay_as_they_are(tmp_path: Path) -> None:
    corpus, (a, b, _) = corpus_of(tmp_path / "c")
    take_findings(corpus, [report(tmp_path / "r1", [finding(a), finding(b)])])
    alone = report(tmp_path / "r2", [finding(a, SECOND, version="2")]) / "annotations.csv"
    assert take_findings(corpus, [alone]).superseded == 1
    assert standing(corpus) == sorted([(a, "01L", SECOND.x, "2"), (b, "01L", FIRST.x, "1")])


def test_a_model_is_known_by_its_name_its_spec_or_the_option(tmp_path: Path) -> None:
    corpus, (a, _, _) = corpus_of(tmp_path / "c")
    rows = [finding(a, model="webp@q10"), finding(a, model="01H")]
    assert take_findings(corpus, [report(tmp_path / "r", rows)]).added == 2
    assert {one[1] for one in standing(corpus)} == {"02L", "01H"}
    given = report(tmp_path / "g", [finding(a, model="given")])
    refused = take_findings(corpus, [given])
    assert refused.added == 0
    assert "--model" in str(refused.problems[0])
    assert take_findings(corpus, [given], model="02H").added == 1
    with pytest.raises(UnknownName, match="02X"):
        take_findings(corpus, [given], model="02X")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"image_sha1": "f" * 40}, "no reconstruction"),
        ({"model": "09L"}, "none of the corpus"),
        ({"origin": "person"}, "only detectors suggest"),
        ({"x": 180}, "outside the image"),
        ({"labeler": "../x"}, "cannot be called"),
    ],
)
def test_a_row_that_is_wrong_is_listed_and_the_others_are_taken(
    tmp_path: Path, wrong: dict[str, Any], problem: str
) -> None:
    corpus, (a, b, _) = corpus_of(tmp_path / "c")
    taken = take_findings(corpus, [report(tmp_path / "r", [replace(finding(a), **wrong), finding(b)])])
    assert taken.added == 1
    assert len(taken.problems) == 1
    assert problem in str(taken.problems[0])
    assert taken.problems[0].line == 2


def test_a_box_that_stands_twice_and_a_removed_picture_are_listed(tmp_path: Path) -> None:
    corpus, (a, b, c) = corpus_of(tmp_path / "c")
    with corpus.writing() as connection:
        connection.execute(IMAGE.update().where(IMAGE.c.image_sha1 == c).values(removed=TIME))
    rows = [finding(a), finding(a, score=0.9), finding(b), finding(c)]
    taken = take_findings(corpus, [report(tmp_path / "r", rows)])
    assert [one.line for one in taken.problems] == [3, 5]
    assert standing(corpus) == [(b, "01L", FIRST.x, "1")]  # of a pair with a wrong row nothing is taken


def test_what_cannot_be_right_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    corpus, (a, _, _) = corpus_of(tmp_path / "c")
    one, two = report(tmp_path / "r1", [finding(a)]), report(tmp_path / "r2", [finding(a, SECOND)])
    with pytest.raises(UsageError, match="both say"):
        take_findings(corpus, [one, two])
    with pytest.raises(UsageError, match="person"):
        take_findings(corpus, [one], detector="bob")
    (tmp_path / "empty").mkdir()
    for bad in (tmp_path / "empty", tmp_path / "none.csv"):
        with pytest.raises(MiscompError, match="is no file"):
            take_findings(corpus, [bad])
    assert standing(corpus) == []


def test_an_import_and_a_report_know_each_others_boxes(tmp_path: Path) -> None:
    corpus, (a, _, _) = corpus_of(tmp_path / "c")
    folder = report(tmp_path / "r", [finding(a)])
    take_findings(corpus, [folder])
    plan = plan_import(corpus, Request(annotations=folder / "annotations.csv"), read_mapping()).plan
    assert (len(plan.labels), plan.there["annotations"], plan.problems) == (0, 1, [])


def test_suggestions_are_shown_only_where_they_are_switched_on_and_never_in_training(tmp_path: Path) -> None:
    for settings, shown in ((ON, 2), ({}, 0)):
        corpus, (a, _, _) = corpus_of(tmp_path / f"c{shown}", **settings)
        take_findings(corpus, [report(tmp_path / f"r{shown}", [finding(a), finding(a, SECOND, score=0.9)])])
        with corpus.writing() as connection:
            add(connection, [label(a, "01L", Box(1, 1, 9, 9), "ann", origin="person")])
            found = suggestions_of(connection, corpus.config, a, "01L")
            assert [one.x for one in found] == [SECOND.x, FIRST.x][:shown]  # the best first, and no person's
            assert suggestions_of(connection, corpus.config, a, "01H") == []
            assert suggestions_of(connection, corpus.config, a, "01L", kind=BatchKind.TRAINING) == []


def show(corpus: Corpus, events: list[LabelEvent], labeler: str, *, batch: str = "b1", times: int = 1) -> None:
    rows = []
    for one in events:
        for k in range(times):
            name = hashlib.sha256(f"{one.uuid} {labeler} {batch} {k}".encode()).hexdigest()[:32]
            pair = {"image_sha1": one.image_sha1, "model": one.model, "labeler": labeler, "batch": batch}
            rows.append(Shown(uuid=name, event=one.uuid, time=TIME, **pair))
    with corpus.writing() as connection:
        add(connection, rows)


def test_use_counts_what_was_shown_and_what_was_taken(tmp_path: Path) -> None:
    corpus, (a, b, c) = corpus_of(tmp_path / "c", **ON)
    rows = [finding(a), finding(a, SECOND), finding(b), finding(c)]
    take_findings(corpus, [report(tmp_path / "r", rows)])
    with corpus.reading() as connection:
        of = {(one.image_sha1, one.x): one for one in current_labels(connection)}
    show(corpus, list(of.values()), "ann", times=2)  # shown twice, counted once
    show(corpus, [of[b, FIRST.x]], "bob")
    near = replace(FIRST, x=FIRST.x + 8)  # 32 of 48 columns in common: IoU 2/3
    far = replace(FIRST, x=FIRST.x + 16)  # 24 of 56: 3/7
    drawn = [
        label(a, "01L", FIRST, "ann", origin="person", batch="b1"),
        label(b, "01L", near, "ann", origin="person", batch="b1"),
        label(c, "01L", far, "ann", origin="person", batch="b1"),
        label(a, "01L", Box(1, 100, 9, 9), "ann", origin="person", batch="b1"),
        label(b, "01L", FIRST, "ann", origin="person", batch="b2", uuid="elsewhere"),
    ]
    with corpus.writing() as connection:
        add(connection, drawn)
        ann, bob = suggestion_use(connection)
    assert (ann.labeler, ann.pairs, ann.shown, ann.taken) == ("ann", 3, 4, 2)
    assert (ann.boxes, ann.equal, ann.like) == (4, 1, 2)
    assert ann.rate.value == 0.5
    assert ann.rate.low is not None
    assert 0 < ann.rate.low < 0.5
    assert (bob.labeler, bob.shown, bob.taken, bob.boxes) == ("bob", 1, 0, 0)
    # One suggestion in one photograph is one independent case: Wilson's interval.
    assert (bob.rate.low, bob.rate.high) == pytest.approx(wilson(0, 1).interval)


def test_what_was_shown_counts_also_when_its_detector_has_taken_it_back(tmp_path: Path) -> None:
    corpus, (a, _, _) = corpus_of(tmp_path / "c", **ON)
    take_findings(corpus, [report(tmp_path / "r1", [finding(a)], [(a, "01L")])])
    with corpus.reading() as connection:
        show(corpus, current_labels(connection), "ann")
    take_findings(corpus, [report(tmp_path / "r2", [finding(a, SECOND, version="2")], [(a, "01L")])])
    with corpus.writing() as connection:
        add(connection, [label(a, "01L", FIRST, "ann", origin="person", batch="b1")])
        (ann,) = suggestion_use(connection)
    assert (ann.shown, ann.taken) == (1, 1)


def test_nothing_shown_is_nobody_and_training_is_left_out(tmp_path: Path) -> None:
    corpus, (a, _, _) = corpus_of(tmp_path / "c", **ON)
    take_findings(corpus, [report(tmp_path / "r", [finding(a)])])
    with corpus.writing() as connection:
        add(connection, [Batch(batch="t1", bulk=0, kind=BatchKind.TRAINING.value, size=1)])
        found = current_labels(connection)
        assert suggestion_use(connection) == []
    show(corpus, found, "ann", batch="t1")
    with corpus.reading() as connection:
        assert suggestion_use(connection) == []


def test_the_command_lists_problems_and_says_that_nobody_is_shown_anything(tmp_path: Path) -> None:
    corpus, (a, b, _) = corpus_of(tmp_path / "c")
    folder = report(tmp_path / "r", [finding(a), finding(b, model="09L")])
    app = typer.Typer()
    app.command()(suggest)
    ran = CliRunner().invoke(app, [str(corpus.folder), str(folder), "--json"])
    assert ran.exit_code == 1
    assert ran.stdout == '{"pairs": 1, "added": 1, "there": 0, "superseded": 0, "not_taken": 1}\n'
    assert "annotations.csv, line 3" in ran.stderr
    assert "suggestions is false" in ran.stderr
    fine = CliRunner().invoke(app, [str(corpus.folder), str(report(tmp_path / "g", [finding(a)]))])
    assert fine.exit_code == 0
    assert "1 were there" in fine.stdout
