from __future__ import annotations

import csv
import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from corpora import picture, png, small_corpus
from PIL import Image
from sqlalchemy import select, update

from miscomp.corpus.batches import files as batch_files
from miscomp.corpus.batches.files import HandedOut, HandOut, write_batch_files
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus, meta, reconstruction_file
from miscomp.corpus.entries import BatchItem, Copied, Reconstruction
from miscomp.corpus.schema import IMAGE, METADATA, RECONSTRUCTION, fetch
from miscomp.errors import UsageError

BATCHES = {"batch_size": 5, "agreement_batches": 1}


def batched(folder: Path, *, min_free_gib: float = 0) -> Corpus:
    """Three pictures by four models: twelve pairs in batches of 5, 5 and 2; one of 5 is for both labelers."""
    corpus = small_corpus(folder, labels=False, batches=BATCHES, compress={"min_free_gib": min_free_gib})
    with corpus.writing() as connection:
        make_batches(connection, corpus.config)
        assign(connection, corpus.config, ("ann", "bob"))
    return corpus


def items(corpus: Corpus) -> list[BatchItem]:
    with corpus.reading() as connection:
        return fetch(connection, BatchItem)


def write(corpus: Corpus, folder: Path, **values: object) -> HandedOut:
    return write_batch_files(corpus, HandOut(folder=folder, **values))  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_every_pair_of_a_batch_is_there_under_its_alias_with_the_corpus_own_bytes(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    result = write(corpus, folder)
    assert len(result.written) == 4 and not result.problems  # the agreement batch twice
    for one in items(corpus):
        for place in folder.glob(f"*/{one.batch}"):
            start = place / f"{one.position:03d}_{one.alias}"
            original = Path(f"{start}_original.png").read_bytes()
            assert hashlib.sha1(original, usedforsecurity=False).hexdigest() == one.image_sha1
            with corpus.reading() as connection:
                made = fetch(connection, Reconstruction, RECONSTRUCTION.c.image_sha1 == one.image_sha1)
            expected = {row.model: row.sha256 for row in made}[one.model]
            assert hashlib.sha256(Path(f"{start}_reconstruction.png").read_bytes()).hexdigest() == expected
            with (place / "batch.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            assert rows[one.position - 1] == {
                "number": f"{one.position:03d}",
                "alias": one.alias,
                **dict.fromkeys(("seen", "multi", "multi_kind", "note"), ""),
            }
    assert len(list(folder.glob("*/*/*_original.png"))) == 12 + 5


def test_names_times_and_tables_tell_neither_picture_nor_codec_nor_source(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    write(corpus, folder)
    with corpus.reading() as connection:
        secret = meta(connection, "secret")
    telling = {one.image_sha1[:8] for one in items(corpus)} | {"01L", "01H", "02L", "02H", "ramp", "jpeg", "webp"}
    for name, content in files(folder).items():
        text = name if name.endswith(".png") else name + content.decode()
        assert secret not in text
        assert not [word for word in telling if word in text]
    pictures = list(folder.rglob("*.png"))
    assert {one.stat().st_mtime for one in pictures} == {315_619_200}
    for one in pictures:
        with Image.open(one) as image:
            image.load()
            assert image.info == {}
    assert len({one.stat().st_ino for one in pictures}) == len(pictures)  # copies: none shares a file with another


def test_links_share_the_corpus_files_and_tell_no_times_either(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    assert not write(corpus, folder, link=True).problems
    own = {one.stat().st_ino for one in corpus.folder.rglob("*.png")}
    pictures = list(folder.rglob("*.png"))
    assert {one.stat().st_ino for one in pictures} <= own
    assert {one.stat().st_mtime for one in pictures} == {315_619_200}


def test_labelers_of_agreement_batches_are_told_to_draw_all_instances(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    write(corpus, folder)
    ann, bob = ({one.name for one in (folder / who).iterdir()} for who in ("ann", "bob"))
    for who in ("ann", "bob"):
        for place in (folder / who).iterdir():
            text = (place / "README.txt").read_text()
            assert ("draw all of them" in text) == (place.name in ann & bob)
            assert ("draw the first 3 of them" in text) == (place.name not in ann & bob)


def test_a_second_run_leaves_what_is_there_alone_and_writes_what_is_missing(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    write(corpus, folder, labelers=["ann"])
    first = min((folder / "ann").iterdir())
    (first / "boxes.csv").write_text("filled in by ann")
    before = files(folder)
    result = write(corpus, folder)
    assert before.items() <= files(folder).items()
    assert {who for who, _ in result.written} == {"bob"}
    assert len(result.written) + result.there == 4


def test_a_run_that_was_cut_off_leaves_no_half_folder_under_a_batch_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    plain, calls = batch_files._place, []

    class Killed(BaseException):
        pass

    def killed(*args: object, **kwargs: object) -> None:
        calls.append(1)
        if len(calls) == 7:
            raise Killed
        plain(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(batch_files, "_place", killed)
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)  # the process is gone: nobody tidies up
    with pytest.raises(Killed):
        write(corpus, folder)
    monkeypatch.undo()
    whole = {one.name: len(list(one.glob("*.png"))) for one in folder.glob("*/b*") if not one.suffix}
    assert all(number in (4, 10) for number in whole.values())
    assert list(folder.glob("*/*.partial"))
    write(corpus, folder)
    assert not list(folder.glob("*/*.partial"))
    monkeypatch.setattr(batch_files, "_place", plain)
    again = tmp_path / "again"
    write(corpus, again)
    assert files(again) == files(folder)


def test_a_damaged_or_missing_file_fails_its_batch_alone(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    first, second, _ = {one.batch: one for one in items(corpus)}.values()
    corpus.file(reconstruction_file(first.image_sha1, first.model)).write_bytes(png(picture(99)))
    corpus.file(reconstruction_file(second.image_sha1, second.model)).unlink()
    result = write(corpus, folder)
    assert {one.split("/")[1].split(":")[0] for one in result.problems} == {first.batch, second.batch}
    assert any("is not the file that the database knows" in one for one in result.problems)
    assert {one.batch for one in items(corpus)} - {first.batch, second.batch} == {batch for _, batch in result.written}
    assert not list(folder.glob(f"*/{first.batch}*"))


@pytest.mark.parametrize(("table", "column"), [("assignment", "labeler"), ("batch_item", "alias")])
def test_a_name_that_leads_out_of_the_folder_is_refused(table: str, column: str, tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "deep" / "lab"
    chosen = METADATA.tables[table]
    with corpus.writing() as connection:
        batch = connection.execute(select(chosen.c.batch).limit(1)).scalar_one()
        value = connection.execute(select(chosen.c[column]).where(chosen.c.batch == batch)).scalars().first()
        where = (chosen.c.batch == batch) & (chosen.c[column] == value)
        connection.execute(update(chosen).where(where).values({column: "../../out"}))
    result = write(corpus, folder)
    assert result.written and any("names '../../out' in a batch" in one for one in result.problems)
    assert {one.name for one in tmp_path.iterdir()} == {"corpus", "deep"}
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["lab"]


def test_removed_pictures_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    gone = items(corpus)[0].image_sha1
    with corpus.writing() as connection:
        connection.execute(IMAGE.update().where(IMAGE.c.image_sha1 == gone).values(removed="2026-01-01T00:00:00Z"))
    result = write(corpus, folder)
    names = {one.name for one in folder.rglob("*.png")}
    for one in items(corpus):
        assert (f"{one.position:03d}_{one.alias}_original.png" in names) == (one.image_sha1 != gone)
    assert result.left_out >= 4


def test_the_folder_is_recorded_once_so_that_a_removal_finds_it(tmp_path: Path) -> None:
    corpus, folder = batched(tmp_path / "corpus"), tmp_path / "lab"
    write(corpus, folder)
    write(corpus, folder)
    with corpus.reading() as connection:
        assert [(one.path, one.what) for one in fetch(connection, Copied)] == [(str(folder.resolve()), "batches")]


def test_a_place_in_the_corpus_and_a_full_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = batched(tmp_path / "corpus", min_free_gib=1.0)
    with pytest.raises(UsageError, match="lies in the corpus"):
        write(corpus, corpus.folder / "batches")

    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 30))
    with pytest.raises(UsageError, match=r"1\.0 GiB are free"):
        write(corpus, tmp_path / "lab")
    assert not list((tmp_path / "lab").glob("*/*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write(corpus, tmp_path / "file")


def test_links_across_disks_are_refused_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UsageError, match="leave out --link"):
        write(batched(tmp_path / "corpus"), tmp_path / "lab", link=True)
