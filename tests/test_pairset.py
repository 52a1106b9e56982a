"""A folder of labelled pairs. Oracles: tables written by hand, one thing wrong in each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from miscomp.errors import TableError
from miscomp.pairset import (
    ANNOTATIONS,
    IMAGES,
    NEGATIVES,
    PLANTS,
    model_folder,
    original_path,
    read_pair_set,
    reconstruction_path,
)
from miscomp.records import Annotation, ImageRow, Plant
from miscomp.tables import write

SHA1 = "ab" * 20
ROW = ImageRow(filename="a.png", image_sha1=SHA1, model="jpeg@q5", width=64, height=48)
LABEL = Annotation(
    id="x", filename="a.png", image_sha1=SHA1, model="jpeg@q5", x=4, y=4, w=8, h=8, labeler="p", origin="truth"
)
PLANT = Plant(id="x", kind="light", strength=1, seed=0, source="a.jpg", image_sha1=SHA1, model="jpeg@q5", label=True)


def folder(path: Path, rows: list[ImageRow], labels: list[Annotation]) -> Path:
    write(path / IMAGES, ImageRow, rows)
    write(path / ANNOTATIONS, Annotation, labels)
    return path


def test_labels_negatives_and_plants_come_with_their_pair(tmp_path: Path) -> None:
    folder(tmp_path, [ROW, replace(ROW, model="webp@q5")], [LABEL])
    write(tmp_path / NEGATIVES, Annotation, [replace(LABEL, id="n", model="webp@q5")])
    write(tmp_path / PLANTS, Plant, [PLANT])
    first, second = read_pair_set(tmp_path).pairs
    assert first.labels == (LABEL,) and first.plants == {"x": PLANT} and not first.negatives
    assert [one.id for one in second.negatives] == ["n"] and not second.labels
    assert first.original == original_path(tmp_path, "a.png")
    assert second.reconstruction == reconstruction_path(tmp_path, "webp@q5", "a.png")


def test_a_model_becomes_a_folder_that_every_file_system_holds() -> None:
    assert model_folder("control:jpeg@0.75bpp/../x") == "control_jpeg@0.75bpp_.._x"
    assert model_folder("..") == model_folder(".") == "_"


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "b/a.png", ".."])
def test_file_names_do_not_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError, match="is no file name"):
        read_pair_set(folder(tmp_path, [replace(ROW, filename=name)], []))


@pytest.mark.parametrize(
    ("rows", "labels", "problem"),
    [
        ([ROW, ROW], [], "stands there twice"),
        ([ROW, replace(ROW, filename="a.jpg", image_sha1="cd" * 20)], [], "share a file"),
        ([ROW], [LABEL, LABEL], "x stands there twice"),
        ([ROW], [replace(LABEL, x=10**40)], "reaches outside"),
        ([ROW], [replace(LABEL, x=60)], "reaches outside the image of 64 x 48"),
        ([ROW], [replace(LABEL, origin="detector")], "was found by a detector"),
        ([ROW], [replace(LABEL, model="other")], "of a pair that images.csv does not have"),
    ],
)
def test_what_is_no_truth_is_refused(
    tmp_path: Path, rows: list[ImageRow], labels: list[Annotation], problem: str
) -> None:
    with pytest.raises(TableError, match=problem):
        read_pair_set(folder(tmp_path, rows, labels))


def test_two_labelers_may_mark_the_same_place(tmp_path: Path) -> None:
    (pair,) = read_pair_set(folder(tmp_path, [ROW], [LABEL, replace(LABEL, labeler="q")])).pairs
    assert len(pair.labels) == 2


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"images\.csv"):
        read_pair_set(tmp_path)
