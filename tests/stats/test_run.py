"""All statistics of a material into a folder."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import box, image, material
from labelled import simulated, write_corpus

from miscomp.errors import MissingExtra, UsageError
from miscomp.stats import run
from miscomp.stats.figures import FIGURES
from miscomp.stats.material import Material, from_corpus
from miscomp.stats.run import StatsOptions, Telling, make_statistics

QUICK = StatsOptions(resamples=50, plots=False, factors=False, gallery=0)
NAMES = ["table2", "rates", "areas", "prevalence", "categories", "labelers"]


@pytest.fixture(scope="module")
def some() -> Material:
    return simulated(12, models=("01L", "01H"))


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_holds_every_table_in_every_form_and_the_same_bytes_again(tmp_path: Path, some: Material) -> None:
    found = make_statistics(some, tmp_path / "a", QUICK, title="made")
    make_statistics(some, tmp_path / "b", QUICK, title="made")

    first = written(tmp_path / "a")
    assert first == written(tmp_path / "b")
    names = [one.name for one in found.tables]
    assert names == [*NAMES, "agreement", "comparison"]
    assert set(first) == {
        "settings.json",
        "statistics.json",
        "report.html",
        *(f"tables/{name}.{kind}" for name in names for kind in ("csv", "tex", "html")),
    }
    parsed = json.loads(first["statistics.json"])
    assert list(parsed["tables"]) == names
    viewed = [row["viewed"] for row in parsed["tables"]["table2"]["rows"]]
    assert viewed == [12, 12, 24]


def test_a_second_run_with_the_same_request_writes_the_same(tmp_path: Path, some: Material) -> None:
    make_statistics(some, tmp_path, QUICK)
    before = written(tmp_path)

    make_statistics(some, tmp_path, QUICK)

    assert written(tmp_path) == before


def test_other_settings_or_labels_need_another_folder_or_force(tmp_path: Path, some: Material) -> None:
    make_statistics(some, tmp_path, QUICK)
    before = written(tmp_path)
    fewer = replace(some, annotations=some.annotations[1:])

    with pytest.raises(UsageError, match="other settings \\(seed: 0, now 1\\)"):
        make_statistics(some, tmp_path, replace(QUICK, seed=1))
    with pytest.raises(UsageError, match="material_sha256"):
        make_statistics(fewer, tmp_path, QUICK)
    assert written(tmp_path) == before

    make_statistics(fewer, tmp_path, replace(QUICK, force=True))
    assert written(tmp_path) != before


def test_other_files_stay_and_tables_that_no_longer_apply_go(tmp_path: Path, some: Material) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds other files and no statistics"):
        make_statistics(some, tmp_path, QUICK)
    make_statistics(some, tmp_path, replace(QUICK, force=True))
    assert (tmp_path / "tables" / "agreement.csv").is_file()

    make_statistics(some, tmp_path, replace(QUICK, force=True, labelers=("ann",)))

    assert not (tmp_path / "tables" / "agreement.csv").exists()
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_corpus_with_everything_has_figures_regression_and_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(FIGURES)[1:]:
        monkeypatch.delitem(FIGURES, name)
    corpus = write_corpus(tmp_path / "c", pixels=True, images=2, per_side=2)
    lines: list[str] = []
    cut: list[tuple[int, int]] = []
    telling = Telling(say=lines.append, cut=lambda done, total: cut.append((done, total)))
    options = StatsOptions(resamples=50, gallery=5)

    found = make_statistics(from_corpus(corpus), tmp_path / "s", options, corpus=corpus, telling=telling)

    assert [one.name for one in found.tables] == [*NAMES, "agreement", "factors", "comparison"]
    assert "figure5" in [one.name for one in found.figures]
    assert all((tmp_path / "s" / f"{one.name}.{kind}").is_file() for one in found.figures for kind in ("svg", "png"))
    assert cut and cut[-1][0] == cut[-1][1]
    assert {"counting", "drawing the figures", "cutting out annotations"} <= {*lines}
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    assert "figure5.svg" in page and page.count('data-item="') == 5
    assert not found.failures


def test_a_table_without_views_has_no_shares_and_no_comparison(tmp_path: Path) -> None:
    lines: list[str] = []
    found = make_statistics(
        material([image(0, "x")], [box(0, "x", (0, 0, 9, 9))], None), tmp_path, QUICK, telling=Telling(say=lines.append)
    )

    assert [one.name for one in found.tables] == NAMES
    assert found.table("table2").rows[0]["share_annotated"].value is None
    assert "codecs are not compared: nothing says who has seen what" in lines


def test_nothing_at_all_gives_empty_tables(tmp_path: Path) -> None:
    found = make_statistics(material([]), tmp_path / "none", QUICK)
    unlabelled = make_statistics(material([image(0, "x")]), tmp_path / "unlabelled", QUICK)

    assert all(one.rows == () for one in found.tables)
    assert unlabelled.table("table2").rows[0]["boxes"].value == 0
    assert unlabelled.table("table2").rows[0]["mean_boxes"].value is None
    assert unlabelled.table("rates").rows[0]["mean"].value == 0.25


def test_the_corpus_itself_is_no_place_for_its_statistics(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c", images=1)

    with pytest.raises(UsageError, match="is the corpus"):
        make_statistics(from_corpus(corpus), corpus.folder, replace(QUICK, force=True), corpus=corpus)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"resamples": 10**6}, {"seed": -1}, {"targets": ()}])
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        StatsOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="target rates"):
        StatsOptions(targets=(float("nan"),))


@pytest.mark.parametrize(("package", "option"), [("matplotlib", "--no-plots"), ("statsmodels", "--no-factors")])
def test_a_missing_extra_is_told_before_anything_is_written(
    tmp_path: Path, some: Material, monkeypatch: pytest.MonkeyPatch, package: str, option: str
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == package else object())

    with pytest.raises(MissingExtra, match=option):
        make_statistics(some, tmp_path / "s", StatsOptions())
    assert not (tmp_path / "s").exists()


def test_the_tables_of_a_corpus_as_large_as_the_published_one_take_seconds(tmp_path: Path) -> None:
    """1,563 photographs by 12 models, 18,019 boxes: the counts are exact, and 10,000 resamples are drawn."""
    models = tuple(f"{number:02d}{rate}" for number in range(1, 7) for rate in "LH")
    rng = np.random.default_rng(0)
    images = [image(number, name, bpp=float(rng.uniform(0.1, 1))) for number in range(1563) for name in models]
    chosen = rng.integers(0, len(images), 18019)
    places = rng.integers(0, 80, (18019, 2)).tolist()
    sizes = rng.integers(1, 20, (18019, 2)).tolist()
    pairs = [(int(at) // 12, images[int(at)].model) for at in chosen]
    boxes = [box(*pair, (*place, *size)) for pair, place, size in zip(pairs, places, sizes, strict=True)]
    large = material(images, boxes, None, {name: f"C{name[1]}" for name in models})
    start = time.process_time()

    found = make_statistics(large, tmp_path, replace(QUICK, resamples=10_000))

    assert time.process_time() - start < 10
    assert found.table("table2").rows[-1]["boxes"].value == 18019
    assert found.table("table2").rows[-1]["images"].value == 18756


def test_every_table_of_simulated_boxes_says_so_by_itself(tmp_path: Path, some: Material) -> None:
    found = make_statistics(some, tmp_path, QUICK)

    silent = [one.name for one in found.tables if "simulated" not in one.note]
    assert silent == ["rates"]
    assert "one of them, drawn by the seed, counts in each" in found.table("areas").note


def test_codecs_are_not_compared_by_what_a_detector_found(tmp_path: Path) -> None:
    """Not even an empty table, which would say that nobody has seen the reconstructions."""
    both, lines = simulated(6, labelers=("ann", "net"), detectors=("net",)), list[str]()

    found = make_statistics(both, tmp_path, replace(QUICK, labelers=("net",)), telling=Telling(say=lines.append))

    assert "comparison" not in [one.name for one in found.tables]
    assert any("only detectors were named" in line for line in lines)
