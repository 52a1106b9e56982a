"""Second looks and words on whole pictures in every format. Oracles: the database's rows, mlcroissant, `zipfile`."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet
import pytest
from corpora import TIME, label, small_corpus

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Batch, LabelEvent, MultiFlag, SecondLook, SourceImage
from miscomp.corpus.exports.archive import PIECE, zipped_tables
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.remarks import Flag, Review
from miscomp.corpus.schema import add, fetch
from miscomp.records import Box
from miscomp.stats.material import from_corpus, from_tables
from miscomp.tables import columns, read

# The validator's own use of its libraries.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning"),
]

BAD = "=cmd|' /C calc'!A0"
REVIEW: Any = Review  # read() is typed for the records of the other tables
FLAG: Any = Flag


def look(number: int, box: LabelEvent, reviewer: str, judgement: str, **more: Any) -> SecondLook:
    fields: dict[str, Any] = {
        "image_sha1": box.image_sha1,
        "model": box.model,
        "reviewer": reviewer,
        "judgement": judgement,
    }
    return SecondLook(uuid=f"look {number}", event=box.uuid, time=TIME, **fields, **more)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = small_corpus(tmp_path_factory.mktemp("corpora") / "corpus")
    with made.reading() as connection:
        boxes = [one for one in fetch(connection, LabelEvent) if one.labeler == "bob"]
        sha1 = fetch(connection, SourceImage)[0].image_sha1
    changed = label(sha1, boxes[1].model, Box(1, 2, 3, 4), "bob", action="change", replaces=boxes[1].uuid)
    looks = [
        look(1, boxes[0], "eve", "reject"),
        look(2, boxes[0], "eve", "confirm", category="AMPLITUDE", symbol=True, note=BAD),
        look(3, boxes[0], "ann", "unsure"),
        look(4, boxes[1], "eve", "confirm"),
    ]
    pair: dict[str, Any] = {"image_sha1": sha1, "model": "01H", "labeler": "bob", "time": TIME}
    flags = [
        MultiFlag(uuid="f1", multi=True, kind="texture", **pair),
        MultiFlag(uuid="f2", multi=False, overall=True, note="another season", **pair),
        MultiFlag(uuid="f3", multi=True, batch="t1", **{**pair, "model": "02H"}),
    ]
    with made.writing() as connection:
        add(connection, [*looks, changed, *flags, Batch(batch="t1", bulk=1, kind="training", size=1)])
    return made


@pytest.fixture(scope="module")
def out(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "out"
    export_corpus(corpus, folder, ExportOptions(labelers=True))
    return folder


def test_the_last_word_on_a_box_that_stands_is_published(corpus: Corpus, out: Path) -> None:
    found = read(out / "reviews.csv", REVIEW)
    assert [(one.reviewer, one.judgement, one.category, one.symbol, one.note) for one in found] == [
        ("ann", "unsure", "", False, ""),
        ("eve", "confirm", "AMPLITUDE", True, BAD),
    ]
    with corpus.reading() as connection:
        box = next(one for one in fetch(connection, LabelEvent) if one.labeler == "bob")
    for one in found:
        assert {name: getattr(one, name) for name in ("id", "image_sha1", "model", "x", "y", "w", "h", "labeler")} == {
            name: getattr(box, name) for name in ("id", "image_sha1", "model", "x", "y", "w", "h", "labeler")
        }
    assert "'" + BAD in (out / "reviews.csv").read_text(), "no cell is a formula"


def test_the_last_word_on_a_picture_is_published_and_training_is_not(out: Path) -> None:
    found = {(one.labeler, one.model): one for one in read(out / "flags.csv", FLAG)}
    assert set(found) == {("ann", "02L"), ("bob", "01H")}
    one = found["bob", "01H"]
    assert (one.multi, one.kind, one.overall, one.note, one.time) == (False, "", True, "another season", TIME)


def test_columns_are_an_interface() -> None:
    assert ", ".join(columns(Review)) == (
        "id, filename, image_sha1, model, x, y, w, h, labeler, reviewer, judgement, category, symbol, note, time"
    )
    assert ", ".join(columns(Flag)) == "filename, image_sha1, model, labeler, multi, kind, overall, note, time"


def test_people_go_by_the_same_pseudonym_in_all_tables(corpus: Corpus, tmp_path: Path) -> None:
    export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("tables", "datasheet")))
    text = "".join(path.read_text() for path in (tmp_path / "out").glob("*.csv"))
    assert not any(f",{name}," in text for name in ("ann", "bob", "eve"))
    reviews, flags = (
        read(tmp_path / "out" / name, record) for name, record in (("reviews.csv", REVIEW), ("flags.csv", FLAG))
    )
    (bob,) = {one.labeler for one in reviews}
    ann = next(one.labeler for one in flags if one.labeler != bob)
    assert {one.reviewer for one in reviews} > {ann}, "a labeler who reviews is one person"
    assert reviews == sorted(reviews, key=lambda one: one.reviewer), "the order does not give names away"


def test_parquet_and_croissant_have_both_tables(corpus: Corpus, out: Path) -> None:
    snapshot = take_snapshot(corpus, labelers=True)
    for name, rows in (("reviews", snapshot.reviews), ("flags", snapshot.flags)):
        assert pyarrow.parquet.read_table(out / "parquet" / f"{name}.parquet").to_pylist() == [
            asdict(one) for one in rows
        ]
    dataset = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors and not issues.warnings, issues.report()
    for name, rows in (("reviews", snapshot.reviews), ("flags", snapshot.flags)):
        assert len(list(dataset.records(name))) == len(rows) > 0


def test_the_card_and_the_data_sheet_count_them(corpus: Corpus, out: Path) -> None:
    assert "| boxes that reviewers took a second look at | 1 |" in (out / "README.md").read_text()
    assert "- `reviews.csv`: " in (out / "README.md").read_text()
    text = " ".join((out / "datasheet.md").read_text().split())
    assert (
        "1 of the boxes were looked at again" in text and "(2 reviewers; looks: confirm 1, reject 0, unsure 1)" in text
    )


def test_statistics_start_from_the_same_tables(corpus: Corpus, out: Path) -> None:
    tables = from_tables([out / "annotations.csv"], [out / "images.csv"], [out / "views.csv"])
    assert tables.annotations == from_corpus(corpus).annotations


def test_a_snapshot_is_zipped_to_the_tables_of_an_export(corpus: Corpus, out: Path) -> None:
    snapshot = take_snapshot(corpus, labelers=True)
    whole = b"".join(zipped_tables(snapshot))
    assert whole == b"".join(zipped_tables(snapshot)), "the same state gives the same bytes"
    with zipfile.ZipFile(io.BytesIO(whole)) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == {
            path.name: path.read_bytes() for path in out.glob("*.csv")
        }
        assert {one.date_time for one in found.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "no clock is in it"


def test_a_large_table_is_zipped_in_small_pieces(corpus: Corpus) -> None:
    snapshot = take_snapshot(corpus)
    notes = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000))
    large = replace(snapshot, flags=tuple(replace(snapshot.flags[0], note=note) for note in notes))
    pieces = list(zipped_tables(large))
    whole = b"".join(pieces)
    assert len(whole) > 600_000 and max(map(len, pieces)) < 2 * PIECE, "what is held does not grow with the table"
    with zipfile.ZipFile(io.BytesIO(whole)) as found:
        assert found.testzip() is None and found.read("flags.csv").count(b"\n") == 20_001


@pytest.mark.parametrize(
    "wrong", [{"judgement": "maybe"}, {"category": "COLOUR"}, {"reviewer": ""}, {"labeler": ""}, {"w": 0}]
)
def test_a_row_that_no_reader_could_take_is_refused(corpus: Corpus, wrong: dict[str, Any]) -> None:
    (first, *_) = take_snapshot(corpus).reviews
    with pytest.raises(ValueError, match=r"judgement|category|empty|box"):
        Review(**{**asdict(first), **wrong})
