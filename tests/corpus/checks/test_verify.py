"""Each kind of fault is planted in a sound corpus and found; only what can be recomputed exactly is mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from corpora import BOXES, MODELS, TIME, add_picture, label, picture, png, small_corpus
from sqlalchemy import delete, update

from miscomp.corpus.checks.faults import Kind
from miscomp.corpus.checks.repair import repair
from miscomp.corpus.checks.verify import Report, VerifyOptions, verify_corpus
from miscomp.corpus.corpus import Corpus, open_corpus
from miscomp.corpus.entries import Assignment, Batch, BatchItem, Decision, LabelEvent, Reconstruction, Seen
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import IMAGE, LABEL_EVENT, MODEL, RECONSTRUCTION, SEEN, add, fetch, put
from miscomp.records import Box


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = small_corpus(tmp_path_factory.mktemp("sound") / "c")
    write_manifest(corpus)
    corpus.engine.dispose()
    return corpus.folder


@pytest.fixture
def corpus(sound: Path, tmp_path: Path) -> Corpus:
    shutil.copytree(sound, tmp_path / "c")
    return open_corpus(tmp_path / "c")


def first(corpus: Corpus, model: str = "01L", number: int = 0) -> Reconstruction:
    with corpus.reading() as connection:
        return fetch(connection, Reconstruction, RECONSTRUCTION.c.model == model)[number]


def unlabelled(corpus: Corpus) -> Reconstruction:
    """A pair that nobody was given: its views and labels are taken away."""
    row = first(corpus, "02H")
    with corpus.writing() as connection:
        connection.execute(delete(SEEN).where(SEEN.c.image_sha1 == row.image_sha1, SEEN.c.model == "02H"))
    return row


def kinds(report: Report) -> list[str]:
    return sorted({str(one.kind) for one in report.faults})


def look(corpus: Corpus, **options: bool) -> Report:
    return verify_corpus(corpus, VerifyOptions(**options))


@pytest.mark.parametrize("options", [{}, {"quick": True}, {"decode": True}])
def test_a_sound_corpus_has_no_faults(corpus: Corpus, options: dict[str, bool]) -> None:
    report = look(corpus, **options)
    assert report.faults == ()
    assert (report.images, report.reconstructions, report.files) == (3, 12, 3 + 2 * 12)
    assert report.decoded == (12 if "decode" in options else 0)


Plant = Callable[[Corpus], None]


def _truncate(corpus: Corpus) -> None:
    path = corpus.file(first(corpus).stream_file)
    path.write_bytes(path.read_bytes()[:-1])


def _one_bit(corpus: Corpus) -> None:
    path = corpus.original(first(corpus).image_sha1)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def _wrong_size(corpus: Corpus) -> None:
    corpus.file(first(corpus).file).write_bytes(png(picture(1, width=64, height=48)))


def _change(table: object, **values: object) -> Plant:
    def plant(corpus: Corpus) -> None:
        with corpus.writing() as connection:
            connection.execute(update(table).values(**values))  # type: ignore[arg-type]

    return plant


def _label(box: Box, model: str = "01L", **values: object) -> Plant:
    """A further box in the picture that has labels."""

    def plant(corpus: Corpus) -> None:
        with corpus.writing() as connection:
            image_sha1 = fetch(connection, LabelEvent)[0].image_sha1
            add(connection, [label(image_sha1, model, box, "ann", **values)])

    return plant


def _batch(*items: BatchItem, size: int = 1, bulk: int = 1) -> Plant:
    def plant(corpus: Corpus) -> None:
        row = first(corpus)
        with corpus.writing() as connection:
            connection.execute(update(IMAGE).values(bulk=1))
            add(connection, [Batch(batch="b1", bulk=bulk, kind="normal", size=size)])
            add(connection, [replace(one, image_sha1=one.image_sha1 or row.image_sha1) for one in items])
        write_manifest(corpus)

    return plant


def _rows(*rows: object) -> Plant:
    def plant(corpus: Corpus) -> None:
        with corpus.writing() as connection:
            add(connection, rows)

    return plant


ITEM = BatchItem(batch="b1", position=1, image_sha1="", model="01L", alias="a" * 40)
SEEN_ROW = Seen(image_sha1="0" * 40, model="01L", labeler="ann", batch="", opened=TIME, closed="")
DECISION = Decision(uuid="d", image_sha1="0" * 40, screener="eva", choice="include", note="", time=TIME)
PLANTS: dict[str, tuple[Plant, Kind, str]] = {
    "a lost original": (lambda c: c.original(first(c).image_sha1).unlink(), Kind.MISSING, "not there"),
    "a lost stream": (lambda c: c.file(first(c).stream_file).unlink(), Kind.MISSING, "not there"),
    "a truncated stream": (_truncate, Kind.DAMAGED, "SHA-256"),
    "a flipped bit": (_one_bit, Kind.DAMAGED, "SHA-256"),
    "another size": (_wrong_size, Kind.DAMAGED, "64 x 48 pixels, its row says 192 x 176"),
    "no picture": (lambda c: _write(c, first(c).file, b"text"), Kind.DAMAGED, "no PNG"),
    "a stray": (lambda c: _write(c, "originals/aa/notes.txt", b"text"), Kind.ORPHAN, "no row"),
    "a partial file": (lambda c: _write(c, "streams/01L/aa/x.jpg.partial", b""), Kind.UNFINISHED, "cut off"),
    "an unfinished result": (lambda c: _write(c, "incoming/.unfinished-x/stream", b""), Kind.UNFINISHED, "cut off"),
    "a result not taken in": (lambda c: _write(c, "incoming/01L-x/stream", b""), Kind.UNFINISHED, "compress again"),
    "a wrong rate": (_change(RECONSTRUCTION, bpp=1.0), Kind.ROW, "its row says 1.0 bpp"),
    "another model": (_change(MODEL, spec="jpeg@q99"), Kind.ROW, "give it a new name"),
    "an unknown model": (lambda c: _delete(c, MODEL), Kind.ROW, "no row of its own"),
    "unknown pictures": (lambda c: _delete(c, IMAGE), Kind.ROW, "does not have"),
    "the same pixels": (_change(IMAGE, pixel_sha256="a" * 64), Kind.DUPLICATE, "same pixels"),
    "a box outside": (_label(Box(190, 0, 20, 20)), Kind.BOX, "outside"),
    "an unknown origin": (_label(Box(1, 1, 2, 2), origin="oracle"), Kind.BOX, "origin"),
    "a box twice": (_label(BOXES[0], uuid="another"), Kind.DUPLICATE, "2 times"),
    "a label of no pair": (_label(Box(1, 1, 2, 2), model="09L"), Kind.ROW, "does not have"),
    "a view of no pair": (_rows(SEEN_ROW), Kind.ROW, "does not have"),
    "a decision on no picture": (_rows(DECISION), Kind.ROW, "does not have"),
    "a batch of another size": (_batch(ITEM, size=2), Kind.ROW, "its row says 2"),
    "an alias twice": (_batch(ITEM, replace(ITEM, position=2), size=2), Kind.ROW, "stands for 2"),
    "a batch of another bulk": (_batch(ITEM, bulk=2), Kind.ROW, "bulk 1, the batch in 2"),
    "an item of no pair": (_batch(replace(ITEM, model="09L")), Kind.ROW, "does not have"),
    "an item of no batch": (
        lambda c: _rows(replace(ITEM, image_sha1=first(c).image_sha1))(c),
        Kind.ROW,
        "without a row",
    ),
    "an assignment of no batch": (_rows(Assignment(batch="b9", labeler="ann", time=TIME)), Kind.ROW, "not there"),
    "a changed manifest": (lambda c: _write(c, "manifest.json", b"{}"), Kind.MANIFEST, "not what"),
    "a lost manifest": (lambda c: (c.folder / "manifest.json").unlink(), Kind.MANIFEST, "cannot be read"),
    "a name that leads out": (_change(RECONSTRUCTION, file="../../etc/passwd"), Kind.DAMAGED, "not one of the corpus"),
}


def _write(corpus: Corpus, name: str, content: bytes) -> None:
    path = corpus.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _delete(corpus: Corpus, table: object) -> None:
    with corpus.writing() as connection:
        connection.execute(delete(table))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(corpus: Corpus, name: str) -> None:
    plant, kind, words = PLANTS[name]
    plant(corpus)
    found = [str(one) for one in look(corpus).faults if one.kind == kind]
    assert any(words in one for one in found), found


def test_a_damaged_database_is_said_and_nothing_else(corpus: Corpus) -> None:
    corpus.engine.dispose()
    path = corpus.folder / "corpus.sqlite"
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    assert kinds(look(corpus)) == ["database"]


def test_decoding_finds_a_stream_that_gives_other_pixels(corpus: Corpus) -> None:
    row = first(corpus)
    with corpus.writing() as connection:
        put(connection, [replace(row, pixel_sha256="0" * 64)])
    assert look(corpus).faults == ()
    (fault,) = look(corpus, decode=True).faults
    assert fault.kind == Kind.DAMAGED and "other pixels" in fault.problem


@pytest.mark.parametrize("lost", ["stream_file", "file", "both"])
def test_files_of_a_labelled_pair_come_back_the_same(corpus: Corpus, lost: str) -> None:
    row = first(corpus, "02L")
    row = recoded(corpus, row)
    names = ["stream_file", "file"] if lost == "both" else [lost]
    before = {name: corpus.file(getattr(row, name)).read_bytes() for name in names}
    for name in names:
        corpus.file(getattr(row, name)).unlink()
    report = look(corpus)
    assert kinds(report) == ["missing"]
    mended = repair(corpus, report.faults)
    assert all(one.mended and "again, to the same" in one.outcome for one in mended)
    assert {name: corpus.file(getattr(row, name)).read_bytes() for name in names} == before
    assert look(corpus, decode=True).faults == ()


def recoded(corpus: Corpus, row: Reconstruction) -> Reconstruction:
    """The pair with the stream that this package's codec writes, in place of the one that the sample made itself."""
    import hashlib

    from miscomp.codecs.catalog import open_codec
    from miscomp.images import pixel_sha256, read, write_png

    codec = open_codec("webp")
    stream = codec.compress(read(corpus.original(row.image_sha1)).pixels, 10.0)
    made = codec.decompress(stream)
    corpus.file(row.stream_file).write_bytes(stream)
    write_png(corpus.file(row.file), made)
    changed = replace(
        row,
        stream_sha256=hashlib.sha256(stream).hexdigest(),
        stream_bytes=len(stream),
        bpp=8 * len(stream) / (row.width * row.height),
        sha256=hashlib.sha256(corpus.file(row.file).read_bytes()).hexdigest(),
        pixel_sha256=pixel_sha256(made),
    )
    with corpus.writing() as connection:
        put(connection, [changed])
    write_manifest(corpus)
    return changed


def test_a_labelled_pair_that_cannot_be_made_the_same_is_kept(corpus: Corpus) -> None:
    row = first(corpus)
    with corpus.writing() as connection:
        put(connection, [replace(row, stream_sha256="0" * 64)])
    corpus.file(row.stream_file).unlink()
    write_manifest(corpus)
    (fault,) = repair(corpus, look(corpus).faults)
    assert not fault.mended and "restore a copy" in fault.outcome
    assert corpus.file(row.file).is_file() and first(corpus) == replace(row, stream_sha256="0" * 64)


def test_a_pair_that_nobody_was_given_is_left_to_be_made_anew(corpus: Corpus) -> None:
    row = unlabelled(corpus)
    with corpus.writing() as connection:
        put(connection, [replace(row, stream_sha256="0" * 64)])
    write_manifest(corpus)
    faults = repair(corpus, look(corpus).faults)
    assert all(one.mended for one in faults)
    with corpus.reading() as connection:
        left = fetch(connection, Reconstruction, RECONSTRUCTION.c.image_sha1 == row.image_sha1)
    assert sorted(one.model for one in left) == sorted({one.model for one in MODELS} - {"02H"})
    assert look(corpus).faults == ()


@pytest.mark.parametrize("spec", ["hific@file:nowhere.pth", ""])
def test_a_pair_that_cannot_be_tried_here_keeps_what_is_left_of_it(corpus: Corpus, spec: str) -> None:
    """The weights are not on this machine, or the pair was imported: no other run could make it again."""
    row = unlabelled(corpus)
    _change(MODEL, spec=spec)(corpus)
    corpus.file(row.file).unlink()
    write_manifest(corpus)
    (fault,) = [one for one in repair(corpus, look(corpus).faults) if one.kind == Kind.MISSING]
    assert not fault.mended and fault.outcome.startswith("not mended: ")
    assert corpus.file(row.stream_file).is_file()
    with corpus.reading() as connection:
        assert row in fetch(connection, Reconstruction)


def test_a_lost_folder_of_streams_comes_back(corpus: Corpus) -> None:
    row = recoded(corpus, first(corpus, "02L"))
    before = corpus.file(row.stream_file).read_bytes()
    shutil.rmtree(corpus.file(row.stream_file).parent)
    faults = [one for one in look(corpus).faults if one.where == row.stream_file]
    assert all(one.mended for one in repair(corpus, faults))
    assert corpus.file(row.stream_file).read_bytes() == before


def test_files_whose_row_is_to_follow_stay_in_their_place(corpus: Corpus) -> None:
    """A run that was killed between moving files and writing rows leaves `result.json` in `incoming/`."""
    row = unlabelled(corpus)
    with corpus.writing() as connection:
        connection.execute(delete(RECONSTRUCTION).where(RECONSTRUCTION.c.stream_file == row.stream_file))
    _write(corpus, f"incoming/02H-{row.image_sha1}/result.json", b"{}")
    write_manifest(corpus)
    report = look(corpus)
    assert kinds(report) == ["unfinished"]
    repair(corpus, report.faults)
    assert corpus.file(row.stream_file).is_file() and corpus.file(row.file).is_file()


def test_strays_are_kept_aside_and_leavings_removed(corpus: Corpus) -> None:
    for _ in range(2):
        _write(corpus, "originals/aa/notes.txt", b"text")
        _write(corpus, "incoming/.unfinished-x/stream", b"")
        _write(corpus, "manifest.json", b"{}")
        assert all(one.mended for one in repair(corpus, look(corpus).faults))
    assert sorted(path.name for path in (corpus.folder / "orphans/originals/aa").iterdir()) == [
        "notes.txt",
        "notes.txt.1",
    ]
    assert look(corpus).faults == ()


def test_a_lost_original_is_not_mended_and_says_what_to_do(corpus: Corpus) -> None:
    corpus.original(first(corpus).image_sha1).unlink()
    (fault,) = repair(corpus, look(corpus).faults)
    assert not fault.mended and "from a copy" in fault.outcome


def test_a_rate_is_counted_again_and_a_box_is_left_to_people(corpus: Corpus) -> None:
    _change(RECONSTRUCTION, bpp=1.0)(corpus)
    _label(Box(190, 0, 20, 20))(corpus)
    faults = repair(corpus, look(corpus).faults)
    assert [one.kind for one in faults if not one.mended] == [Kind.BOX]
    assert kinds(look(corpus)) == ["box"]


def test_events_that_were_taken_back_are_no_fault(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        wrong = label(first(corpus).image_sha1, "01L", Box(190, 0, 20, 20), "ann")
        add(connection, [wrong, replace(wrong, uuid="later", action="delete", replaces=wrong.uuid)])
        connection.execute(delete(LABEL_EVENT).where(LABEL_EVENT.c.uuid == "none"))
    write_manifest(corpus)
    assert look(corpus).faults == ()


def test_a_corpus_without_pixels_is_sound(corpus: Corpus) -> None:
    """As an imported release is: rows with numbers, and no files."""
    shutil.rmtree(corpus.folder / "streams")
    shutil.rmtree(corpus.folder / "reconstructions")
    shutil.rmtree(corpus.folder / "originals")
    _change(RECONSTRUCTION, file="", stream_file="", stream_bytes=0)(corpus)
    _change(IMAGE, sha256="")(corpus)
    write_manifest(corpus)
    assert look(corpus).faults == ()


def test_a_picture_added_and_never_compressed_is_sound(corpus: Corpus) -> None:
    add_picture(corpus, picture(9), name="nine.png")
    write_manifest(corpus)
    assert look(corpus).faults == ()
