"""Tables, Parquet, COCO and the image folder. Oracles: the database's rows; a strict reader of COCO written here."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from corpora import BOXES, TIME, label, small_corpus
from PIL import Image
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import SourceImage
from miscomp.corpus.exports.coco import CATEGORIES
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.exports.snapshot import SourceRow, take_snapshot
from miscomp.corpus.exports.tables import tables_of
from miscomp.corpus.labels import annotation_rows, current_labels, image_rows, model_rows, view_rows
from miscomp.corpus.schema import IMAGE, LABEL_EVENT, RECONSTRUCTION, add, fetch
from miscomp.errors import InputError, MissingExtra, UsageError
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.tables import columns, read

FORMATS = ("tables", "parquet", "coco", "imagefolder")
BAD = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = small_corpus(tmp_path_factory.mktemp("corpora") / "corpus")
    with made.reading() as connection:
        first = fetch(connection, SourceImage)[0]
    with made.writing() as connection:
        add(
            connection,
            [
                label(first.image_sha1, "01H", BOXES[0], "rules", origin="detector", score=0.25, version="1"),
                label(first.image_sha1, "01H", BOXES[1], "ann", category="GEOMETRY+AMPLITUDE", note=BAD),
            ],
        )
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.model == "02H").values(psnr=float("inf")))
    return made


@pytest.fixture(scope="module")
def out(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "out"
    export_corpus(corpus, folder, ExportOptions(formats=FORMATS, images="copy", labelers=True, names=True))
    return folder


def read_coco(path: Path) -> dict[str, Any]:
    """Read as detectors' tools do, and check what the format demands of detection data."""

    def refuse(name: str) -> None:
        raise AssertionError(f"JSON knows no {name}")

    found: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    assert set(found) == {"info", "licenses", "categories", "images", "annotations"}
    ids = {name: [one["id"] for one in found[name]] for name in set(found) - {"info"}}
    for name, numbers in ids.items():
        assert numbers == list(range(1, len(numbers) + 1)), name
    for one in found["images"]:
        assert type(one["width"]) is int and type(one["height"]) is int and one["license"] in ids["licenses"]
    sizes = {one["id"]: (one["width"], one["height"]) for one in found["images"]}
    for one in found["annotations"]:
        assert one["category_id"] in ids["categories"] and one["iscrowd"] == 0 and one["segmentation"] == []
        x, y, w, h = one["bbox"]
        assert all(type(value) is float for value in one["bbox"]) and one["area"] == w * h > 0
        width, height = sizes[one["image_id"]]
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
    return found


def test_csv_read_back_equals_the_rows_of_the_database(corpus: Corpus, out: Path) -> None:
    with corpus.reading() as connection:
        labels = current_labels(connection)
        assert read(out / "annotations.csv", Annotation) == annotation_rows(labels)
        assert read(out / "images.csv", ImageRow) == image_rows(connection, labels)
        assert read(out / "models.csv", ModelRow) == model_rows(connection)
        assert read(out / "views.csv", View) == view_rows(connection)
        pictures = fetch(connection, SourceImage)
    record: Any = SourceRow  # read() is typed for the records of the other tables
    for row, picture in zip(read(out / "sources.csv", record), pictures, strict=True):
        assert row == SourceRow(**{name: getattr(picture, name) for name in columns(SourceRow)} | {"removed": False})


def test_no_cell_is_a_formula(out: Path) -> None:
    with (out / "annotations.csv").open(newline="") as file:
        assert [row["note"] for row in csv.DictReader(file) if row["note"]] == ["'" + BAD]


def test_parquet_has_the_tables_values_with_types(corpus: Corpus, out: Path) -> None:
    for table in tables_of(take_snapshot(corpus, labelers=True, names=True)):
        found = pyarrow.parquet.read_table(out / "parquet" / f"{table.name}.parquet")
        assert [table.record(**row) for row in found.to_pylist()] == list(table.rows)
    sources = pyarrow.parquet.read_schema(out / "parquet" / "sources.parquet")
    types = {field.name: (str(field.type), field.nullable) for field in sources}
    assert types["width"] == ("int64", False) and types["removed"] == ("bool", False)
    images = pyarrow.parquet.read_schema(out / "parquet" / "images.parquet")
    assert images.field("bpp").nullable and str(images.field("bpp").type) == "double"


def test_coco_holds_every_box_exactly(corpus: Corpus, out: Path) -> None:
    found = read_coco(out / "coco.json")
    assert [one["name"] for one in found["categories"]] == list(CATEGORIES)
    assert {one["supercategory"] for one in found["categories"]} == {"miscompression"}
    images = {one["id"]: one for one in found["images"]}
    boxes = [
        (images[one["image_id"]]["image_sha1"], images[one["image_id"]]["model"], one["labeler"], *one["bbox"])
        for one in found["annotations"]
    ]
    rows = read(out / "annotations.csv", Annotation)
    assert boxes == [(one.image_sha1, one.model, one.labeler, one.x, one.y, one.w, one.h) for one in rows]
    names = [CATEGORIES[one["category_id"] - 1] for one in found["annotations"]]
    assert names == [one.category.split("+")[0] or "UNCATEGORISED" for one in rows]
    assert [one.get("score") for one in found["annotations"]] == [one.score for one in rows]
    assert sum("score" in one for one in found["annotations"]) == 1


def test_coco_names_files_that_are_there_and_licences(out: Path) -> None:
    found = read_coco(out / "coco.json")
    assert len(found["images"]) == 12
    for one in found["images"]:
        with Image.open(out / one["file_name"]) as picture:
            assert picture.size == (one["width"], one["height"])
        assert (out / one["original_file_name"]).is_file()
    assert found["licenses"] == [{"id": 1, "name": "CC0-1.0", "url": "https://spdx.org/licenses/CC0-1.0.html"}]


def test_coco_refuses_a_box_without_a_reconstruction(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    with corpus.writing() as connection:
        connection.execute(RECONSTRUCTION.delete().where(RECONSTRUCTION.c.model == "01L"))
    with pytest.raises(InputError, match="a pair that has no reconstruction"):
        export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("coco",)))


def test_rows_that_no_table_may_hold_are_named(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    with corpus.writing() as connection:
        connection.execute(update(LABEL_EVENT).where(LABEL_EVENT.c.model == "01L").values(w=0))
    with pytest.raises(InputError, match=r"cannot be published \(a box needs"):
        export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("tables",)))


def test_the_image_folder_has_both_pictures_and_the_boxes_of_each_row(out: Path) -> None:
    rows = read(out / "annotations.csv", Annotation)
    seen = 0
    for split in ("test", "train"):
        for line in (out / "data" / split / "metadata.jsonl").read_text().splitlines():
            entry = json.loads(line)
            for name in ("file_name", "original_file_name"):
                with Image.open(out / "data" / split / entry[name]) as picture:
                    assert picture.size == (entry["width"], entry["height"])
            mine = [one for one in rows if (one.image_sha1, one.model) == (entry["image_sha1"], entry["model"])]
            assert entry["objects"]["bbox"] == [[one.x, one.y, one.w, one.h] for one in mine]
            assert entry["objects"]["categories"] == [one.category for one in mine]
            assert (entry["psnr"] is None) == (entry["model"] == "02H"), "JSON knows no infinity"
            seen += 1
    assert seen == 12


def test_all_versions_of_a_picture_are_in_its_split(corpus: Corpus, out: Path) -> None:
    with corpus.reading() as connection:
        split_of = {one.image_sha1: one.split for one in fetch(connection, SourceImage)}
    files = list((out / "data").rglob("*.png"))
    assert len(files) == 3 + 12
    for path in files:
        assert path.relative_to(out / "data").parts[0] == split_of[path.stem]


def test_a_split_without_boxes_gets_typed_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    with corpus.writing() as connection:
        connection.execute(LABEL_EVENT.delete().where(LABEL_EVENT.c.model == "02L"))
    options = ExportOptions(formats=("imagefolder",), images="link")
    export_corpus(corpus, tmp_path / "out", options)
    assert not list(tmp_path.rglob("metadata.jsonl"))
    tables = [
        pyarrow.parquet.read_table(tmp_path / "out" / "data" / name / "metadata.parquet") for name in ("test", "train")
    ]
    assert tables[0].schema == tables[1].schema and [one.num_rows for one in tables] == [4, 4]
    boxes = [[box for row in one.to_pylist() for box in row["objects"]["bbox"]] for one in tables]
    assert boxes[1] == [] and sorted(boxes[0]) == sorted(
        2 * [[float(v) for v in (one.x, one.y, one.w, one.h)] for one in BOXES]
    )
    monkeypatch.setattr("miscomp.corpus.exports.imagefolder.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="a split without any box"):
        export_corpus(corpus, tmp_path / "again", options)


def test_pictures_without_a_split_are_for_training_and_odd_names_are_refused(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    options = ExportOptions(formats=("imagefolder",), images="link")
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(split=""))
    export_corpus(corpus, tmp_path / "out", options)
    assert [path.name for path in (tmp_path / "out" / "data").iterdir()] == ["train"]
    for split in ("../out", "a b", "-", "ä"):
        with corpus.writing() as connection:
            connection.execute(update(IMAGE).values(split=split))
        with pytest.raises(UsageError, match="cannot be one of an image folder"):
            export_corpus(corpus, tmp_path / "odd", options)


def test_removed_pictures_are_in_the_tables_and_not_in_coco(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.split == "test").values(removed=TIME))
    export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("tables", "coco")))
    found = read_coco(tmp_path / "out" / "coco.json")
    assert len(found["images"]) == 4 and len(found["annotations"]) == 1 and found["info"]["removed_pictures"] == 1
    assert len(read(tmp_path / "out" / "annotations.csv", Annotation)) == 9
