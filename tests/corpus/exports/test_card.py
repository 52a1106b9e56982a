"""README, data sheet, licences, citation. Oracles: counts made here, a small reader of the header's YAML."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from corpora import TIME, small_corpus
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.exports.release import ExportOptions
from miscomp.corpus.exports.run import export_corpus
from miscomp.corpus.exports.wording import is_spdx, licence_url, markdown, plain, size_category, yaml
from miscomp.corpus.schema import IMAGE, MODEL

EVIL = "</script><img src=x onerror=alert(1)> [a](javascript:b) `c` | *d*\n---\n# e \u202e &amp; ${f} {{ 7*7 }}"
CARD = ("README.md", "datasheet.md", "LICENSES.md")


def written(corpus: Corpus, folder: Path, **options: object) -> dict[str, str]:
    export_corpus(corpus, folder, ExportOptions(**options))  # type: ignore[arg-type]
    return {
        name: (folder / name).read_text(encoding="utf-8")
        for name in (*CARD, "CITATION.cff")
        if (folder / name).exists()
    }


def header(text: str) -> str:
    begin, found, _ = text.split("---\n", 2)
    assert begin == ""
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("exports")
    corpus = small_corpus(folder / "corpus", about={"title": "Street", "creators": ["A. Body", "B: Body"]})
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.split == "train").values(removed=TIME, name=""))
    return written(corpus, folder / "out", images="copy")


def test_numbers_are_those_of_the_corpus(texts: dict[str, str]) -> None:
    for line in (
        "| photographs | 3 |",
        "| of these removed at a person's request (rows stay, pixels are not given) | 1 |",
        "| reconstructions | 12 |",
        "| reconstructions that at least one labeler has looked at | 12 |",
        "| reconstructions with at least one box by a labeler | 3 |",
        "| reconstructions flagged for more miscompressions than were boxed | 1 |",
        "| boxes | 9 |",
        "| boxes by origin: simulated | 9 |",
        "| boxes whose main category is SHAPE | 1 |",
        "| labelers | 2 |",
        "| ramps | CC0-1.0 | 3 | 1 |",
        "Splits: test 2, train 1. All versions",
    ):
        assert line in texts["README.md"], line
    assert "3 photographs, 4 codecs at a setting, 12 reconstructions, 9 boxes." in texts["datasheet.md"]
    assert re.search(r"\| 01L \| jpeg \| q10 \| 0\.25 \| 0\.\d{3} \| 3 \| 3 \| 3 \| 4 \|", texts["README.md"])


def test_what_it_is_not_and_stand_ins_and_simulation_are_said(texts: dict[str, str]) -> None:
    readme, sheet = texts["README.md"], texts["datasheet.md"]
    assert "It is not the ground truth of every change" in readme and "It does not rank codecs without care" in readme
    assert "- 02L (webp): for a test" in readme and "- 02L (webp): for a test" in sheet
    assert "**Some labels are simulated**" in readme and "simulated by a program" in sheet
    assert "its\nsource" in sheet and "keeps the licence of its source" in texts["LICENSES.md"]


def test_what_only_people_know_is_marked(texts: dict[str, str]) -> None:
    assert texts["datasheet.md"].count("**TO BE FILLED IN**") > 8
    assert "Contact: **TO BE FILLED IN**" in texts["README.md"]
    assert "**Who made it?** A. Body, B: Body." in texts["datasheet.md"], "what is known is not asked for"


def test_the_header_names_licence_size_and_files(texts: dict[str, str]) -> None:
    found = header(texts["README.md"])
    assert 'license: "cc-by-4.0"\n' in found and "- n<1K\n" in found
    assert "- config_name: annotations\n  data_files: parquet/annotations.parquet\n" in found


def test_the_header_names_each_split_of_an_image_folder(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    found = header(written(corpus, tmp_path / "out", formats=("imagefolder", "datasheet"), images="link")["README.md"])
    assert "  - split: test\n    path: data/test/**\n  - split: train\n    path: data/train/**\n" in found


def test_the_citation_has_what_its_format_needs(texts: dict[str, str]) -> None:
    lines = texts["CITATION.cff"].splitlines()
    assert lines[0] == "cff-version: 1.2.0" and "type: dataset" in lines and 'title: "Street"' in lines
    assert '- name: "A. Body"' in lines and '- name: "B: Body"' in lines and "date-released: 2025-10-27" in lines


def test_without_creators_there_is_no_citation_file(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=0, labels=False)
    found = written(corpus, tmp_path / "out")
    assert sorted(found) == sorted(CARD)
    assert "# corpus\n" in found["README.md"], "the folder's name stands in for a title"


def test_text_of_strangers_stays_text(tmp_path: Path) -> None:
    about = {"title": EVIL, "description": EVIL, "creators": [EVIL], "licence": EVIL, "citation": EVIL, "url": EVIL}
    corpus = small_corpus(tmp_path / "corpus", images=2, about=about)
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).values(source=EVIL, licence=EVIL))
        connection.execute(update(MODEL).values(stand_in=EVIL, codec_name=EVIL))
    found = written(corpus, tmp_path / "out", formats=("datasheet",))
    for name in CARD:
        body = found[name].split("---\n", 2)[2] if name == "README.md" else found[name]
        assert "<" not in body and not re.search(r"(?<!\\)\]\(", body) and "\u202e" not in body, name
        assert not re.search(r"(?<!\\)`c", body) and "\n# e" not in body
        for line in body.splitlines():
            if line.startswith("| ") and "onerror" in line:
                assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 10), "no cell is split"
    lines = [*header(found["README.md"]).splitlines(), *found["CITATION.cff"].splitlines()]
    for line in lines:
        if "onerror" in line:
            value = re.sub(r"^(- )?\w+: ", "", line)
            assert "</script>" in json.loads(value), "one quoted text a line"


def test_wording_of_the_smallest_parts() -> None:
    assert markdown("1. a") == "1\\. a" and markdown("- a") == "\\- a" and markdown("0.25") == "0.25"
    assert markdown("a_b <c> & d") == "a\\_b &lt;c&gt; &amp; d"
    assert plain("a\u200bb\n") == "a⟨U+200B⟩b⟨U+000A⟩" and plain("a\u00a0b") == "a\u00a0b"
    assert yaml('a "b"\n c') == '"a \\"b\\" c"'
    assert licence_url("CC0-1.0") == "https://spdx.org/licenses/CC0-1.0.html" and not licence_url("research only")
    assert licence_url("https://a.org/b") == "https://a.org/b" and not licence_url("javascript:a")
    assert is_spdx("CC-BY-NC-SA-4.0") and not is_spdx("CC-BY")
    sizes = (0, 999, 1_000, 18_756, 10**7)
    assert [size_category(n) for n in sizes] == ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "n>10M"]
