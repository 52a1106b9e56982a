"""Photographs into a corpus. Oracles: hashlib on the files, Pillow on their pixels, and one run against another."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from corpora import picture, png, small_config
from PIL import Image
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus, create_corpus, open_corpus
from miscomp.corpus.entries import Rejected, SourceImage
from miscomp.corpus.intake.add import add_pictures
from miscomp.corpus.intake.files import Found, find_pictures
from miscomp.corpus.intake.outcome import Outcome, Provenance, Result
from miscomp.corpus.intake.picture import Examined, Refusal
from miscomp.corpus.schema import IMAGE, add, fetch
from miscomp.errors import InputError, UsageError
from miscomp.images import pixel_sha256

ABOUT = Provenance(source="ramps", licence="CC0-1.0", split="train")
IMAGES = {"images": {"min_side": 64, "max_side": 160}}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return create_corpus(tmp_path / "corpus", small_config(**IMAGES))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(png(picture(1)))
    Image.fromarray(picture(2)).save(folder / "sub" / "b.JPG", quality=95)
    Image.fromarray(picture(3)).save(folder / "c.tif")
    return folder


def take(corpus: Corpus, *sources: Path, about: Provenance = ABOUT, jobs: int = 1) -> list[Result]:
    files = find_pictures(sources, corpus.folder).files
    return list(add_pictures(corpus, files, about, jobs=jobs))


def rows(corpus: Corpus) -> tuple[list[SourceImage], list[Rejected]]:
    """Without times."""
    with corpus.reading() as connection:
        images, rejected = fetch(connection, SourceImage), fetch(connection, Rejected)
    return [replace(one, added="") for one in images], [replace(one, time="") for one in rejected]


def by_name(results: list[Result]) -> dict[str, tuple[str, str]]:
    return {one.name: (one.outcome.value, one.kind) for one in results}


def test_rows_say_what_the_files_are(corpus: Corpus, photos: Path) -> None:
    results = take(corpus, photos)
    assert [one.name for one in results] == ["a.png", "c.tif", "sub/b.JPG"]
    assert {one.outcome for one in results} == {Outcome.ADDED}
    images, rejected = rows(corpus)
    assert not rejected
    assert {one.name for one in images} == {"a.png", "c.tif", "sub/b.JPG"}
    for one in images:
        file = corpus.folder / "originals" / one.image_sha1[:2] / f"{one.image_sha1}.png"
        content = file.read_bytes()
        assert hashlib.sha1(content).hexdigest() == one.image_sha1
        assert hashlib.sha256(content).hexdigest() == one.sha256 and len(content) == one.size_bytes
        with Image.open(file) as image:
            assert image.format == "PNG" and image.mode == "RGB" and image.info == {}
            pixels = np.asarray(image)
        assert pixel_sha256(pixels) == one.pixel_sha256
        # 192 x 176 times 160/192 is 160 x 146.67; 147 is cropped to 144.
        assert pixels.shape == (144, 160, 3) and (one.width, one.height) == (160, 144)
        assert (one.origin_width, one.origin_height) == (192, 176)
        assert hashlib.sha256((photos / one.name).read_bytes()).hexdigest() == one.origin_sha256
        assert (one.source, one.licence, one.split) == ("ramps", "CC0-1.0", "train")
        assert one.half is None and one.bulk is None and one.removed == ""


def test_position_and_orientation_do_not_reach_the_corpus_but_the_picture_is_upright(
    corpus: Corpus, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(picture(1)).save(tmp_path / "x.jpg", quality=95, exif=exif)
    (result,) = take(corpus, tmp_path / "x.jpg")
    with Image.open(corpus.original(result.image_sha1)) as image:
        assert image.size == (144, 160) and not image.getexif()
    (row,), _ = rows(corpus)
    assert (row.origin_width, row.origin_height) == (176, 192)


def test_adding_again_changes_nothing(corpus: Corpus, photos: Path) -> None:
    (photos / "grey.png").write_bytes(png(picture(1))[:40])
    (photos / "twin.png").write_bytes((photos / "a.png").read_bytes())
    first = take(corpus, photos)
    before = rows(corpus)
    again = take(corpus, photos)
    assert rows(corpus) == before
    expected = {one.name: Outcome.PRESENT if one.outcome == Outcome.ADDED else one.outcome for one in first}
    assert {one.name: one.outcome for one in again} == expected


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_the_corpus_lost_is_put_back(corpus: Corpus, photos: Path, dry_run: bool) -> None:
    sha1 = next(one.image_sha1 for one in take(corpus, photos) if one.name == "a.png")
    before, content = rows(corpus), corpus.original(sha1).read_bytes()
    corpus.original(sha1).unlink()
    found = list(add_pictures(corpus, find_pictures([photos], corpus.folder).files, ABOUT, dry_run=dry_run))
    assert by_name(found)["a.png"] == ("put back", "") and by_name(found)["c.tif"] == ("already there", "")
    assert rows(corpus) == before
    assert corpus.original(sha1).exists() is not dry_run
    if not dry_run:
        assert corpus.original(sha1).read_bytes() == content
        assert by_name(take(corpus, photos))["a.png"] == ("already there", "")


def test_what_is_there_keeps_its_licence_and_says_so(corpus: Corpus, photos: Path) -> None:
    take(corpus, photos / "a.png")
    (result,) = take(corpus, photos / "a.png", about=replace(ABOUT, licence="MIT", split=""))
    assert result.outcome == Outcome.PRESENT
    assert result.note == "its licence stays 'CC0-1.0'; its split stays 'train'"


def test_each_kind_of_rejection_is_recorded_with_its_reason(tmp_path: Path, photos: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config(images={"min_side": 96, "max_megapixels": 0.05}))
    Image.fromarray(picture(4)).convert("RGBA").save(photos / "d-alpha.png")
    Image.fromarray(picture(4)).convert("L").save(photos / "e-grey.jpg")
    (photos / "f-cut.png").write_bytes(png(picture(5))[:-30])
    (photos / "g-small.png").write_bytes(png(picture(6, width=100, height=90)))
    (photos / "h-large.png").write_bytes(png(picture(7, width=300, height=200)))
    (photos / "i-copy.png").write_bytes((photos / "a.png").read_bytes())
    Image.fromarray(picture(1)).save(photos / "j-same.bmp")
    (photos / "k-empty.png").touch()
    (photos / "l-thin.png").write_bytes(png(picture(8, width=200, height=180)[:, :9]))
    results = take(corpus, photos)
    found = {name: kind for name, (_, kind) in by_name(results).items() if kind}
    assert found == {
        "d-alpha.png": "channels",
        "e-grey.jpg": "channels",
        "f-cut.png": "corrupt",
        "g-small.png": "small",
        "h-large.png": "large",
        "i-copy.png": "duplicate",
        "j-same.bmp": "duplicate",
        "k-empty.png": "corrupt",
        "l-thin.png": "small",
    }
    assert {one.name for one in results if one.outcome == Outcome.FAILED} == {"f-cut.png", "k-empty.png"}
    _, rejected = rows(corpus)
    assert {one.name: one.kind for one in rejected} == found
    stored = {one.name: one for one in rejected}
    assert stored["g-small.png"].reason == "100 x 90 pixels become 96 x 80; 96 a side are needed"
    assert stored["l-thin.png"].reason == "9 x 180 pixels become 0 x 0; 96 a side are needed"
    assert "RGB and alpha" in stored["d-alpha.png"].reason and "0.05" in stored["h-large.png"].reason
    assert all(one.origin_sha256 for one in rejected)
    sha1 = next(one.image_sha1 for one in results if one.name == "a.png")
    for name, what in (("i-copy.png", "content"), ("j-same.bmp", "pixels after preprocessing")):
        (result,) = (one for one in results if one.name == name)
        assert result.same_as == "a.png of ramps" and result.image_sha1 == sha1
        assert result.reason == f"has the same {what} as what became {sha1}.png"
    assert not list(corpus.folder.glob("originals/*/*.partial"))


def test_a_picture_of_another_source_is_still_a_duplicate(corpus: Corpus, photos: Path) -> None:
    take(corpus, photos / "a.png")
    (result,) = take(corpus, photos / "a.png", about=replace(ABOUT, source="other"))
    assert (result.outcome, result.kind) == (Outcome.REJECTED, "duplicate")
    assert result.same_as == "a.png of ramps"


def test_the_same_pixels_in_a_png_of_another_writer_are_a_duplicate(corpus: Corpus, photos: Path) -> None:
    take(corpus, photos / "a.png")
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(image_sha1="0" * 40, origin_sha256="0" * 64))
    (result,) = take(corpus, photos / "a.png")
    assert (result.kind, result.image_sha1) == ("duplicate", "0" * 40)


def test_only_a_few_files_are_read_ahead(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def examine(found: Found, **_: object) -> Examined:
        asked.append(found.name)
        return Examined(refusal=Refusal.SMALL, reason="for a test")

    monkeypatch.setattr("miscomp.corpus.intake.add.examine", examine)
    work = add_pictures(corpus, [Found(tmp_path, str(number)) for number in range(50)], ABOUT, jobs=3)
    assert next(work).name == "0"
    work.close()
    assert 1 <= len(asked) <= 6


def test_a_removed_picture_never_comes_back_and_its_name_is_not_recorded_again(corpus: Corpus, photos: Path) -> None:
    (first,) = take(corpus, photos / "a.png")
    corpus.original(first.image_sha1).unlink()
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(removed="2025-11-01T00:00:00Z", name=""))
    Image.fromarray(picture(1)).save(photos / "person.bmp")
    for _ in range(2):
        results = take(corpus, photos / "a.png", photos / "person.bmp")
        assert [one.kind for one in results] == ["removed", "removed"]
    assert not corpus.original(first.image_sha1).exists()
    _, rejected = rows(corpus)
    assert [(one.name, one.kind) for one in rejected] == [("", "removed")] * 2


def test_a_rejection_is_dropped_when_the_settings_let_the_picture_in(corpus: Corpus, photos: Path) -> None:
    (photos / "small.png").write_bytes(png(picture(1, width=60, height=60)))
    assert by_name(take(corpus, photos / "small.png")) == {"small.png": ("rejected", "small")}
    wider = open_corpus(corpus.folder, config=small_config(images={"min_side": 32}))
    assert by_name(take(wider, photos / "small.png")) == {"small.png": ("added", "")}
    assert rows(corpus)[1] == []


def test_a_file_that_is_repaired_is_taken_and_its_failure_forgotten(corpus: Corpus, photos: Path) -> None:
    path = photos / "a.png"
    content = path.read_bytes()
    path.unlink()
    path.symlink_to(photos / "gone.png")
    (missing,) = take(corpus, path)
    assert missing.outcome == Outcome.FAILED and "does not exist" in missing.reason
    assert [one.origin_sha256 for one in rows(corpus)[1]] == [""]
    path.unlink()
    path.write_bytes(content)
    assert by_name(take(corpus, path)) == {"a.png": ("added", "")}
    assert rows(corpus)[1] == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_rejected_and_can_be_stored(corpus: Corpus, photos: Path) -> None:
    (photos / os.fsdecode(b"\xff.png")).write_bytes(png(picture(9)))
    results = take(corpus, photos)
    assert results[-1].kind == "name" and len(results) == 4
    assert [one.name for one in rows(corpus)[1]] == ["⟨U+DCFF⟩.png"]


def test_rows_do_not_depend_on_the_number_of_jobs(tmp_path: Path, photos: Path) -> None:
    for number in range(6):
        (photos / f"{number}.png").write_bytes(png(picture(number % 4)))
    made = []
    for jobs in (1, 4):
        corpus = create_corpus(tmp_path / f"corpus{jobs}", small_config(**IMAGES))
        results = take(corpus, photos, jobs=jobs)
        made.append(([asdict(one) for one in results], rows(corpus)))
    assert made[0] == made[1]
    assert {one["outcome"] for one in made[0][0]} == {Outcome.ADDED, Outcome.REJECTED}


def test_a_dry_run_says_the_same_and_writes_nothing(corpus: Corpus, photos: Path) -> None:
    (photos / "copy.png").write_bytes((photos / "a.png").read_bytes())
    files = find_pictures([photos], corpus.folder).files
    dry = list(add_pictures(corpus, files, ABOUT, dry_run=True))
    assert rows(corpus) == ([], []) and not list(corpus.folder.glob("originals/*/*"))
    assert list(add_pictures(corpus, files, ABOUT)) == dry


def test_a_full_disk_stops_the_run_and_keeps_what_was_added(
    corpus: Corpus, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr("miscomp.corpus.intake.add.os.fsync", full)
        with pytest.raises(InputError, match=r"No space left on device; what was added before stays"):
            take(corpus, photos, jobs=2)
    assert len(rows(corpus)[0]) == 1 and not list(corpus.folder.glob("originals/*/*.partial"))
    assert [one.outcome for one in take(corpus, photos)] == [Outcome.PRESENT, Outcome.ADDED, Outcome.ADDED]


def test_a_file_without_a_row_is_taken_again_even_if_it_is_cut_off(corpus: Corpus, photos: Path) -> None:
    (result,) = add_pictures(corpus, find_pictures([photos / "a.png"], corpus.folder).files, ABOUT, dry_run=True)
    orphan = corpus.original(result.image_sha1)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    take(corpus, photos / "a.png")
    assert hashlib.sha1(orphan.read_bytes()).hexdigest() == result.image_sha1


_RUN = """
import sys
from pathlib import Path
from miscomp.corpus.intake.add import add_pictures
from miscomp.corpus.corpus import open_corpus
from miscomp.corpus.intake.files import find_pictures
from miscomp.corpus.intake.outcome import Provenance
corpus, photos = map(Path, sys.argv[1:])
about = Provenance(source="ramps", licence="CC0-1.0", split="train")
opened = open_corpus(corpus)
for result in add_pictures(opened, find_pictures([photos], corpus).files, about, jobs=2):
    if result.outcome == "added":
        print(flush=True)
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.png").write_bytes(png(picture(number)))
    whole, killed = (create_corpus(tmp_path / name, small_config(**IMAGES)) for name in ("whole", "killed"))
    take(whole, folder)
    rng = random.Random(1)
    counts = []
    seen = 0
    for _ in range(3):
        command = [sys.executable, "-c", _RUN, str(killed.folder), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(rng.randint(1, 6)):
                seen += len(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        counts.append(len(rows(killed)[0]))
        assert counts[-1] >= seen >= 1  # what was yielded is there to stay
        for one in rows(killed)[0]:
            content = killed.original(one.image_sha1).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one.sha256
    assert counts == sorted(counts)
    take(killed, folder)
    assert rows(killed) == rows(whole)
    files = [{path.name for path in one.folder.glob("originals/*/*")} for one in (killed, whole)]
    assert files[0] == files[1]


def test_files_are_found_by_suffix_in_order_and_the_rest_is_counted(tmp_path: Path) -> None:
    photos, corpus = tmp_path / "photos", tmp_path / "photos" / "corpus"
    for name in ("b/x.PNG", "a.jpeg", "b/y.nef", "z.gif", "README", ".hidden.png", ".git/c.png", "corpus/d.png"):
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (photos / "link").symlink_to(photos / "b", target_is_directory=True)
    listing = find_pictures([photos, photos / "b" / ".." / "a.jpeg"], corpus)
    assert [one.name for one in listing.files] == ["a.jpeg", "b/x.PNG"] and not listing.problems
    assert listing.passed_over == {".gif": 1, ".nef": 1, "linked folder": 1, "without suffix": 1}
    assert [one.name for one in find_pictures([photos], corpus, recursive=False).files] == ["a.jpeg"]
    with pytest.raises(UsageError, match="inside the corpus"):
        find_pictures([corpus], corpus)


def test_sources_without_pictures_are_problems_and_links_in_a_circle_are_files_that_fail(
    corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    sources = [tmp_path / "empty", tmp_path / "circle.png", tmp_path / "mistyped"]
    listing = find_pictures(sources, corpus.folder)
    assert [one.problem.split(";")[0] for one in listing.problems] == ["holds no further picture", "does not exist"]
    assert listing.files == (Found(tmp_path / "circle.png", "circle.png"),)
    (result,) = add_pictures(corpus, listing.files, ABOUT)
    assert result.outcome == Outcome.FAILED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": ""}, "the source is empty"),
        ({"licence": ""}, "the licence is empty"),
        ({"split": " test"}, "the split ' test' cannot"),
        ({"licence": "two\nlines"}, "the licence"),
        ({"source": "\u202egnp"}, "⟨U\\+202E⟩"),
        ({"source": "x" * 501}, "at most 500"),
    ],
)
def test_where_photographs_come_from_must_be_said_in_one_plain_line(values: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Provenance(**{"source": "s", "licence": "l", **values})


def test_pictures_that_an_import_knows_only_by_name_equal_nothing(corpus: Corpus, photos: Path) -> None:
    take(corpus, photos / "a.png")
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(origin_sha256="", pixel_sha256=""))
        (first,) = fetch(connection, SourceImage)
        add(connection, [replace(first, image_sha1="0" * 40)])
    assert by_name(take(corpus, photos / "c.tif")) == {"c.tif": ("added", "")}
    assert by_name(take(corpus, photos / "a.png")) == {"a.png": ("rejected", "duplicate")}


def test_a_colour_profile_is_converted_and_noted(corpus: Corpus, tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    Image.fromarray(picture(1)).save(file, format="PNG", icc_profile=profile[:200])
    (tmp_path / "x.png").write_bytes(file.getvalue())
    (result,) = take(corpus, tmp_path / "x.png")
    (row,), _ = rows(corpus)
    assert row.note == result.note and "profile is damaged and was ignored" in row.note
