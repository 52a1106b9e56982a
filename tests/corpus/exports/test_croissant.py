"""`croissant.json`. Oracle: mlcroissant, which validates it, reads its records, and checks the tables' hashes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
from corpora import BOXES, label, small_corpus
from PIL.Image import Image

from miscomp.corpus.corpus import Corpus, open_corpus
from miscomp.corpus.entries import SourceImage
from miscomp.corpus.exports.croissant_words import COLUMNS
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.exports.tables import tables_of
from miscomp.corpus.schema import add, fetch
from miscomp.errors import UsageError
from miscomp.tables import columns

# The validator's own use of its libraries.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning"),
]

ABOUT = {"title": "Street", "description": "Streets.", "creators": ["A. Body"], "citation": "Body, 2025", "url": ""}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = small_corpus(tmp_path_factory.mktemp("corpora") / "corpus", images=2, about=ABOUT)
    with made.reading() as connection:
        first = fetch(connection, SourceImage)[0]
    with made.writing() as connection:
        add(connection, [label(first.image_sha1, "01H", BOXES[0], "rules", origin="detector", score=0.25)])
    return made


@pytest.fixture
def changed(corpus: Corpus, tmp_path: Path) -> Corpus:
    """A copy that a test may change."""
    return open_corpus(Path(shutil.copytree(corpus.folder, tmp_path / "corpus")))


@pytest.fixture(scope="module")
def out(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "out"
    export_corpus(corpus, folder, ExportOptions(formats=("croissant",), images="copy"))
    return folder


def opened(folder: Path) -> Any:
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors and not issues.warnings, issues.report()
    return dataset


def as_read(value: Any) -> Any:
    """A cell as mlcroissant gives it: text as bytes, empty text in CSV as nothing."""
    if isinstance(value, str):
        return value.encode() or None
    return value


def plain(record: dict[str, Any]) -> dict[str, Any]:
    names = {key.split("/")[1]: value for key, value in record.items()}
    return {key: None if value == b"" or value is None else value for key, value in names.items()}


@pytest.mark.parametrize("formats", [("croissant",), ("croissant", "parquet")])
def test_it_is_valid_and_its_records_are_the_rows(corpus: Corpus, tmp_path: Path, formats: tuple[str, ...]) -> None:
    export_corpus(corpus, tmp_path / "out", ExportOptions(formats=formats))
    dataset = opened(tmp_path / "out")
    for table in tables_of(take_snapshot(corpus)):
        found = [plain(one) for one in dataset.records(table.name)]
        assert found == [{name: as_read(getattr(row, name)) for name in columns(table.record)} for row in table.rows]


def test_its_pictures_can_be_read(out: Path) -> None:
    dataset = opened(out)
    originals = [plain(one) for one in dataset.records("originals")]
    made = [plain(one) for one in dataset.records("reconstructions")]
    assert len(originals) == 2 and len(made) == 8
    assert all(isinstance(one["content"], Image) and one["content"].size == (192, 176) for one in originals + made)
    assert {one["model"] for one in made} == {b"01L", b"01H", b"02L", b"02H"}
    assert {one["image_sha1"] for one in made} == {one["image_sha1"] for one in originals}


def test_a_changed_table_is_noticed(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    with (tmp_path / "out" / "models.csv").open("a") as file:
        file.write("99L,x,,,,,\n")
    with pytest.raises(mlcroissant.GenerationError, match=r"Download\(models.csv\)") as caught:
        list(opened(tmp_path / "out").records("models"))
    assert "is not identical" in str(caught.value.__cause__)


def test_it_says_who_made_it_and_how(out: Path) -> None:
    found = json.loads((out / "croissant.json").read_text())
    assert found["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert (found["citeAs"], found["datePublished"]) == ("Body, 2025", "2025-10-27")
    assert found["isLiveDataset"] is False and "url" not in found, "what is empty is left out"
    assert "02L is a stand-in: for a test" in found["rai:dataBiases"]
    metadata = opened(out).metadata
    assert metadata.creators[0].name == "A. Body" and len(metadata.data_limitations) == 2


def test_every_column_has_words(corpus: Corpus) -> None:
    for table in tables_of(take_snapshot(corpus)):
        assert {*columns(table.record)} <= {*COLUMNS}


def test_no_title_ends_a_script_element(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=0, labels=False, about={"title": "</script><b>\u202e\n\"'"})
    export_corpus(corpus, tmp_path / "out", ExportOptions(formats=("croissant",)))
    text = (tmp_path / "out" / "croissant.json").read_text()
    assert "<" not in text and json.loads(text)["name"] == corpus.config.about.title


@pytest.mark.parametrize("text", ["01", "1e5", "NA", "nan", "None"])
def test_texts_that_readers_of_csv_misread_need_parquet(changed: Corpus, tmp_path: Path, text: str) -> None:
    with changed.reading() as connection:
        first = fetch(connection, SourceImage)[0]
    with changed.writing() as connection:
        add(connection, [label(first.image_sha1, "01H", BOXES[1], "rules", origin="detector", note=text)])
    with pytest.raises(UsageError, match=f"holds the text '{text}' in column note.*--format parquet"):
        export_corpus(changed, tmp_path / "out", ExportOptions(formats=("croissant",)))
    export_corpus(changed, tmp_path / "out", ExportOptions(formats=("croissant", "parquet"), force=True))
    notes = [plain(one)["note"] for one in opened(tmp_path / "out").records("annotations")]
    assert notes.count(text.encode()) == 1


def test_identical_pictures_have_an_infinite_psnr(changed: Corpus, tmp_path: Path) -> None:
    with changed.writing() as connection:
        connection.exec_driver_sql("UPDATE reconstruction SET psnr = 9e999")
    export_corpus(changed, tmp_path / "out", ExportOptions(formats=("croissant",)))
    assert [plain(one)["psnr"] for one in opened(tmp_path / "out").records("images")] == 8 * [math.inf]
