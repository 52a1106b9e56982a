"""A foreign release becomes rows of a corpus; the oracle is what the imitation was made of, see `fakes/release.py`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from corpora import small_config, small_corpus
from release import BOX_HEADER, BOXES, HEIGHT, IMAGE_HEADER, SPELLED, WIDTH, Release, imitation, write_rows

from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import LabelEvent, ModelEntry, MultiFlag, Reconstruction, Seen, SourceImage
from miscomp.corpus.imports.mapping import Mapping, default_text, read_mapping
from miscomp.corpus.imports.plan import Plan
from miscomp.corpus.imports.run import Request, apply_plan, differences, plan_import
from miscomp.corpus.labels import annotation_rows, current_labels, image_rows, model_rows, multi_pairs, view_rows
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import add, fetch
from miscomp.errors import InputError, TableError, UsageError
from miscomp.records import Annotation, ImageRow, ModelRow, View, display_id
from miscomp.tables import read, write


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return imitation(tmp_path / "release")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return create_corpus(tmp_path / "corpus", PROFILES["sclic"].config())


def take(corpus: Corpus, release: Release | Path, *, mapping: Mapping | None = None, **request: object) -> Plan:
    folder = release.folder if isinstance(release, Release) else release
    wanted = Request(release=folder, **request)  # type: ignore[arg-type]
    plan = plan_import(corpus, wanted, mapping or read_mapping()).plan
    apply_plan(corpus, plan)
    return plan


def labels(corpus: Corpus) -> list[LabelEvent]:
    with corpus.reading() as connection:
        return current_labels(connection)


def rows(corpus: Corpus, record: type) -> list:  # type: ignore[type-arg]
    with corpus.reading() as connection:
        return fetch(connection, record)


def reasons(plan: Plan) -> str:
    return "\n".join(map(str, plan.problems))


def test_an_imitation_of_the_release_becomes_images_reconstructions_models_and_labels(
    corpus: Corpus, release: Release
) -> None:
    plan = take(corpus, release)

    assert plan.problems == []
    assert {one.image_sha1 for one in rows(corpus, SourceImage)} == {*release.sha1s}
    made = rows(corpus, Reconstruction)
    assert Counter(one.model for one in made) == dict.fromkeys(SPELLED, 3)
    assert {(one.width, one.height, one.psnr, one.ssim, one.ms_ssim) for one in made} == {
        (WIDTH, HEIGHT, 28.5, 0.91, 0.97)
    }
    assert {one.stream_file for one in made} == {""}  # nothing says where a compressed file is
    drawn = labels(corpus)
    assert Counter(one.model for one in drawn) == {"03L": 6, "05L": 6, "06L": 6, "06H": 3}
    assert {(one.x, one.y, one.w, one.h) for one in drawn} == {(one.x, one.y, one.w, one.h) for one in BOXES}
    assert {(one.labeler, one.origin, one.time) for one in drawn} == {("sclic", "person", "")}
    assert all(one.id == display_id(one.image_sha1, one.model, one.annotation.box) for one in drawn)
    assert {(one.model, one.codec, one.codec_name, one.spec) for one in rows(corpus, ModelEntry)} == {
        ("03L", "C3", "hific", ""),
        ("05L", "C5", "cdc", ""),
        ("06L", "C6", "jpeg-ai", ""),
        ("06H", "C6", "jpeg-ai", ""),
    }


def test_what_no_column_says_is_not_made_up(corpus: Corpus, release: Release) -> None:
    take(corpus, release)

    assert rows(corpus, Seen) == []
    (source,) = {(one.sha256, one.size_bytes, one.licence, one.split) for one in rows(corpus, SourceImage)}
    assert source == ("", 0, "", "")


def test_flags_on_a_picture_count_as_multi_miscompressions(corpus: Corpus, release: Release) -> None:
    take(corpus, release)

    with corpus.reading() as connection:
        assert multi_pairs(connection, []) == {(sha1, "06H") for sha1 in release.sha1s}


@pytest.mark.parametrize(
    ("text", "flagged", "kind", "note"),
    [
        ("", False, "", ""),
        ("False", False, "", ""),
        ("0.0", False, "", ""),
        ("3", True, "", ""),
        ("TRUE", True, "", ""),
        ("texture", True, "texture", ""),
        ("windows, many", True, "", "windows, many"),
    ],
)
def test_a_flag_may_be_yes_a_count_a_kind_or_words(
    corpus: Corpus, release: Release, text: str, flagged: bool, kind: str, note: str
) -> None:
    for row in release.images:
        row[-1] = "0"
    release.images[0][-1] = text
    release.write()

    take(corpus, release)

    found = [(one.kind, one.note) for one in rows(corpus, MultiFlag) if one.multi]
    assert found == ([(kind, note)] if flagged else [])


def test_importing_twice_adds_nothing(corpus: Corpus, release: Release) -> None:
    first = take(corpus, release)
    second = take(corpus, release)

    assert sum(first.rows.values()) > 0
    assert sum(second.rows.values()) == 0
    assert second.problems == []
    assert second.there == {"reconstructions": 12, "annotations": 21, "flags": 3}
    assert len(labels(corpus)) == 21


def test_a_box_that_was_deleted_since_does_not_come_back(corpus: Corpus, release: Release) -> None:
    take(corpus, release)
    gone = labels(corpus)[0]
    values = {name: getattr(gone, name) for name in LabelEvent.__dataclass_fields__}
    with corpus.writing() as connection:
        add(connection, [LabelEvent(**{**values, "uuid": "1" * 32, "action": "delete", "replaces": gone.uuid})])

    take(corpus, release)

    assert gone.id not in {one.id for one in labels(corpus)}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_be_shuffled_and_spelled_otherwise(corpus: Corpus, release: Release, delimiter: str) -> None:
    order = [3, 0, 6, 2, 5, 1, 4]
    release.boxes[:] = [[row[place] for place in order] for row in release.boxes]
    spelled = ["bbox_x", "annotation id", "BBOX-H", "compression_model", "Bbox W", "FILE NAME", "y"]
    release.write(box_header=spelled, delimiter=delimiter)

    plan = take(corpus, release)

    assert plan.problems == []
    assert len(labels(corpus)) == 21


def test_decimal_commas_are_read_where_cells_are_divided_otherwise(corpus: Corpus, release: Release) -> None:
    release.images[0][6] = "31,25"
    release.boxes[0][3] = "4,0"
    release.write(delimiter=";")

    plan = take(corpus, release)

    assert plan.problems == []
    assert 31.25 in {one.psnr for one in rows(corpus, Reconstruction)}


def test_a_decimal_comma_in_a_comma_table_is_an_error_of_its_row(corpus: Corpus, release: Release) -> None:
    release.images[0][6] = "31,25"
    release.write()

    assert "psnr needs a number, got '31,25'" in reasons(take(corpus, release))


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (3, "-1", "x, y >= 0"),
        (5, "0", "w, h >= 1"),
        (5, "61", "reaches outside the image of 64 x 48"),
        (3, "4.5", "x needs a whole number, got '4.5'"),
        (3, "nan", "x needs a whole number, got 'nan'"),
        (3, "1e1", "x needs a whole number"),
        (3, "9" * 40, "x needs a whole number"),
        (3, "\u0664", "x needs a whole number"),
        (2, "VVC", "model 'VVC' is not known"),
        (1, "photo.png", "not made of 40 hex digits"),
        (1, "f" * 40, "there is no reconstruction"),
    ],
)
def test_a_wrong_box_is_listed_with_file_line_and_value_and_the_others_are_taken(
    corpus: Corpus, release: Release, column: int, text: str, said: str
) -> None:
    release.boxes[4][column] = text
    release.write()

    plan = take(corpus, release)

    (problem,) = plan.problems
    assert (problem.file, problem.line) == (str(release.box_table), 6)
    assert said in problem.reason
    assert len(labels(corpus)) == 20


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (1, "0", "got 0 x 48"),
        (1, "65", "the same image by another model"),
        (5, "-0.1", "bpp must be positive"),
        (6, "nine", "psnr needs a number, got 'nine'"),
        (7, "1.2", "ssim must lie in [-1, 1]"),
        (9, "many", "annotations needs a number"),
        (4, "VVC", "model 'VVC' is not known"),
    ],
)
def test_a_wrong_image_row_is_listed_with_its_value(
    corpus: Corpus, release: Release, column: int, text: str, said: str
) -> None:
    release.images[5][column] = text
    release.write()

    plan = take(corpus, release)

    assert f"{release.image_table}, line 7: " in reasons(plan)
    assert said in reasons(plan)
    assert len(rows(corpus, Reconstruction)) == 11


def test_rows_that_stand_twice_are_taken_once_and_listed(corpus: Corpus, release: Release) -> None:
    release.images.append(list(release.images[0]))
    release.boxes.append(list(release.boxes[0]))
    release.write()

    plan = take(corpus, release)

    assert "line 14" in reasons(plan)
    assert "was there before, in line 2" in reasons(plan)
    assert "stands twice" in reasons(plan)
    assert (len(rows(corpus, Reconstruction)), len(labels(corpus))) == (12, 21)


def test_a_row_with_too_few_cells_is_listed(corpus: Corpus, release: Release) -> None:
    release.boxes[2] = release.boxes[2][:-1]
    release.write()

    assert "has 6 cells, the header has 7" in reasons(take(corpus, release))


def test_missing_values_of_measures_are_none(corpus: Corpus, release: Release) -> None:
    for row, text in zip(release.images, ["", "NaN", "n/a", "-"], strict=False):
        row[6] = text
    release.images[4][6] = "inf"
    release.write()

    plan = take(corpus, release)

    assert plan.problems == []
    assert Counter(one.psnr for one in rows(corpus, Reconstruction)) == {None: 4, 28.5: 7, float("inf"): 1}


def test_counts_that_are_not_those_of_the_boxes_are_told(corpus: Corpus, release: Release) -> None:
    release.images[0][9] = "7"
    release.write()

    (note,) = take(corpus, release).notes["images whose number of annotations is not that of the boxes"]

    assert note == f"line 2: {release.sha1s[0][:8]}-03L states 7, has 2"


def test_ids_made_in_another_way_are_told_and_kept(corpus: Corpus, release: Release) -> None:
    foreign = f"{release.sha1s[0][:8]}-03L-00000000"
    release.boxes[0][0] = foreign
    release.write()

    plan = take(corpus, release)

    assert plan.problems == []
    assert any(foreign in example for examples in plan.notes.values() for example in examples)
    assert [one.note for one in labels(corpus) if one.note] == [f"id in the release: {foreign}"]


def test_a_model_that_the_id_contradicts_is_tolerated(corpus: Corpus, release: Release) -> None:
    # In the paper's Table 5 two ids name another model than the column beside them.
    release.boxes[0][0] = release.boxes[0][0].replace("-03L-", "-01L-")
    release.write()

    plan = take(corpus, release)

    assert plan.problems == []
    assert Counter(one.model for one in labels(corpus))["03L"] == 6


def test_codec_and_rate_may_stand_in_two_columns(corpus: Corpus, release: Release) -> None:
    for row in release.images:
        row[4:5] = [row[4]]
    pairs = {"HiFiC lo": ("HiFiC", "low"), "CDC 2048": ("C5", "lo"), "6L": ("C6", "L")}
    pairs |= {"JPEG-AI 0.75bpp": ("JPEG AI", "high")}
    release.images[:] = [[*row, pairs[row[4]][1]] for row in release.images]
    release.boxes[:] = [[*row, pairs[row[2]][1]] for row in release.boxes]
    for row, place in [*((row, 4) for row in release.images), *((row, 2) for row in release.boxes)]:
        row[place] = pairs[row[place]][0]
    release.write(image_header=[*IMAGE_HEADER, "rate"], box_header=[*BOX_HEADER, "rate"])

    plan = take(corpus, release)

    assert plan.problems == []
    assert Counter(one.model for one in labels(corpus)) == {"03L": 6, "05L": 6, "06L": 6, "06H": 3}


def test_a_column_that_says_what_was_viewed_becomes_views(corpus: Corpus, release: Release) -> None:
    release.images[:] = [[*row, "yes" if number < 5 else "no"] for number, row in enumerate(release.images)]
    release.write(image_header=[*IMAGE_HEADER, "viewed"])

    take(corpus, release)

    assert len(rows(corpus, Seen)) == 5
    assert {(one.labeler, one.opened, one.batch) for one in rows(corpus, Seen)} == {("sclic", "", "")}


def test_unknown_columns_are_told(corpus: Corpus, release: Release) -> None:
    release.images[:] = [[*row, "4"] for row in release.images]
    release.write(image_header=[*IMAGE_HEADER, "LPIPS"])

    plan = take(corpus, release)

    assert plan.notes[f"columns of {release.image_table} that were not used"] == ["LPIPS"]


def test_a_missing_column_is_an_error_that_lists_headers_accepted_names_and_the_way_out(
    corpus: Corpus, release: Release
) -> None:
    release.write(box_header=["ID", "Filename", "Compression Model", "posx", "Y", "Width", "Height"])

    with pytest.raises(TableError) as found:
        take(corpus, release, annotations=release.box_table)

    for part in ("no column for x", "posx", "bbox_x", "--write-mapping", "--mapping", "[annotations]"):
        assert part in str(found.value)
    assert labels(corpus) == []


def test_an_edited_mapping_understands_other_headers_and_models(
    corpus: Corpus, release: Release, tmp_path: Path
) -> None:
    for row in release.boxes:
        row[2] = row[2].replace("HiFiC lo", "gan-small")
    release.write(box_header=["ID", "Filename", "Compression Model", "posx", "Y", "Width", "Height"])
    path = tmp_path / "mapping.toml"
    text = default_text().replace('x = ["x",', 'x = ["posx", "x",').replace('"HiFiC lo",', '"HiFiC lo", "GAN small",')
    path.write_text(text, encoding="utf-8")

    plan = take(corpus, release, mapping=read_mapping(path))

    assert plan.problems == []
    assert len(labels(corpus)) == 21


def test_several_tables_that_could_be_it_are_an_error_that_names_them(corpus: Corpus, release: Release) -> None:
    (release.folder / "copy.csv").write_bytes(release.box_table.read_bytes())

    with pytest.raises(TableError, match=r"several tables.*copy\.csv.*--annotations"):
        take(corpus, release)

    plan = take(corpus, release, annotations=release.box_table, images=release.image_table)
    assert plan.rows["annotations"] == 21


def test_a_folder_without_tables_says_what_was_looked_for(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(TableError, match=r"no CSV file in it.*--annotations FILE"):
        take(corpus, tmp_path / "empty")


def test_nothing_is_written_where_a_table_breaks_off(corpus: Corpus, release: Release) -> None:
    with release.box_table.open("a", encoding="utf-8") as file:
        file.write('"never closed')

    with pytest.raises(TableError, match="cannot be read as a table"):
        take(corpus, release)

    assert rows(corpus, SourceImage) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfea\x00", "is not UTF-8"),
        (b"x" * (2**20 + 2), "has a line of more than"),
        (b"filename,model,x,y,w,h\n" + b'"' + b"x" * 140_000 + b'",,,,,\n', "cells have up to"),
        (b"filename,model,x,x,y,w,h\n", "several columns called x"),
    ],
)
def test_a_file_that_is_no_table_is_an_error_of_its_own(
    corpus: Corpus, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "annotations.csv"
    path.write_bytes(content)

    with pytest.raises(TableError, match=said):
        plan_import(corpus, Request(annotations=path), read_mapping())


def test_a_zero_byte_is_an_error_of_its_row(corpus: Corpus, release: Release) -> None:
    release.images[0][3] = "RA\0ISE"
    release.write()

    assert "holds a zero byte" in reasons(take(corpus, release))


def test_a_corpus_that_uses_the_names_for_other_codecs_is_refused(tmp_path: Path, release: Release) -> None:
    other = create_corpus(tmp_path / "other", PROFILES["builtin"].config())

    with pytest.raises(UsageError, match=r"calls avif 03L, in the tables that is hific.*--profile sclic"):
        take(other, release)


def test_totals_are_compared_with_what_the_paper_states(corpus: Corpus, release: Release) -> None:
    told = differences(take(corpus, release), read_mapping())

    assert "annotations: 21 good rows, 18019 in SCLIC 1.0 as its paper states it" in told
    assert "images: 12 good rows, 18756 in SCLIC 1.0 as its paper states it" in told
    assert "annotations of 03L: 6 good rows, 4990 in SCLIC 1.0 as its paper states it" in told
    assert not any("viewed" in line for line in told)  # no column says what was viewed


def exported(corpus: Corpus, folder: Path) -> tuple[list[Annotation], list[ImageRow], list[ModelRow], list[View]]:
    """Write a corpus' tables as its export does, and return them."""
    folder.mkdir(exist_ok=True)
    with corpus.reading() as connection:
        drawn = current_labels(connection)
        write(folder / "annotations.csv", Annotation, annotation_rows(drawn))
        write(folder / "images.csv", ImageRow, image_rows(connection, drawn))
        write(folder / "models.csv", ModelRow, model_rows(connection))
        write(folder / "views.csv", View, view_rows(connection))
    return (
        read(folder / "annotations.csv", Annotation),
        read(folder / "images.csv", ImageRow),
        read(folder / "models.csv", ModelRow),
        read(folder / "views.csv", View),
    )


def test_tables_that_miscomp_wrote_come_back_without_loss(tmp_path: Path) -> None:
    first = small_corpus(tmp_path / "first")
    event = labels(first)[0]
    values = {name: getattr(event, name) for name in LabelEvent.__dataclass_fields__}
    changed = {"uuid": "2" * 32, "action": "change", "replaces": event.uuid, "note": "=SUM(1)", "score": 0.1}
    with first.writing() as connection:
        add(connection, [LabelEvent(**{**values, **changed})])
    before = exported(first, tmp_path / "tables")
    second = create_corpus(tmp_path / "second", small_config())

    plan = take(second, tmp_path / "tables")

    assert plan.problems == []
    assert exported(second, tmp_path / "again") == before
    for name in ("annotations.csv", "images.csv", "models.csv", "views.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "tables" / name).read_bytes()


def test_tables_come_back_into_their_own_corpus_as_nothing_new(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    exported(corpus, tmp_path / "tables")

    plan = take(corpus, tmp_path / "tables")

    assert plan.problems == []
    assert sum(plan.rows.values()) == 0


def test_a_table_of_annotations_alone_is_added_to_the_pictures_that_are_there(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", labels=False)
    sha1 = rows(corpus, SourceImage)[0].image_sha1
    found = Annotation(
        id="a",
        filename="street.png",
        image_sha1=sha1,
        model="jpeg@q10",
        x=1,
        y=2,
        w=30,
        h=40,
        labeler="miscomp",
        origin="detector",
        score=0.75,
    )
    write(tmp_path / "annotations.csv", Annotation, [found])

    plan = plan_import(corpus, Request(annotations=tmp_path / "annotations.csv"), read_mapping()).plan
    apply_plan(corpus, plan)

    assert plan.problems == []
    (label,) = labels(corpus)
    # The audit wrote the codec as the corpus' settings write it; here the model is called 01L.
    assert (label.image_sha1, label.model, label.labeler, label.origin, label.score) == (
        sha1,
        "01L",
        "miscomp",
        "detector",
        0.75,
    )
    assert label.filename == f"{sha1}.png"


def test_boxes_of_a_model_that_is_another_codec_here_are_refused(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", labels=False)  # its 01L is JPEG
    sha1 = rows(corpus, SourceImage)[0].image_sha1
    table = [["filename", "model", "x", "y", "w", "h"], [sha1, "C1-lo", "1", "2", "3", "4"]]
    write_rows(tmp_path / "boxes.csv", table)

    with pytest.raises(UsageError, match="calls jpeg 01L, in the tables that is bmshj2018-hyperprior"):
        plan_import(corpus, Request(annotations=tmp_path / "boxes.csv"), read_mapping())


def test_an_imported_corpus_can_be_exported_and_imported_again(
    corpus: Corpus, release: Release, tmp_path: Path
) -> None:
    take(corpus, release)
    before = exported(corpus, tmp_path / "tables")
    second = create_corpus(tmp_path / "second", PROFILES["sclic"].config())

    plan = take(second, tmp_path / "tables")

    assert plan.problems == []
    assert exported(second, tmp_path / "again") == before
    assert rows(second, ModelEntry) == rows(corpus, ModelEntry)


def test_annotations_without_a_model_take_the_one_that_is_given(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", labels=False)
    name = rows(corpus, SourceImage)[0].name
    write_rows(tmp_path / "boxes.csv", [["image", "x", "y", "w", "h"], [name, "1", "2", "3", "4"]])
    request = Request(annotations=tmp_path / "boxes.csv", model="02H", labeler="eve")

    apply_plan(corpus, plan_import(corpus, request, read_mapping()).plan)

    assert [(one.model, one.labeler, one.w) for one in labels(corpus)] == [("02H", "eve", 3)]


def test_a_box_that_stands_with_other_values_is_listed_and_stays_as_it_is(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    drawn, *_ = exported(corpus, tmp_path / "tables")
    other = replace(drawn[0], category="GEOMETRY")
    write(tmp_path / "one.csv", Annotation, [other])

    plan = plan_import(corpus, Request(annotations=tmp_path / "one.csv"), read_mapping()).plan

    assert "is in the corpus with other values" in reasons(plan)
    assert plan.rows["annotations"] == 0


def test_twenty_thousand_boxes_are_planned_and_written_in_seconds(corpus: Corpus, release: Release) -> None:
    header = ["filename", "model", "width", "height"]
    sha1s = [f"{number:040x}" for number in range(1000)]
    write_rows(release.image_table, [header, *([one, "06L", "640", "480"] for one in sha1s)])
    boxes = ([one, "06L", str(x), str(y), "9", "9"] for one in sha1s for x in range(5) for y in range(4))
    write_rows(release.box_table, [["filename", "model", "x", "y", "w", "h"], *boxes])

    start = time.perf_counter()
    plan = take(corpus, release)
    seconds = time.perf_counter() - start

    assert plan.rows["annotations"] == 20_000
    assert seconds < 30  # about 2 on one core


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('y = ["y",', 'y = ["x",', "takes 'x' for both x and y"),
        ('"6L"', '"5L"', "for both"),
        ("{model}/{sha1}.png", "../{sha1}.png", "stays in it"),
        ("{model}/{sha1}.png", "{model.__class__}/{sha1}", "knows no"),
        ('labeler = ["labeler"', 'labelled_by = ["labeler"', r"\[annotations\] has labelled_by"),
        ("[values]", "[valuess]", "valuess"),
        ("[values]", "[values", "cannot be read as a mapping"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in default_text()
    path = tmp_path / "mapping.toml"
    path.write_text(default_text().replace(old, new, 1), encoding="utf-8")

    with pytest.raises(InputError, match=said):
        read_mapping(path)
