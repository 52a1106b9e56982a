"""Tables that screeners fill in: what is in them, what is taken from them, and what they decide in the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from screened import bare_corpus
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Copied, Decision, Meta, Suggestion
from miscomp.corpus.schema import IMAGE, add, fetch
from miscomp.corpus.screening.contact_sheet import Sheet, SheetOptions, write_sheet
from miscomp.corpus.screening.decisions import take, waiting, write_table
from miscomp.corpus.selection import Verdict, current, select_images, verdicts
from miscomp.errors import TableError, UsageError
from miscomp.images import read

Fill = Callable[..., Path]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return bare_corpus(tmp_path / "corpus", images=6)


@pytest.fixture
def names(corpus: Corpus) -> list[str]:
    with corpus.reading() as connection:
        return sorted(one.filename for one in waiting(connection, corpus.config, "ann"))


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    def write(*rows: str, header: str = "number,filename,choice,note", name: str = "filled.csv") -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join([header, *rows, ""]).encode())
        return path

    return write


def said(corpus: Corpus) -> dict[tuple[str, str], tuple[str, str]]:
    with corpus.reading() as connection:
        found = current(fetch(connection, Decision))
    return {(f"{sha1}.png", who): (one.choice, one.note) for (sha1, who), one in found.items()}


def sheet(corpus: Corpus, screener: str, folder: Path | None = None, **options: bool) -> Sheet:
    return write_sheet(corpus, screener, folder, options=SheetOptions(**options))


def order(path: Path) -> list[str]:
    return [line.split(",")[1] for line in path.read_text(encoding="ascii").splitlines()[1:]]


def test_a_written_table_filled_in_comes_back_as_decisions(corpus: Corpus) -> None:
    table = sheet(corpus, "ann").table
    lines = table.read_text(encoding="ascii").splitlines()
    assert lines[0] == "number,filename,choice,note" and len(lines) == 7
    assert all(re.fullmatch(rf"{number},[0-9a-f]{{40}}\.png,,", line) for number, line in enumerate(lines[1:], 1))
    table.write_text("\n".join([lines[0], *(line[:-1] + "include,a boat" for line in lines[1:])]), encoding="ascii")
    taken = take(corpus, table, "ann")
    assert taken.stored == {"include": 6, "borderline": 0, "exclude": 0} and taken.faults == ()
    assert {*said(corpus).values()} == {("include", "a boat")}


GIVEN = {"include": "include", "I": "include", " Borderline ": "borderline", "b": "borderline", "EXCLUDE": "exclude"}


@pytest.mark.parametrize(("text", "choice"), [*GIVEN.items(), ("e", "exclude")])
def test_choices_are_taken_in_any_case_and_by_their_first_letter(
    corpus: Corpus, names: list[str], fill: Fill, text: str, choice: str
) -> None:
    take(corpus, fill(f"1,{names[0]},{text},"), "ann")
    assert said(corpus) == {(names[0], "ann"): (choice, "")}


SAVED: dict[str, Callable[[str], bytes]] = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs in UTF-16": lambda text: text.replace(",", "\t").encode("utf-16"),
    "other line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "everything quoted": lambda text: re.sub(r"[^,\n]+", lambda cell: f'"{cell[0]}"', text).encode(),
    "empty columns and rows": lambda text: (text.replace("\n", ",,\n") + ",,,,,\n\n  ,,,,,\n").encode(),
    "numbers filled downwards": lambda text: (text + "3,,,\n4,,,\n").encode(),
    "columns in another order": lambda text: "\n".join(
        ",".join(cells[i] for i in (3, 1, 0, 2)) for cells in (line.split(",") for line in text.splitlines())
    ).encode(),
    "capitals in the header": lambda text: text.replace("filename,choice", "Filename,CHOICE").encode(),
}


@pytest.mark.parametrize("how", SAVED)
def test_what_spreadsheets_do_to_a_table_changes_nothing(
    corpus: Corpus, names: list[str], tmp_path: Path, how: str
) -> None:
    path = tmp_path / "saved.csv"
    path.write_bytes(SAVED[how](f"number,filename,choice,note\n1,{names[0]},i,Straße\n2,{names[1]},e,'=1+1\n"))
    taken = take(corpus, path, "ann")
    assert taken.faults == ()
    assert said(corpus) == {(names[0], "ann"): ("include", "Straße"), (names[1], "ann"): ("exclude", "=1+1")}


def test_a_note_may_hold_the_separator_and_line_breaks_when_quoted(
    corpus: Corpus, names: list[str], fill: Fill
) -> None:
    rows = (f'1,{names[0]},i,"one, two\nthree"', f"2,{names[1]},x,")
    taken = take(corpus, fill(*rows), "ann")
    assert said(corpus) == {(names[0], "ann"): ("include", "one, two\nthree")}
    assert "line 4:" in taken.faults[0]


def test_bad_rows_are_listed_with_their_lines_and_the_good_ones_are_stored(
    corpus: Corpus, names: list[str], fill: Fill
) -> None:
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == names[5][:40]).values(removed="2025-01-01"))
    path = fill(
        f"1,{names[0]},maybe,",
        f"2,{names[1]},i,",
        f"3,{'0' * 40}.png,i,",
        "4,holiday.jpg,i,",
        f"5,{names[5]},e,",
        f"6,{names[2]},,something red",
        f"7,{names[3]},e,a fence, a gate",
        "8,,e,",
        f"9,{names[4]},,",
    )
    taken = take(corpus, path, "ann")
    assert said(corpus) == {(names[1], "ann"): ("include", "")}
    assert taken.undecided == 1
    expected = {
        2: "'maybe'; allowed: include, borderline, exclude",
        4: "no picture of this corpus",
        5: "'holiday.jpg'",
        6: "was removed",
        7: "a note and no choice",
        8: "more cells than the header",
        9: "the filename is ''",
    }
    assert len(taken.faults) == len(expected)
    for fault, (line, problem) in zip(taken.faults, expected.items(), strict=True):
        assert fault.startswith(f"{path}, line {line}: ") and problem in fault


def test_a_picture_that_stands_twice_is_taken_only_if_both_rows_say_the_same(
    corpus: Corpus, names: list[str], fill: Fill
) -> None:
    rows = (f"1,{names[0]},i,", f"2,{names[0]},e,", f"3,{names[1]},b,", f"4,{names[1]},Borderline,")
    taken = take(corpus, fill(*rows), "ann")
    assert said(corpus) == {(names[1], "ann"): ("borderline", "")}
    assert ["lines 2, 3" in fault for fault in taken.faults] == [True, True]


def test_the_same_table_again_stores_nothing_and_a_changed_mind_is_a_new_event(
    corpus: Corpus, names: list[str], fill: Fill
) -> None:
    first = fill(f"1,{names[0]},i,", f"2,{names[1]},e,dull")
    take(corpus, first, "ann")
    again = take(corpus, first, "ann")
    assert (sum(again.stored.values()), again.unchanged) == (0, 2)
    changed = take(corpus, fill(f"1,{names[0]},e,", f"2,{names[1]},e,dull"), "ann")
    assert changed.stored == {"include": 0, "borderline": 0, "exclude": 1} and changed.unchanged == 1
    with corpus.reading() as connection:
        events = fetch(connection, Decision)
    assert [(one.image_sha1, one.choice) for one in events if one.image_sha1 == names[0][:40]] == [
        (names[0][:40], "include"),
        (names[0][:40], "exclude"),
    ]
    assert said(corpus)[names[0], "ann"] == ("exclude", "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must name the columns"),
        (b"name,verdict\nx,y\n", "must name the columns"),
        (b"number,filename,choice,choice\n", "has the column choice twice"),
        (b"filename,choice\nStra\xdfe,i\n", "save it as CSV UTF-8"),
        (b'filename,choice\na,"i\n', "nothing of it was stored"),
        (b"filename,choice\n" + b"a" * 200_000 + b",i\n", "nothing of it was stored"),
    ],
)
def test_a_file_that_is_no_table_is_refused_whole(corpus: Corpus, tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=problem) as error:
        take(corpus, path, "ann")
    assert error.value.where == str(path)
    assert said(corpus) == {}


def test_a_folder_and_a_missing_file_are_no_tables(corpus: Corpus, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(TableError, match="is no file"):
            take(corpus, path, "ann")


def test_one_person_cannot_vote_twice_under_a_misspelt_name(corpus: Corpus, names: list[str], fill: Fill) -> None:
    path = fill(f"1,{names[0]},e,")
    take(corpus, path, "ann")
    take(corpus, path, "bob")
    with pytest.raises(UsageError, match="'anne' is one too many"):
        take(corpus, path, "anne")
    with pytest.raises(UsageError, match="only in capitals"):
        take(corpus, path, "Bob")
    with pytest.raises(UsageError, match="is named by"):
        sheet(corpus, "../ann")


def test_screeners_have_orders_of_their_own_that_stay_the_same(corpus: Corpus) -> None:
    ann, bob = order(sheet(corpus, "ann").table), order(sheet(corpus, "bob").table)
    assert sorted(ann) == sorted(bob) and ann != bob
    assert order(sheet(corpus, "ann", force=True).table) == ann


def test_a_sheet_has_only_what_its_screener_has_not_decided_on(corpus: Corpus, names: list[str], fill: Fill) -> None:
    before = order(sheet(corpus, "ann").table)
    take(corpus, fill(f"1,{names[0]},e,"), "ann")
    take(corpus, fill(f"1,{names[1]},e,"), "bob")
    assert order(sheet(corpus, "ann", force=True).table) == [one for one in before if one != names[0]]
    assert order(sheet(corpus, "ann", force=True, every=True).table) == before
    take(corpus, fill(*(f"1,{name},e," for name in names)), "ann")
    assert sheet(corpus, "ann", force=True).pictures == 0


def test_a_sheet_may_be_half_filled_and_is_replaced_by_force_alone(corpus: Corpus) -> None:
    table = sheet(corpus, "ann").table
    table.write_text("precious", encoding="ascii")
    with pytest.raises(UsageError, match="may be filled in"):
        sheet(corpus, "ann")
    assert table.read_text(encoding="ascii") == "precious"


def test_a_page_shows_the_criteria_and_the_pictures_and_nothing_of_the_other_screener(
    corpus: Corpus, names: list[str], fill: Fill
) -> None:
    take(corpus, fill(*(f"1,{name},e,hidden-word" for name in names)), "bob")
    written = sheet(corpus, "ann")
    page = written.page.read_text(encoding="utf-8")
    for criterion in (*corpus.config.screening.include, *corpus.config.screening.exclude):
        assert criterion in page
    assert "hidden-word" not in page and "bob" not in page
    sources = re.findall(r'<img src="([^"]+)" width="(\d+)" height="(\d+)" alt="Picture', page)
    links = re.findall(r'<a href="([^"#]+)" data-number', page)
    assert [Path(one).name[:40] + ".png" for one, *_ in sources] == order(written.table)
    for (source, width, height), link in zip(sources, links, strict=True):
        small = read(written.page.parent / source)
        assert (small.width, small.height) == (int(width), int(height)) == (96, 80)
        # Within the corpus the enlarged picture is the original itself.
        assert (written.page.parent / link).resolve().is_relative_to((corpus.folder / "originals").resolve())
    assert "://" not in page and "//" not in re.sub(r"\s//.*", "", page)


def test_a_criterion_is_text_and_never_markup(tmp_path: Path) -> None:
    corpus = bare_corpus(tmp_path / "corpus", images=1, screening={"include": ["<script>alert(1)</script>"]})
    assert "<script>alert" not in sheet(corpus, "ann").page.read_text(encoding="utf-8")


def test_pixels_outside_the_corpus_are_recorded_before_they_are_written(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "with space & <b>"
    written = sheet(corpus, "ann", folder)
    with corpus.reading() as connection:
        assert [(one.path, one.what) for one in fetch(connection, Copied)] == [(str(folder.resolve()), "contact sheet")]
    page = written.page.read_text(encoding="utf-8")
    for link in re.findall(r'<a href="([^"#]+)" data-number', page):
        assert (folder / link).is_file()
    for file in (folder / "pictures").iterdir():
        assert file.name[:40] + ".png" in order(written.table)
    sheet(corpus, "ann", folder, force=True)
    sheet(corpus, "bob")
    with corpus.reading() as connection:
        assert len(fetch(connection, Copied)) == 1
    with pytest.raises(UsageError, match="for other files"):
        sheet(corpus, "bob", corpus.folder / "originals")


def test_pictures_drawn_before_a_kill_are_kept_and_whole(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sheet(corpus, "ann", options=SheetOptions(), progress=killed)
    place = corpus.folder / "screening" / "ann"
    assert not (place / "ann.csv").exists() and not (place / "ann.html").exists()
    times = {file: file.stat().st_mtime_ns for file in (place / "pictures").iterdir()}
    assert len(times) == 4
    assert sheet(corpus, "ann").pictures == 6
    assert {file: file.stat().st_mtime_ns for file in times} == times


def test_a_damaged_or_exchanged_picture_is_listed_and_left_out(corpus: Corpus, names: list[str]) -> None:
    corpus.original(names[0][:40]).write_bytes(b"no picture")
    corpus.original(names[1][:40]).write_bytes(corpus.original(names[2][:40]).read_bytes())
    written = sheet(corpus, "ann")
    assert written.pictures == 4 and sorted(order(written.table)) == names[2:]
    assert len(written.failures) == 2 and any("was changed: its SHA-1 is" in one for one in written.failures)


def test_suggestions_are_shown_only_when_asked_for_and_that_is_recorded(corpus: Corpus, names: list[str]) -> None:
    row = Suggestion(
        image_sha1=names[0][:40], detector="d", version="1", kind="text", value=12, regions="[]", time="now"
    )
    with corpus.writing() as connection:
        add(connection, [row])
    assert "12 words" not in sheet(corpus, "ann").page.read_text(encoding="utf-8")
    with corpus.reading() as connection:
        assert not [one for one in fetch(connection, Meta) if "suggestions" in one.name]
    shown = sheet(corpus, "bob", suggestions=True).page.read_text(encoding="utf-8")
    assert "12 words" in shown and shown.count("not looked at by a detector") == 5
    with corpus.reading() as connection:
        assert [one.name for one in fetch(connection, Meta) if "suggestions" in one.name] == [
            "suggestions shown to bob"
        ]


@pytest.mark.parametrize(
    ("screeners", "given", "expected"),
    [
        # Oracle: SCLIC 3.1, out only when all say exclude or borderline; in as soon as one says include.
        (1, ["b"], Verdict.EXCLUDED),
        (1, ["i"], Verdict.INCLUDED),
        (2, ["e"], Verdict.PENDING),
        (2, ["e", "b"], Verdict.EXCLUDED),
        (2, ["e", "i"], Verdict.INCLUDED),
        (3, ["e", "b"], Verdict.PENDING),
        (3, ["e", "b", "e"], Verdict.EXCLUDED),
        (3, ["b", "b", "i"], Verdict.INCLUDED),
    ],
)
def test_tables_of_all_screeners_come_to_the_verdict_of_the_paper(
    tmp_path: Path, fill: Fill, screeners: int, given: list[str], expected: Verdict
) -> None:
    corpus = bare_corpus(tmp_path / "corpus", images=2, screening={"screeners": screeners})
    with corpus.reading() as connection:
        first, second = waiting(connection, corpus.config, "ann")
    for screener, choice in zip(("ann", "bob", "cyd"), given, strict=False):
        take(corpus, fill(f"1,{first.filename},{choice},"), screener)
    with corpus.reading() as connection:
        assert verdicts(connection, corpus.config) == {
            first.image_sha1: expected,
            second.image_sha1: Verdict.UNSCREENED,
        }
        selected = {one.image_sha1 for one in select_images(connection, corpus.config).images}
    assert selected == ({first.image_sha1} if expected == Verdict.INCLUDED else set())


def test_nothing_in_a_table_is_text_of_anybody(corpus: Corpus, tmp_path: Path) -> None:
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(name="=HYPERLINK(1)"))
    with corpus.reading() as connection:
        write_table(tmp_path / "t.csv", waiting(connection, corpus.config, "ann"))
    assert "HYPERLINK" not in (tmp_path / "t.csv").read_text(encoding="ascii")
