from __future__ import annotations

import re
from pathlib import Path

import pytest
from corpora import LABELERS, small_corpus

from miscomp.corpus.batches.files import HandOut, write_batch_files
from miscomp.corpus.batches.intake import take_batch_files
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import BatchItem, LabelEvent, MultiFlag, Seen
from miscomp.corpus.labels import annotation_rows, current_flags, current_labels
from miscomp.corpus.schema import ITEM, count, fetch
from miscomp.errors import InputError
from miscomp.records import Box, display_id

BOXES = "alias,x,y,w,h,category,symbol,note\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One batch of four pairs, which is ann's alone; nothing was drawn yet."""
    batches = {"batch_size": 4, "agreement_batches": 0}
    made = small_corpus(tmp_path / "corpus", images=1, labels=False, batches=batches, compress={"min_free_gib": 0})
    with made.writing() as connection:
        make_batches(connection, made.config)
        assign(connection, made.config, ("ann",))
    write_batch_files(made, HandOut(folder=tmp_path / "lab"))
    return made


def place(corpus: Corpus) -> Path:
    return next((corpus.folder.parent / "lab" / "ann").iterdir())


def fill(corpus: Corpus, *, boxes: str = "", **seen: str) -> None:
    """Write `seen,multi,multi_kind,note` behind the pairs of these numbers, and boxes."""
    path = place(corpus) / "batch.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    changed = [[*cells[:2], *seen.get(f"n{int(cells[0])}", ",,,").split(",")] for cells in lines[1:]]
    path.write_text("\n".join(",".join(cells) for cells in [lines[0], *changed]) + "\n")
    (place(corpus) / "boxes.csv").write_text(BOXES + boxes)


def item(corpus: Corpus, position: int) -> BatchItem:
    with corpus.reading() as connection:
        return fetch(connection, BatchItem, ITEM.c.position == position)[0]


def labels(corpus: Corpus) -> list[tuple[str, Box, str]]:
    with corpus.reading() as connection:
        rows = annotation_rows(current_labels(connection))
    assert {(one.labeler, one.origin) for one in rows} <= {("ann", "person")}
    return sorted((one.model, one.box, one.category) for one in rows)


def test_boxes_flags_and_views_come_into_the_database(corpus: Corpus) -> None:
    fill(corpus, n1="1,,,", n2="1,1,color,red", n4="1,,,", boxes="2,8,9,10,11,SHAPE,1,a note\n4,0,0,5,5,,,\n")
    taken, problems = take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    assert not problems
    assert [(one.pairs, one.seen, one.boxes, one.added, one.flags) for one in taken] == [(4, 3, 2, 2, 1)]
    second, fourth = item(corpus, 2), item(corpus, 4)
    with corpus.reading() as connection:
        event = next(one for one in fetch(connection, LabelEvent) if one.model == second.model)
        viewed = fetch(connection, Seen)
        flags = current_flags(connection)
    assert event.annotation.symbol and event.note == "a note"
    assert event.id == display_id(second.image_sha1, second.model, Box(8, 9, 10, 11))
    assert re.fullmatch(r"[0-9a-f-]{36}", event.uuid) and event.time.endswith("Z")
    assert sorted(labels(corpus)) == sorted(
        [(second.model, Box(8, 9, 10, 11), "SHAPE"), (fourth.model, Box(0, 0, 5, 5), "")]
    )
    assert {one.model for one in viewed} == {item(corpus, position).model for position in (1, 2, 4)}
    assert {(one.labeler, one.batch, one.opened) for one in viewed} == {("ann", place(corpus).name, "")}
    assert all(one.closed for one in viewed)
    assert {key: (one.multi, one.kind, one.note) for key, one in flags.items()} == {
        (second.image_sha1, second.model, "ann"): (True, "color", "red")
    }


def test_taking_the_same_tables_again_adds_nothing(corpus: Corpus) -> None:
    fill(corpus, n2="1,1,,", boxes="2,8,9,10,11,SHAPE,1,\n")
    take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    taken, _ = take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    assert [(one.boxes, one.added, one.changed, one.deleted, one.flags) for one in taken] == [(1, 0, 0, 0, 0)]
    with corpus.reading() as connection:
        assert [count(connection, record) for record in (LabelEvent, Seen, MultiFlag)] == [1, 1, 1]


def test_corrected_tables_change_and_delete_by_new_events(corpus: Corpus) -> None:
    fill(corpus, n1="1,,,", n2="1,1,,", boxes="1,0,0,5,5,,,\n2,8,9,10,11,SHAPE,,\n2,20,20,5,5,,,\n")
    take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    fill(corpus, n2="1,0,,", boxes="2,8,9,10,11,AMPLITUDE,,\n2,30,30,5,5,,,\n")
    taken, _ = take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    assert [(one.added, one.changed, one.deleted, one.flags) for one in taken] == [(1, 1, 1, 1)]
    first, second = item(corpus, 1).model, item(corpus, 2).model
    # What is not marked as seen any more says nothing: the first pair's box stays.
    assert labels(corpus) == sorted(
        [
            (first, Box(0, 0, 5, 5), ""),
            (second, Box(8, 9, 10, 11), "AMPLITUDE"),
            (second, Box(30, 30, 5, 5), ""),
        ]
    )
    with corpus.reading() as connection:
        assert [one.action for one in fetch(connection, LabelEvent)].count("delete") == 1
        assert [one.multi for one in current_flags(connection).values()] == [False]


def test_others_boxes_and_detectors_findings_are_not_touched(tmp_path: Path) -> None:
    made = small_corpus(tmp_path / "corpus", images=2, batches={"agreement_batches": 0}, compress={"min_free_gib": 0})
    with made.writing() as connection:
        make_batches(connection, made.config)
        assign(connection, made.config, ("ann",))
    write_batch_files(made, HandOut(folder=tmp_path / "lab"))
    fill(made, **{f"n{number}": "1,,," for number in range(1, 9)})
    taken, problems = take_batch_files(made, tmp_path / "lab", "ann")
    assert not problems and taken[0].deleted == 0  # the small corpus' boxes are simulated ones
    with made.reading() as connection:
        assert {one.labeler for one in current_labels(connection)} == set(LABELERS)
        assert len(current_labels(connection)) == 9


def test_a_batch_with_a_wrong_line_is_not_taken_at_all(corpus: Corpus) -> None:
    fill(corpus, n1="1,,,", boxes="1,0,0,5,5,,,\n1,0,0,5000,5,,,\n")
    taken, problems = take_batch_files(corpus, corpus.folder.parent / "lab", "ann")
    assert not taken and len(problems) == 1
    assert "boxes.csv: line 3" in problems[0]
    with corpus.reading() as connection:
        assert [count(connection, record) for record in (LabelEvent, Seen, MultiFlag)] == [0, 0, 0]


def test_folders_of_other_labelers_and_of_no_batch_are_refused(corpus: Corpus) -> None:
    lab = corpus.folder.parent / "lab"
    with pytest.raises(InputError, match="one per labeler"):
        take_batch_files(corpus, lab, "bob")
    (lab / "ann").rename(lab / "bob")
    taken, problems = take_batch_files(corpus, lab, "bob")
    assert not taken and "was not given to bob" in problems[0]
