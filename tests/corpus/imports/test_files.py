"""Pictures of a release come in with their hashes; the oracle is hashlib over the imitation's own files."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import picture, png
from release import HEIGHT, WIDTH, Release, imitation

from miscomp.corpus.checks.removal import remove_picture
from miscomp.corpus.checks.verify import VerifyOptions, verify_corpus
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.imports import files as import_files
from miscomp.corpus.imports.files import Mode, Taken
from miscomp.corpus.imports.mapping import Mapping, default_text, read_mapping
from miscomp.corpus.imports.run import Request, apply_plan, plan_import
from miscomp.corpus.imports.run import import_files as take_in
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import fetch
from miscomp.errors import UsageError


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return imitation(tmp_path / "release", pictures=True)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return create_corpus(tmp_path / "corpus", PROFILES["sclic"].config())


def take(corpus: Corpus, folder: Path, *, mode: Mode = "copy", mapping: Mapping | None = None) -> Taken:
    names = mapping or read_mapping()
    planned = plan_import(corpus, Request(release=folder), names)
    apply_plan(corpus, planned.plan)
    return take_in(corpus, planned, folder, names, mode=mode)


def sources(corpus: Corpus) -> list[SourceImage]:
    with corpus.reading() as connection:
        return fetch(connection, SourceImage)


def made(corpus: Corpus) -> list[Reconstruction]:
    with corpus.reading() as connection:
        return fetch(connection, Reconstruction)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reasons(taken: Taken) -> str:
    return "\n".join(map(str, taken.problems))


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_pictures_lie_where_the_corpus_has_them_with_their_hashes(corpus: Corpus, release: Release, mode: Mode) -> None:
    taken = take(corpus, release.folder, mode=mode)

    assert taken.problems == []
    assert taken.files == {"originals": 3, "reconstructions": 12, "compressed": 6}
    for source in sources(corpus):
        path = corpus.original(source.image_sha1)
        assert (source.sha256, source.size_bytes) == (digest(path), path.stat().st_size)
        assert (path.stat().st_nlink == 2) is (mode == "link")
    for row in made(corpus):
        assert row.sha256 == digest(corpus.file(row.file))
        if row.model in ("06L", "06H"):
            path = corpus.file(row.stream_file)
            assert (row.stream_sha256, row.stream_bytes, path.suffix) == (digest(path), path.stat().st_size, ".bits")
    assert not list(corpus.folder.rglob("*.partial"))


def test_what_a_codec_did_not_write_is_a_note_and_no_problem(corpus: Corpus, release: Release) -> None:
    taken = take(corpus, release.folder)

    assert any("none of the 3 compressed of 05L was found" in note for note in taken.notes)
    assert {one.stream_file for one in made(corpus) if one.model == "05L"} == {""}


def test_one_file_that_lacks_among_others_is_a_problem(corpus: Corpus, release: Release) -> None:
    next((release.folder / "6L" / "reconstructed").rglob("*.png")).unlink()

    assert "1 of 3 reconstructions of 06L were not found" in reasons(take(corpus, release.folder))


def test_a_picture_of_another_size_is_refused(corpus: Corpus, release: Release) -> None:
    wrong = next((release.folder / "6L" / "reconstructed").rglob("*.png"))
    wrong.write_bytes(png(picture(1, width=WIDTH + 2, height=HEIGHT)))

    taken = take(corpus, release.folder)

    assert f"{wrong}: has 66 x 48 pixels, the table states 64 x 48" in reasons(taken)
    assert taken.files["reconstructions"] == 11
    assert sum(one.file == "" for one in made(corpus)) == 1


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40)])
def test_a_file_that_is_no_png_is_refused(corpus: Corpus, release: Release, content: bytes) -> None:
    next((release.folder / "6L" / "reconstructed").rglob("*.png")).write_bytes(content)

    assert "is no PNG" in reasons(take(corpus, release.folder))


def test_an_original_whose_content_is_not_its_name_is_refused_unless_names_are_only_names(
    corpus: Corpus, release: Release
) -> None:
    wrong = next((release.folder / "uncompressed").rglob("*.png"))
    wrong.write_bytes(png(picture(77, width=WIDTH, height=HEIGHT)))

    refused = take(corpus, release.folder)
    assert "which is not its name" in reasons(refused)
    assert refused.files["originals"] == 2

    text = default_text().replace("sha1_is_content = true", "sha1_is_content = false")
    path = release.folder / "names.toml"
    path.write_text(text, encoding="utf-8")
    assert take(corpus, release.folder, mapping=read_mapping(path)).files == {"originals": 1}


def test_a_symbolic_link_in_a_release_is_not_followed(corpus: Corpus, release: Release, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"of another folder")
    path = next((release.folder / "6L" / "compressed").rglob("*.bits"))
    path.unlink()
    path.symlink_to(secret)

    assert "is a symbolic link" in reasons(take(corpus, release.folder))


def test_a_rate_that_is_not_the_files_is_told(corpus: Corpus, release: Release) -> None:
    path = next((release.folder / "6L" / "compressed").rglob("*.bits"))
    path.write_bytes(bytes(600))

    (note,) = [one for one in take(corpus, release.folder).notes if "bpp" in one]

    assert note.startswith(f"{path}: 600 bytes are 1.5625 bpp, the table states 0.7")


def test_a_second_import_takes_only_what_is_not_here(corpus: Corpus, release: Release) -> None:
    hidden = release.folder / "6L"
    shutil.move(hidden, release.folder / "away")
    first = take(corpus, release.folder)
    shutil.move(release.folder / "away", hidden)

    second = take(corpus, release.folder)

    assert first.files == {"originals": 3, "reconstructions": 9, "compressed": 3}
    assert second.files == {"reconstructions": 3, "compressed": 3}
    assert sum(take(corpus, release.folder).files.values()) == 0


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_an_import_that_breaks_off_goes_on_where_it_stopped(
    corpus: Corpus, release: Release, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_mapping()
    planned = plan_import(corpus, Request(release=release.folder), names)
    apply_plan(corpus, planned.plan)
    # As a kill does it: files are in their places, their rows are not written.
    monkeypatch.setattr(import_files._Taker, "write", lambda taker: None)
    take_in(corpus, planned, release.folder, names, mode=mode)
    assert {one.file for one in made(corpus)} == {""}
    monkeypatch.undo()

    again = take(corpus, release.folder, mode=mode)

    assert again.problems == []
    assert all(one.sha256 == digest(corpus.file(one.file)) for one in made(corpus))
    assert not list(corpus.folder.rglob("*.partial"))


def test_pixels_of_a_removed_picture_do_not_come_back(corpus: Corpus, release: Release) -> None:
    take(corpus, release.folder)
    remove_picture(corpus, next(one for one in sources(corpus) if one.image_sha1 == release.sha1s[0]), "asked for")

    again = take(corpus, release.folder)

    assert sum(again.files.values()) == 0
    assert not corpus.original(release.sha1s[0]).exists()


def test_copies_that_do_not_fit_on_the_disk_are_not_begun(
    corpus: Corpus, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))

    with pytest.raises(UsageError, match="give --files link"):
        take(corpus, release.folder)

    assert not (corpus.folder / "originals").exists()


def test_a_model_folder_may_be_named_in_the_mapping(corpus: Corpus, release: Release) -> None:
    (release.folder / "C6").mkdir()
    shutil.move(release.folder / "6L", release.folder / "C6" / "small")
    text = default_text()
    place = text.index("folders = []", text.index("[models.06L]"))
    path = release.folder / "names.toml"
    path.write_text(text[:place] + 'folders = ["C6/small"]' + text[place + len("folders = []") :], encoding="utf-8")

    taken = take(corpus, release.folder, mapping=read_mapping(path))

    assert taken.files["reconstructions"] == 12


def test_an_exported_corpus_comes_back_with_its_pictures(corpus: Corpus, release: Release, tmp_path: Path) -> None:
    take(corpus, release.folder)
    options = ExportOptions(formats=("tables",), images="copy", streams=True, labelers=True, names=True)
    export_corpus(corpus, tmp_path / "export", options)
    second = create_corpus(tmp_path / "second", PROFILES["sclic"].config())

    taken = take(second, tmp_path / "export")

    assert taken.problems == []
    assert taken.files == {"originals": 3, "reconstructions": 12, "compressed": 6}
    kept = ("image_sha1", "sha256", "width", "height", "size_bytes", "name", "source", "licence", "split")
    before, after = ([[getattr(one, name) for name in kept] for one in sources(each)] for each in (corpus, second))
    assert after == before
    assert [(one.image_sha1, one.model, one.sha256, one.stream_sha256, one.bpp) for one in made(second)] == [
        (one.image_sha1, one.model, one.sha256, one.stream_sha256, one.bpp) for one in made(corpus)
    ]


@pytest.mark.parametrize("files", [False, True])
def test_verify_has_nothing_to_say_of_an_import_with_or_without_files(
    corpus: Corpus, release: Release, files: bool
) -> None:
    if files:
        take(corpus, release.folder)
    else:
        apply_plan(corpus, plan_import(corpus, Request(release=release.folder), read_mapping()).plan)
    write_manifest(corpus)

    report = verify_corpus(corpus, VerifyOptions(threads=1))

    assert [str(one) for one in report.faults] == []
    assert report.files == (21 if files else 0)


@pytest.mark.parametrize("written", [lambda bpp: f"{bpp:.2f}", lambda bpp: ""])
def test_a_rate_that_the_release_rounds_or_leaves_out_is_no_fault(
    corpus: Corpus, release: Release, written: Callable[[float], str]
) -> None:
    for row in release.images:
        row[5] = written(float(row[5]))
    release.write()
    assert not [one for one in take(corpus, release.folder).notes if "bpp" in one]
    write_manifest(corpus)

    assert [str(one) for one in verify_corpus(corpus, VerifyOptions(decode=True, threads=1)).faults] == []
    for one in made(corpus):
        if one.stream_bytes:
            assert one.bpp == pytest.approx(8 * one.stream_bytes / (WIDTH * HEIGHT), rel=0.01)


def test_a_picture_that_was_removed_before_it_was_published_stays_removed(
    corpus: Corpus, release: Release, tmp_path: Path
) -> None:
    take(corpus, release.folder)
    gone = sources(corpus)[0]
    content = corpus.original(gone.image_sha1).read_bytes()
    remove_picture(corpus, gone, "asked for")
    export_corpus(corpus, tmp_path / "export", ExportOptions(formats=("tables",), images="copy"))
    # A copy that somebody kept lies where the export would have had it.
    path = tmp_path / "export" / "images" / "originals" / gone.image_sha1[:2] / f"{gone.image_sha1}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    second = create_corpus(tmp_path / "second", PROFILES["sclic"].config())

    taken = take(second, tmp_path / "export")

    assert taken.files["originals"] == 2
    assert [one.image_sha1 for one in sources(second) if one.removed] == [gone.image_sha1]
