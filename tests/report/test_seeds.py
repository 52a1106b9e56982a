"""Findings over several seeds. Oracles: boxes laid out by hand, and a codec whose draws are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_sample import MakeRun
from seeded_codec import registered
from typer.testing import CliRunner

from miscomp.audit.run import AuditOptions, run_audit
from miscomp.cli.app import app
from miscomp.codecs.spec import parse_spec
from miscomp.errors import UsageError
from miscomp.images import write_png
from miscomp.records import Box, Finding, ModelRow, PairResult
from miscomp.report.page import write_html
from miscomp.report.run import Run, read_json, write_json
from miscomp.report.seeds import SeedComparison, compare_seeds, seeds_text, summarise_seeds

FAKES = Path(__file__).parents[1] / "fakes"
MODELS = [
    ModelRow(model="given", codec="given"),
    ModelRow(model="cdc@q2+seed1", codec="cdc", seed=1),
    ModelRow(model="cdc@q2+seed2", codec="cdc", seed=2),
    ModelRow(model="cdc@q2+seed3", codec="cdc", seed=3),
    ModelRow(model="jpeg@q5", codec="jpeg"),
]


@pytest.fixture
def sample(make_run: MakeRun, tmp_path: Path) -> Run:
    return make_run(tmp_path, ("a.png",))


def found(sample: Run, model: str, *boxes: tuple[float, Box], name: str = "a.png") -> PairResult:
    """One pair with findings in these boxes, of these scores."""
    pair = sample.results[0]
    first = pair.findings[0]
    findings = tuple(_finding(first, model, score, box) for score, box in boxes)
    return replace(pair, row=replace(pair.row, model=model, filename=name), findings=findings)


def _finding(first: Finding, model: str, score: float, box: Box) -> Finding:
    name = f"{model} {box.x},{box.y}"
    annotation = replace(
        first.annotation, id=name, model=model, x=box.x, y=box.y, w=box.w, h=box.h, score=score, category="SHAPE"
    )
    return replace(first, annotation=annotation)


def test_a_place_is_counted_once_for_each_seed_that_finds_it(sample: Run) -> None:
    results = [
        found(sample, "jpeg@q5", (0.9, Box(0, 0, 9, 9))),
        found(sample, "cdc@q2+seed1", (0.5, Box(10, 10, 20, 20)), (0.4, Box(80, 60, 10, 10))),
        found(sample, "cdc@q2+seed2", (0.7, Box(12, 12, 20, 20))),
        # The second box lies in the place of the first and tells no other one.
        found(sample, "cdc@q2+seed3", (0.6, Box(8, 8, 20, 20)), (0.3, Box(15, 15, 8, 8)), (0.2, Box(60, 5, 6, 6))),
    ]
    (one,) = compare_seeds(results, MODELS)
    assert (one.filename, one.model, one.seeds) == ("a.png", "cdc@q2", (1, 2, 3))
    # By hand: the best-scored box stands for a place, and places go by its score.
    assert [(place.finding, place.score, place.seeds) for place in one.places] == [
        ("cdc@q2+seed2 12,12", 0.7, (1, 2, 3)),
        ("cdc@q2+seed1 80,60", 0.4, (1,)),
        ("cdc@q2+seed3 60,5", 0.2, (3,)),
    ]
    (place, *_) = one.places
    assert (place.x, place.y, place.w, place.h, place.category) == (12, 12, 20, 20, "SHAPE")
    (summary,) = summarise_seeds([one])
    assert (summary.model, summary.seeds, summary.images, summary.places) == ("cdc@q2", 3, 1, {3: 1, 2: 0, 1: 2})
    assert seeds_text([one]) == (
        "cdc@q2 over 3 seeds, 1 image(s): 1 place(s) with 3 of 3, 0 place(s) with 2 of 3, 2 place(s) with 1 of 3"
    )


def test_of_two_places_a_finding_takes_the_one_that_it_covers_best(sample: Run) -> None:
    left, right = Box(0, 0, 10, 10), Box(10, 0, 10, 10)
    results = [
        found(sample, "cdc@q2+seed1", (0.9, left), (0.8, right)),
        found(sample, "cdc@q2+seed2", (0.1, Box(4, 0, 14, 10))),
    ]
    (one,) = compare_seeds(results, MODELS)
    assert [place.seeds for place in one.places] == [(1,), (1, 2)]


def test_a_box_many_times_as_large_is_another_place_and_the_order_of_size_is_no_matter(sample: Run) -> None:
    small, large, huge = Box(40, 40, 4, 4), Box(34, 34, 16, 16), Box(33, 33, 17, 17)
    for first, second in ((small, large), (large, small)):
        pair = [found(sample, f"cdc@q2+seed{seed}", (0.5, box)) for seed, box in ((1, first), (2, second))]
        assert [place.seeds for place in compare_seeds(pair, MODELS)[0].places] == [(1, 2)]
    pair = [found(sample, "cdc@q2+seed1", (0.5, small)), found(sample, "cdc@q2+seed2", (0.5, huge))]
    assert [place.seeds for place in compare_seeds(pair, MODELS)[0].places] == [
        (1, 2)
    ]  # the huge one's centre is in it
    aside = Box(33, 33, 60, 60)
    pair = [found(sample, "cdc@q2+seed1", (0.5, small)), found(sample, "cdc@q2+seed2", (0.5, aside))]
    assert [place.seeds for place in compare_seeds(pair, MODELS)[0].places] == [(1,), (2,)]


def test_a_picture_with_one_seed_has_nothing_to_compare_and_one_that_lacks_a_seed_is_counted_apart(
    sample: Run,
) -> None:
    box = (0.5, Box(10, 10, 20, 20))
    whole = [found(sample, f"cdc@q2+seed{seed}", box) for seed in (1, 2, 3)]
    part = [found(sample, f"cdc@q2+seed{seed}", box, name="b.png") for seed in (1, 3)]
    alone = [found(sample, "cdc@q2+seed1", box, name="c.png")]
    comparisons = compare_seeds([*whole, *part, *alone], MODELS)
    assert [(one.filename, one.seeds) for one in comparisons] == [("a.png", (1, 2, 3)), ("b.png", (1, 3))]
    assert [(one.seeds, one.places) for one in summarise_seeds(comparisons)] == [
        (3, {3: 1, 2: 0, 1: 0}), (2, {2: 1, 1: 0})
    ]  # fmt: skip


def test_the_default_seed_named_twice_is_one_seed(sample: Run) -> None:
    models = [ModelRow(model=name, codec="cdc", seed=seed) for name, seed in (("cdc@q2", 0), ("cdc@q2+seed0", 0))]
    results = [found(sample, row.model, (0.5, Box(1, 1, 9, 9))) for row in models]
    assert compare_seeds(results, models) == ()
    models.append(ModelRow(model="cdc@q2+seed4", codec="cdc", seed=4))
    (one,) = compare_seeds([*results, found(sample, "cdc@q2+seed4")], models)
    assert (one.model, one.seeds, [place.seeds for place in one.places]) == ("cdc@q2", (0, 4), [(0,)])


def test_a_report_keeps_the_comparison_and_shows_it(sample: Run, tmp_path: Path) -> None:
    comparisons: tuple[SeedComparison, ...] = compare_seeds(
        [found(sample, f"cdc@q2+seed{seed}", (0.5, Box(10, 10, 20, 20))) for seed in (1, 2)], MODELS
    )
    hostile = replace(comparisons[0], filename="<b>\u202ea.png")
    run = replace(sample, seeds=(hostile,))
    write_json(run, tmp_path / "report.json")
    assert read_json(tmp_path / "report.json") == run
    html = write_html(run, tmp_path).read_text(encoding="utf-8")
    assert "The same picture with other seeds" in html and "2 of 2 seeds <b>1</b>" in html
    assert "seeds 1, 2</small>" in html and "x 10, y 10, 20 × 20" in html
    assert "&lt;b&gt;⟨U+202E⟩a.png" in html and "<b>\u202e" not in html
    assert "with other seeds" not in write_html(sample, tmp_path).read_text(encoding="utf-8")


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(FAKES))
    write_png(tmp_path / "a.png", np.full((48, 64, 3), 200, np.uint8))
    return tmp_path / "a.png"


def test_an_audit_with_several_seeds_says_which_findings_come_back(photo: Path, tmp_path: Path) -> None:
    with registered():
        specs = tuple(parse_spec(f"dreamer@q2+seed{seed}") for seed in (1, 2))
        run = run_audit([photo], None, specs, tmp_path / "out", AuditOptions(jobs=1, detector="fake_detector"))
    # Oracle: the fake detector finds the first spot alone, which is there with every seed.
    (one,) = run.seeds
    assert one.seeds == (1, 2) and [place.seeds for place in one.places] == [(1, 2)]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["seeds"][0]["model"] == "dreamer@q2"
    models = (tmp_path / "out" / "models.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in models[1:]] == ["dreamer@q2+seed1", "dreamer@q2+seed2"]


def test_seeds_on_the_command_line_are_told_and_wrong_ones_refused(photo: Path, tmp_path: Path) -> None:
    command = ["audit", str(photo), "--codec", "dreamer@q2", "--jobs", "1", "--no-text", "--detector", "rules"]
    command += ["-o", str(tmp_path / "out")]
    with registered():
        result = CliRunner().invoke(app, [*command, "--seed", "1,2", "--seed", "4"])
        assert result.exit_code == 0, result.output
        assert "dreamer@q2 over 3 seeds, 1 image(s): " in result.stdout
        again = CliRunner().invoke(app, [*command, "--seed", "1", "--seed", "2,4", "--json"])
        assert again.stderr.count("done earlier") == 3
        (record,) = json.loads(again.stdout)["seeds"]
        assert (record["model"], record["seeds"], record["images"]) == ("dreamer@q2", 3, 1)
        assert set(record["places_by_seeds"]) == {"3", "2", "1"}
        for wrong in ("1,,2", "-1", "x", "1" * 21):
            error = CliRunner().invoke(app, [*command, f"--seed={wrong}"]).exception
            assert isinstance(error, UsageError) and "--seed needs whole numbers" in str(error)
