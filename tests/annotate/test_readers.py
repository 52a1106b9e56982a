"""What the tool stored, as the rest of the corpus reads it: status, verify, export, statistics, tables, removal.

Oracles: what was told, counted by hand, and the CSV files of an export.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from corpora import label, small_corpus
from sqlalchemy import update
from telling import ANN, BOB, aliases, box, changed, deleted, flag, told, visit

from miscomp.annotate.work import find_pair
from miscomp.corpus.batches.files import HandOut, write_batch_files
from miscomp.corpus.batches.intake import take_batch_files
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.checks.removal import find_pictures, remove_picture
from miscomp.corpus.checks.rows import check_rows
from miscomp.corpus.checks.verify import VerifyOptions, verify_corpus
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Assignment, Batch, BatchItem, LabelEvent, MultiFlag, SecondLook, Shown, Visit
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.inventory import take_inventory
from miscomp.corpus.labels import current_labels
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import LABEL_EVENT, VISIT, add, fetch
from miscomp.records import Box
from miscomp.stats.material import from_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Two pictures by four models, one batch for both labelers and one for ann."""
    batches = {"labelers": ["ann", "bob"], "batch_size": 4, "agreement_batches": 1}
    made = small_corpus(tmp_path / "c", images=2, labels=False, batches=batches, compress={"min_free_gib": 0})
    with made.writing() as connection:
        make_batches(connection, made.config)
        assign(connection, made.config, ("ann", "bob"))
    return made


def train(corpus: Corpus, alias: str) -> str:
    """Give ann a pair of hers for training as well; its alias there."""
    with corpus.writing() as connection:
        pair = find_pair(connection, alias, "ann")
        assert pair is not None
        item = BatchItem(batch="t1", position=1, image_sha1=pair.image_sha1, model=pair.model, alias="f" * 40)
        batch = Batch(batch="t1", bulk=0, kind="training", size=1)
        add(connection, [batch, item, Assignment(batch="t1", labeler="ann", time="")])
    return item.alias


def work(corpus: Corpus) -> list[str]:
    """Ann draws three boxes on her four pairs, one is moved and one deleted; bob sees the shared batch."""
    mine, shared = aliases(corpus, "ann"), [one for one in aliases(corpus, "bob", _AGREEMENT)]
    first, second = box(mine[0], changed="yes", relevant="unsure", expected="no"), box(mine[1], note="ann's own")
    third = box(mine[2], category="SHAPE", symbol=True)
    said = [first, second, third, changed(third, x=11), deleted(second), flag(mine[3])]
    said += [visit(one, finished=True) for one in mine]
    assert told(corpus, *said) == ["stored"] * len(said)
    assert told(corpus, *(visit(one, finished=True) for one in shared), person=BOB) == ["stored"] * 4
    return mine


_AGREEMENT: Any = "agreement"


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with next(folder.rglob(name)).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_status_and_statistics_count_what_stands(corpus: Corpus) -> None:
    work(corpus)
    with corpus.reading() as connection:
        found = take_inventory(connection, corpus.config, title="")
    assert [(one.labeler, one.boxes, one.pairs) for one in found.annotations] == [("ann", 2, 2)]
    assert [(one.labeler, one.seen) for one in found.labelers] == [("ann", 4), ("bob", 4)]
    assert found.multi_pairs == 1
    material = from_corpus(corpus)
    assert sorted((one.labeler, one.x, one.category) for one in material.annotations) == [
        ("ann", 10, ""),
        ("ann", 11, "SHAPE"),
    ]
    assert len(material.views or ()) == 8 and len(material.flags or ()) == 1


def test_an_export_has_the_answers_and_the_views_and_names_nobody(corpus: Corpus, tmp_path: Path) -> None:
    work(corpus)
    export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("tables",)))
    rows = {one["x"]: one for one in table(tmp_path / "out", "annotations.csv")}
    assert {"10", "11"} == rows.keys()
    answers = [rows["10"][name] for name in ("changed", "relevant", "suspicion", "expected")]
    assert [float(one) if one else None for one in answers] == [1.0, 0.5, None, 0.0]
    assert len(table(tmp_path / "out", "views.csv")) == 8
    for path in (tmp_path / "out").rglob("*.csv"):
        words = {cell for row in table(path.parent, path.name) for cell in row.values()}
        assert not words & {"ann", "bob"}, path


def test_what_is_drawn_in_training_counts_nowhere(corpus: Corpus) -> None:
    mine = work(corpus)
    before = from_corpus(corpus)
    alias = train(corpus, mine[0])
    said = [box(alias), box(alias, 99), flag(alias, multi=False), visit(alias, finished=True)]
    assert told(corpus, *said) == ["stored"] * 4
    after = from_corpus(corpus)
    assert (after.annotations, after.views) == (before.annotations, before.views)
    with corpus.reading() as connection:
        assert len(current_labels(connection, training=True)) == 4
        assert [str(one) for one in check_rows(connection, corpus)] == []


def test_a_sound_corpus_with_work_of_the_tool_has_no_faults(corpus: Corpus) -> None:
    work(corpus)
    write_manifest(corpus)
    assert [str(one) for one in verify_corpus(corpus, VerifyOptions()).faults] == []


def test_rows_of_pairs_and_boxes_that_are_not_there_are_found(corpus: Corpus) -> None:
    work(corpus)
    none: dict[str, Any] = {"image_sha1": "a" * 40, "model": "01L"}
    with corpus.writing() as connection:
        (event, *_) = fetch(connection, LabelEvent)
        connection.execute(update(VISIT).where(VISIT.c.number == 1).values(image_sha1="b" * 40))
        shown: dict[str, Any] = {"labeler": "ann", "batch": "b1", "time": ""}
        look: dict[str, Any] = {"reviewer": "bob", "judgement": "confirm"}
        pair: dict[str, Any] = {"image_sha1": event.image_sha1, "model": event.model}
        add(
            connection,
            [
                Shown(uuid="1", event=event.uuid, **none, **shown),
                Shown(uuid="2", event="nothing", **pair, **shown),
                SecondLook(uuid="3", event="nothing", **pair, **look),
                SecondLook(uuid="4", event=event.uuid, **none, **look),
                SecondLook(uuid="5", event=event.uuid, **pair, **look),
            ],
        )
    with corpus.reading() as connection:
        faults = [str(one) for one in check_rows(connection, corpus)]
    said = [one.partition(":")[0] for one in faults]
    assert said == ["row visit of ann", *["row suggestion shown of ann"] * 2, *["row second look of bob"] * 2]
    assert sum("names the box nothing" in one for one in faults) == 2


def test_tables_of_a_batch_leave_what_was_drawn_in_training(corpus: Corpus, tmp_path: Path) -> None:
    alias = train(corpus, aliases(corpus, "ann")[0])
    assert told(corpus, box(alias), flag(alias)) == ["stored"] * 2
    write_batch_files(corpus, HandOut(folder=tmp_path / "lab"))
    with corpus.reading() as connection:
        batch = next(one for one in fetch(connection, Batch) if one.kind == "normal").batch
    place = tmp_path / "lab" / "ann" / batch
    lines = [line.split(",") for line in (place / "batch.csv").read_text().splitlines()]
    done = [",".join([*cells[:2], "1", "", "", ""]) for cells in lines[1:]]
    (place / "batch.csv").write_text("\n".join([",".join(lines[0]), *done]) + "\n")
    (place / "boxes.csv").write_text("alias,x,y,w,h,category,symbol,note\n1,1,2,3,4,,,\n")
    for again in range(2):
        taken, problems = take_batch_files(corpus, tmp_path / "lab", "ann")
        (mine,) = [one for one in taken if one.batch == batch]
        assert (mine.added, mine.deleted, mine.flags) == (1 - again, 0, 0), problems
    with corpus.reading() as connection:
        found = [(one.batch, one.x) for one in current_labels(connection, training=True)]
        flags = [one.batch for one in fetch(connection, MultiFlag)]
    assert (found, flags) == ([("t1", 10), (batch, 1)], ["t1"])


def test_a_removed_picture_keeps_coordinates_and_loses_notes(corpus: Corpus) -> None:
    mine = work(corpus)
    with corpus.reading() as connection:
        pair = find_pair(connection, mine[1], "ann")
        assert pair is not None
        (image,) = find_pictures(connection, [pair.image_sha1])
        (event,) = fetch(connection, LabelEvent, LABEL_EVENT.c.note == "ann's own", LABEL_EVENT.c.action == "add")
    with corpus.writing() as connection:
        names: dict[str, Any] = {"image_sha1": pair.image_sha1, "model": pair.model}
        add(connection, [SecondLook(uuid="1", event=event.uuid, **names, reviewer="bob", judgement="reject", note="x")])
        add(connection, [label(pair.image_sha1, pair.model, Box(0, 0, 5, 5), "ann", note="a name")])
    with corpus.owned():
        remove_picture(corpus, image, "asked for")
    with corpus.reading() as connection:
        here = LABEL_EVENT.c.image_sha1 == pair.image_sha1
        assert fetch(connection, LabelEvent, here)
        assert {one.note for one in fetch(connection, LabelEvent, here)} == {""}
        assert [one.note for one in fetch(connection, SecondLook)] == [""]
        assert len(fetch(connection, Visit)) == 8
        assert [str(one) for one in check_rows(connection, corpus)] == []
    # What a browser still had in its queue is stored: coordinates stay.
    assert told(corpus, box(mine[1], 40), person=ANN) == ["stored"]
