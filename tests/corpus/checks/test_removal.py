"""A picture that a person asked to have removed is nowhere any more, and its coordinates are still there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpora import BOXES, TIME, picture, png, small_corpus

from miscomp.corpus.checks.removal import find_pictures, remove_picture
from miscomp.corpus.checks.verify import VerifyOptions, verify_corpus
from miscomp.corpus.corpus import Corpus, open_corpus
from miscomp.corpus.entries import Copied, LabelEvent, Reconstruction, SourceImage, Suggestion
from miscomp.corpus.labels import annotation_rows, current_labels, image_rows
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, add, fetch
from miscomp.errors import UsageError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = small_corpus(tmp_path / "c")
    write_manifest(made)
    return made


def labelled(corpus: Corpus) -> SourceImage:
    """The picture with labels in it."""
    with corpus.reading() as connection:
        sha1 = fetch(connection, LabelEvent)[0].image_sha1
        return fetch(connection, SourceImage, IMAGE.c.image_sha1 == sha1)[0]


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_pixels_and_names_go_from_every_place_and_coordinates_stay(corpus: Corpus, tmp_path: Path) -> None:
    image = labelled(corpus)
    with corpus.reading() as connection:
        before = annotation_rows(current_labels(connection)), image_rows(connection, current_labels(connection))
    outside = tmp_path / "export"
    shutil.copytree(corpus.folder / "originals", outside / "images")
    shutil.copyfile(corpus.original(image.image_sha1), outside / "001_original.png")
    (corpus.folder / "screening").mkdir()
    (corpus.folder / "screening" / f"{image.image_sha1}-400.jpg").write_bytes(png(picture(5)))
    (corpus.folder / "incoming" / f"01L-{image.image_sha1}").mkdir(parents=True)
    face = Suggestion(
        image_sha1=image.image_sha1, detector="d", version="", kind="face", value=1, regions="[[1,2,3,4]]", time=TIME
    )
    with corpus.writing() as connection:
        add(connection, [Copied(path=str(outside), what="export", time=TIME), face])
        add(connection, [Copied(path=str(tmp_path / "gone"), what="batches", time=TIME)])
    pixels = corpus.original(image.image_sha1).read_bytes()
    with corpus.owned():
        removal = remove_picture(corpus, image, "asked for on paper")
    assert [one.what for one in removal.look] == ["export"] and [one.what for one in removal.gone] == ["batches"]
    assert pixels not in contents(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if image.image_sha1 in path.name]
    with corpus.reading() as connection:
        row = fetch(connection, SourceImage, IMAGE.c.image_sha1 == image.image_sha1)[0]
        assert row.removed and row.removed_reason == "asked for on paper" and row.name == ""
        assert (
            annotation_rows(current_labels(connection)),
            image_rows(connection, current_labels(connection)),
        ) == before
        assert fetch(connection, Suggestion) == []
        made = fetch(connection, Reconstruction, RECONSTRUCTION.c.image_sha1 == image.image_sha1)
        assert {one.file + one.stream_file for one in made} == {""} and len(made) == 4
    assert any(row.x == BOXES[0].x for row in before[0])
    assert image.name.encode() not in b"".join(contents(corpus.folder))
    assert verify_corpus(corpus, VerifyOptions()).faults == ()
    assert image.image_sha1 in (corpus.folder / "manifest.json").read_text(encoding="utf-8")


def test_a_removal_that_was_cut_off_is_found_and_finished(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    image = labelled(corpus)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove_picture(corpus, image, "")
    corpus.engine.dispose()
    again = open_corpus(corpus.folder)
    kinds = [str(one.kind) for one in verify_corpus(again, VerifyOptions(quick=True)).faults]
    assert kinds.count("leftover") == 1 + 2 * 4
    with again.reading() as connection:
        (row,) = find_pictures(connection, [image.image_sha1])
    assert len(remove_picture(again, row, "").files) == 1 + 2 * 4
    assert verify_corpus(again, VerifyOptions()).faults == ()


def test_a_name_must_mean_one_picture(corpus: Corpus) -> None:
    image = labelled(corpus)
    with corpus.reading() as connection:
        assert find_pictures(connection, [image.image_sha1[:8], f"{image.image_sha1}.png"]) == [image]
        for name in ("", image.image_sha1[:7], "0" * 40, "../../etc"):
            with pytest.raises(UsageError, match="first eight or more"):
                find_pictures(connection, [name])
