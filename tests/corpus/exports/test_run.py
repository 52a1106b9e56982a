"""What an export holds as a whole: files, hashes, pixels, resumption. Oracles: `sha256sum`, the bytes of the corpus."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from corpora import LABELERS, MODELS, TIME, label, small_corpus
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus, meta, open_corpus, original_file, reconstruction_file
from miscomp.corpus.entries import Copied, SourceImage
from miscomp.corpus.exports import run as driver
from miscomp.corpus.exports.catalog import EXPORTS
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import Exported, export_corpus
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.schema import IMAGE, META, RECONSTRUCTION, add, fetch
from miscomp.errors import InputError, MissingExtra, UnknownName, UsageError
from miscomp.records import Box
from miscomp.registry import load

ALL = EXPORTS.names
TEXTS = ("tables", "coco", "datasheet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.mktemp("corpora") / "corpus", images=2).folder


@pytest.fixture
def corpus(tmp_path: Path, made: Path) -> Corpus:
    return open_corpus(Path(shutil.copytree(made, tmp_path / "corpus")))


def export(corpus: Corpus, folder: Path, **options: object) -> Exported:
    return export_corpus(corpus, folder, ExportOptions(**options))  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sums_hold(folder: Path) -> bool:
    done = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    return done.returncode == 0


def pictures(corpus: Corpus) -> list[SourceImage]:
    with corpus.reading() as connection:
        return fetch(connection, SourceImage)


def test_every_format_names_a_function_that_can_be_called() -> None:
    for row in EXPORTS:
        assert callable(load(row.target)) and row.about
        assert not row.pictures or callable(load(row.pictures))


def test_sha256sum_agrees_and_lists_every_file(corpus: Corpus, tmp_path: Path) -> None:
    made = export(corpus, tmp_path / "out", formats=ALL, images="copy", streams=True)
    assert made.whole and made.pictures == 2 + 8 + 8 + 2 + 8
    assert sums_hold(tmp_path / "out")
    listed = {line[66:] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()}
    assert listed == {*contents(tmp_path / "out")} - {"SHA256SUMS"}
    (tmp_path / "out" / "coco.json").write_text("{}")
    assert not sums_hold(tmp_path / "out")


def test_pictures_are_those_of_the_corpus_under_their_published_names(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "out", formats=("tables",), images="copy")
    for picture in pictures(corpus):
        for name in (original_file(picture.image_sha1), reconstruction_file(picture.image_sha1, "01L")):
            assert (tmp_path / "out" / "images" / name).read_bytes() == (corpus.folder / name).read_bytes()
    assert not (tmp_path / "out" / "images" / "streams").exists()


def test_links_share_the_file_with_the_corpus(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "out", formats=("tables",), images="link")
    name = original_file(pictures(corpus)[0].image_sha1)
    assert (tmp_path / "out" / "images" / name).samefile(corpus.folder / name)
    assert sums_hold(tmp_path / "out")


def test_a_disk_that_cannot_link_is_told_of(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(UsageError, match="give --images copy"):
        export(corpus, tmp_path / "out", images="link", formats=("tables",))


def test_two_exports_of_one_corpus_have_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "one", formats=ALL, images="copy")
    export(corpus, tmp_path / "two", formats=ALL[::-1], images="copy")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_stopped_export_goes_on_and_is_not_taken_for_whole(corpus: Corpus, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def stop(done: int, total: int, name: str) -> None:
        if done == 5:
            raise Killed

    options = ExportOptions(formats=ALL, images="copy")
    with pytest.raises(Killed):
        export_corpus(corpus, tmp_path / "out", options, progress=stop)
    files = [path for path in (tmp_path / "out").rglob("*.png")]
    assert len(files) == 5 and not (tmp_path / "out" / "SHA256SUMS").exists()
    before = {path: path.stat().st_mtime_ns for path in files}
    export_corpus(corpus, tmp_path / "out", options)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    export_corpus(corpus, tmp_path / "whole", options)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_picture_that_was_damaged_in_the_folder_is_put_there_again(corpus: Corpus, tmp_path: Path) -> None:
    options = ExportOptions(formats=("tables",), images="copy")
    export_corpus(corpus, tmp_path / "out", options)
    path = next((tmp_path / "out" / "images").rglob("*.png"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] + bytes(20))
    assert export_corpus(corpus, tmp_path / "out", options).whole
    assert path.read_bytes() == whole


def test_what_people_filled_in_is_kept_and_its_sum_renewed_but_tables_are_not(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(corpus, out)
    table = (out / "annotations.csv").read_bytes()
    (out / "datasheet.md").write_text("filled in")
    (out / "annotations.csv").write_text("spoilt")
    export(corpus, out)
    assert (out / "datasheet.md").read_text() == "filled in"
    assert (out / "annotations.csv").read_bytes() == table and sums_hold(out)
    export(corpus, out, force=True)
    assert (out / "datasheet.md").read_text() != "filled in"


def test_a_folder_belongs_to_one_state_of_the_corpus(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(corpus, out, formats=TEXTS, images="copy")
    with corpus.writing() as connection:
        add(connection, [label(pictures(corpus)[1].image_sha1, "01H", Box(1, 2, 3, 4), "ann")])
    with pytest.raises(UsageError, match=r"state: .*--force"):
        export(corpus, out, formats=TEXTS, images="copy")
    with pytest.raises(UsageError, match=r'names: "hide", now "keep"'):
        export(corpus, out, formats=TEXTS, images="copy", names=True)
    assert sums_hold(out), "what was there is untouched"
    export(corpus, out, formats=("tables",), force=True)
    assert set(contents(out)) == {
        *(f"{name}.csv" for name in ("annotations", "images", "models", "views", "sources", "reviews", "flags")),
        *("settings.json", "SHA256SUMS"),
    }, "nothing of the earlier state stays"


def test_folders_with_other_files_are_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        export(corpus, tmp_path / "out")
    export(corpus, tmp_path / "out", formats=("tables",), force=True)
    (tmp_path / "out" / "mine.csv").write_text("mine")
    export(corpus, tmp_path / "out", formats=("coco",), force=True)
    assert {*contents(tmp_path / "out")} == {"mine.txt", "mine.csv", "coco.json", "settings.json", "SHA256SUMS"}


def test_damaged_and_missing_pictures_are_listed_and_the_export_is_not_whole(corpus: Corpus, tmp_path: Path) -> None:
    first, second = pictures(corpus)
    corpus.original(first.image_sha1).unlink()
    damaged = corpus.folder / reconstruction_file(second.image_sha1, "01H")
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + b"!")
    out = tmp_path / "out"
    made = export(corpus, out, formats=("tables",), images="copy")
    assert not made.whole and made.pictures == 2 + 8 - 2
    reasons = {one.name: one.reason for one in made.failures}
    assert "is not there" in reasons[f"images/{original_file(first.image_sha1)}"]
    assert "has SHA-256" in reasons[f"images/{reconstruction_file(second.image_sha1, '01H')}"]
    assert not (out / "SHA256SUMS").exists() and not list(out.rglob("*.partial"))
    assert not (out / "images" / reconstruction_file(second.image_sha1, "01H")).exists()


def test_files_that_lead_out_of_the_corpus_do_not_go_out(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    with corpus.writing() as connection:
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.model == "01L").values(file="../secret.png"))
    made = export(corpus, tmp_path / "out", formats=("tables",), images="copy")
    assert len(made.failures) == 2 and all("not one of the corpus" in one.reason for one in made.failures)


@pytest.mark.parametrize("name", ["../../evil", "a/b", ""])
def test_names_that_would_become_paths_are_refused(corpus: Corpus, tmp_path: Path, name: str) -> None:
    with corpus.writing() as connection:
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.model == "01L").values(model=name))
    with pytest.raises(InputError, match="a model's name needs"):
        export(corpus, tmp_path / "out", images="copy", formats=("tables",))
    assert not (tmp_path / "out").exists()


def test_removed_pictures_leave_rows_and_no_files(corpus: Corpus, tmp_path: Path) -> None:
    gone = next(one.image_sha1 for one in pictures(corpus) if one.split == "test")
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == gone).values(removed=TIME, name=""))
    out = tmp_path / "out"
    made = export(corpus, out, formats=ALL, images="copy", streams=True)
    assert made.whole and made.removed == 1
    assert not [path for path in contents(out) if gone in path]
    assert contents(out)["annotations.csv"].count(gone.encode()) == 16, "8 boxes, each with name and SHA-1"
    row = next(line for line in contents(out)["sources.csv"].decode().splitlines() if gone in line)
    assert row.endswith(",1")
    for name in ("coco.json", "data/train/metadata.jsonl"):
        assert gone.encode() not in contents(out)[name]


def test_where_pixels_went_is_remembered_once_and_tables_are_not(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "texts", formats=TEXTS)
    for _ in range(2):
        export(corpus, tmp_path / "out", formats=("tables",), images="copy")
    with corpus.reading() as connection:
        copied = fetch(connection, Copied)
    assert [(one.path, one.what) for one in copied] == [(str((tmp_path / "out").resolve()), "export")]


def test_labelers_have_pseudonyms_that_last_and_keep_their_names_on_demand(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "hidden", formats=(*TEXTS, "parquet", "croissant", "imagefolder"), images="copy")
    for name, content in contents(tmp_path / "hidden").items():
        if not name.endswith(".png"):
            assert not any(f'"{who}"'.encode() in content or f",{who},".encode() in content for who in LABELERS), name
    export(corpus, tmp_path / "named", formats=("tables",), labelers=True)
    assert b",ann," in contents(tmp_path / "named")["annotations.csv"]
    with corpus.writing() as connection:
        extra = label(pictures(corpus)[0].image_sha1, "02H", Box(0, 0, 9, 9), "aaron")
        machine = label(pictures(corpus)[0].image_sha1, "02H", Box(0, 0, 8, 8), "rules", origin="detector")
        add(connection, [extra, machine])
    export(corpus, tmp_path / "later", formats=("tables",))
    before = set(contents(tmp_path / "hidden")["annotations.csv"].decode().splitlines())
    later = set(contents(tmp_path / "later")["annotations.csv"].decode().splitlines())
    assert before < later and len(later - before) == 2
    assert any(",rules,detector," in line for line in later), "a detector is no person"


def test_file_names_go_out_only_on_demand(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "without")
    assert not any(b"ramp0.png" in content for content in contents(tmp_path / "without").values())
    export(corpus, tmp_path / "with", names=True)
    assert b",ramp0.png," in contents(tmp_path / "with")["sources.csv"]


def test_wrong_requests_are_refused_before_anything_is_written(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for kind, message, options in (
        (UnknownName, r"unknown format 'coko'.*Did you mean 'coco'", {"formats": ("coko",)}),
        (UsageError, "holds pictures; give --images", {"formats": ("imagefolder",)}),
        (UsageError, "--streams goes with pictures", {"streams": True}),
    ):
        with pytest.raises(kind, match=message):
            export(corpus, out, **options)
    for folder in (corpus.folder, corpus.folder / "out", tmp_path):
        with pytest.raises(UsageError, match="lie in each other"):
            export(corpus, folder)
    monkeypatch.setattr(driver, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"miscomp\[parquet\]"):
        export(corpus, out)
    assert not out.exists()


def test_a_disk_that_is_too_small_is_told_of_before_copying(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match="choose another disk"):
        export(corpus, tmp_path / "out", formats=("tables",), images="copy")
    assert not list((tmp_path / "out").rglob("*.png"))


def test_an_empty_corpus_and_rows_without_files_can_be_published(corpus: Corpus, tmp_path: Path) -> None:
    empty = small_corpus(tmp_path / "empty", images=0, labels=False)
    assert export(empty, tmp_path / "nothing", images="copy").whole
    with corpus.writing() as connection:
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.model == "02H").values(file=""))
    made = export(corpus, tmp_path / "out", formats=ALL, images="copy")
    assert made.whole and made.pictures == 2 * 2 * (1 + len(MODELS) - 1)


def test_the_same_pixels_have_the_same_sum_in_the_list_and_in_the_database(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "out", formats=("tables",), images="copy")
    sums = dict(line.split("  ")[::-1] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines())
    for one in pictures(corpus):
        content = (tmp_path / "out" / "images" / original_file(one.image_sha1)).read_bytes()
        assert sums[f"images/{original_file(one.image_sha1)}"] == one.sha256 == hashlib.sha256(content).hexdigest()


def test_what_is_hidden_cannot_be_tried_out_from_what_is_published(corpus: Corpus, tmp_path: Path) -> None:
    export(corpus, tmp_path / "out", formats=ALL, images="copy")
    with corpus.reading() as connection:
        secret = meta(connection, "secret")
    assert secret and not any(secret.encode() in content for content in contents(tmp_path / "out").values())
    state = json.loads((tmp_path / "out" / "settings.json").read_text())["state"]
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "secret").values(value="another"))
    assert take_snapshot(corpus).state != state, "without the secret the state cannot be computed"
