"""Whole runs with small kinds and classical codecs. Oracles: the files on disk and the documented contract."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import lawn
from tiny_kinds import row

from miscomp.codecs.spec import CodecSpec, parse_spec
from miscomp.errors import UnknownName, UsageError
from miscomp.images import Picture, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.pairs import Pair, coded_pair
from miscomp.pairset import CONTROL, NATURAL, PLANTED, read_pair_set
from miscomp.plant import work
from miscomp.plant.catalog import KINDS, SEAM
from miscomp.plant.request import PLATE, PlantOptions, choose_kinds
from miscomp.plant.run import Planting, Step, planting_text, run_plant
from miscomp.records import Annotation, Box, display_id
from miscomp.tables import read as read_table

KIND_ROWS = (row("invert"), row("sign"), replace(row("invert", label=False), name="inert"))
OPTIONS = PlantOptions(
    count=10, negatives=5, kinds=KIND_ROWS, natural=12, reader="tiny_kinds:BarReader", put_word="tiny_kinds:put_word"
)
PLAIN = replace(OPTIONS, natural=0, controls=False)
CODECS = ("webp@0.3bpp", "jpeg@like:webp", "jpeg@1.5bpp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        write_png(folder / name, lawn(192, 256, seed=seed, contrast=30))
    return folder


def plant(
    photos: Path, folder: Path, options: PlantOptions = OPTIONS, codecs: tuple[str, ...] = CODECS
) -> tuple[Planting, list[Step]]:
    told: list[Step] = []
    return run_plant([photos], [parse_spec(name) for name in codecs], folder, options, progress=told.append), told


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planting]:
    folder = tmp_path_factory.mktemp("made")
    (folder / "photos").mkdir()
    write_png(folder / "photos" / "a.png", lawn(192, 256, seed=0, contrast=30))
    return folder / "out", plant(folder / "photos", folder / "out")[0]


def test_the_folder_is_a_set_of_pairs_and_its_rows_fit_the_pictures(made: tuple[Path, Planting]) -> None:
    folder, planting = made
    pairs = read_pair_set(folder).pairs
    sources = Counter(pair.row.source for pair in pairs)
    assert sources == planting.record()["pairs"] and set(sources) == {PLANTED, CONTROL, NATURAL}
    assert len({(pair.row.image_sha1, pair.row.model) for pair in pairs}) == len(pairs)
    for pair in pairs:
        original, after = read(pair.original), read(pair.reconstruction)
        assert pair.row.image_sha1 == original.image_sha1 and pair.row.annotations == len(pair.labels)
        assert pair.row.psnr == psnr_pixels(original.pixels, after.pixels)
        for one in (*pair.labels, *pair.negatives):
            known = pair.plants[one.id]
            assert one.id == display_id(one.image_sha1, one.model, one.box)
            assert known.label == bool(one.category) and known.source == "a.png"
            assert (one.labeler, one.origin, one.filename) == ("plant", "truth", pair.row.filename)
            one.box.check_inside(original.width, original.height)
    assert planting.failures == () and "labels:" in planting_text(planting)


def test_planted_pairs_show_their_labels_at_every_rate(made: tuple[Path, Planting]) -> None:
    planted = {pair.row.model: pair for pair in read_pair_set(made[0]).pairs if pair.row.source == PLANTED}
    assert list(planted) == ["webp@0.3bpp", "jpeg@1.5bpp", "jpeg@like:webp"]
    rates = {model: pair.row.bpp or 0.0 for model, pair in planted.items()}
    assert rates["jpeg@like:webp"] == pytest.approx(rates["webp@0.3bpp"], rel=0.05)
    boxes = {model: [one.box for one in pair.labels] for model, pair in planted.items()}
    assert len(boxes["jpeg@1.5bpp"]) == 4 and len({str(one) for one in boxes.values()}) == 1
    pair = planted["jpeg@1.5bpp"]
    change = np.abs(read(pair.original).pixels.astype(int) - read(pair.reconstruction).pixels).max(2)
    for one in pair.labels:
        inside = change[one.y : one.y + one.h, one.x : one.x + one.w].mean()
        assert inside > 2 * np.median(change)


def test_seams_are_hard_negatives_of_high_rates_only(made: tuple[Path, Planting]) -> None:
    seams = [one for pair in read_pair_set(made[0]).pairs for one in pair.plants.values() if one.kind == SEAM]
    assert {one.model for one in seams} == {"jpeg@1.5bpp"} and not any(one.label for one in seams)


def test_controls_and_known_words_are_of_the_unchanged_picture(made: tuple[Path, Planting]) -> None:
    folder, planting = made
    pairs = read_pair_set(folder).pairs
    controls = {pair.row.model: pair for pair in pairs if pair.row.source == CONTROL}
    assert {"control:noise", "control:shifted", "control:jpeg@0.75bpp", "control:webp@1.125bpp"} <= set(controls)
    assert not any(pair.labels or pair.negatives for pair in controls.values())
    assert all(pair.row.bpp is None or pair.row.bpp > 0.67 for pair in controls.values())
    shifted = controls["control:shifted"]
    assert np.array_equal(read(shifted.reconstruction).pixels[:, 1:], read(shifted.original).pixels[:, :-1])
    natural = [pair for pair in pairs if pair.row.source == NATURAL]
    assert {pair.row.filename for pair in natural} == {"a-words.png"}
    unreadable = read_table(folder / "unreadable.csv", Annotation)
    for pair in natural:
        known = len(pair.labels) + len(pair.negatives)
        known += sum(one.model == pair.row.model for one in unreadable)
        assert known == len(pair.plants) == 4  # 12 in a picture of 768 x 512
        assert all(one.symbol and one.category == "SHAPE" and '"word"' in one.note for one in pair.labels)
    notes = planting.record()["notes"]
    asked = {f"natural:{name}@{bpp}bpp" for name in ("webp", "jpeg") for bpp in (0.1, 0.2, 0.4)}
    left_out = {name for name in asked if any(f"{name} left out" in note for note in notes)}
    assert {pair.row.model for pair in natural} == asked - left_out
    assert set(read_pair_set(folder).models) == {pair.row.model for pair in pairs}


def test_a_second_run_keeps_what_is_done_and_makes_what_is_missing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plant(photos, out, PLAIN)
    whole = content(out)
    assert [step.outcome for step in plant(photos, out, PLAIN)[1]] == ["planned", "kept", "kept"]
    (out / "reconstructions" / "jpeg@1.5bpp" / "b.png").unlink()
    (out / "annotations.csv").unlink()
    first = next(iter((out / "pictures").glob("*.json")))
    lost = json.loads(first.read_text())["name"]
    first.write_text(first.read_text()[:-40])
    outcomes = {step.name: step.outcome for step in plant(photos, out, PLAIN)[1]}
    assert outcomes["b.png"] == "done" and outcomes[lost] == "done" and content(out) == whole


def test_another_request_needs_another_folder_or_force(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plant(photos, out, PLAIN)
    before = content(out)
    with pytest.raises(UsageError, match="seed: 0, now 1"):
        plant(photos, out, replace(PLAIN, seed=1))
    assert content(out) == before
    (out / "mine.txt").write_text("kept")
    plant(photos, out, replace(PLAIN, seed=1, force=True), ("jpeg@1.5bpp",))
    after = content(out)
    assert after["annotations.csv"] != before["annotations.csv"] and "mine.txt" in after
    assert not any("webp" in name for name in after)


def test_jobs_and_other_pictures_change_nothing_and_a_killed_process_costs_its_picture(
    photos: Path, tmp_path: Path
) -> None:
    options = replace(PLAIN, kinds=(row("deadly"),))
    alone = plant(photos, tmp_path / "alone", options)[0]
    black = lawn(192, 256, seed=9)
    black[0, 0] = 0
    write_png(photos / "aa.png", black)
    together = plant(photos, tmp_path / "together", replace(options, jobs=2))[0]
    (failure,) = together.failures
    assert failure.name == "aa.png" and "process was ended" in failure.reason
    one, other = content(tmp_path / "alone"), content(tmp_path / "together")
    assert alone.failures == () and one.keys() <= other.keys()
    assert {name for name in one if one[name] != other[name]} == {"summary.json"}  # it names what failed


def test_what_cannot_be_planted_in_is_listed_and_the_rest_goes_on(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "b.webp").write_bytes(b"RIFF")
    write_png(photos / "twin.png", read(photos / "a.png").pixels)
    planting, told = plant(photos, tmp_path / "out", PLAIN, ("jpeg@1.5bpp",))
    reasons = {failure.name: failure.reason for failure in planting.failures}
    assert set(reasons) == {"broken.png", "b.webp", "twin.png"} and told[0].total == 4
    assert "b.png needs the name b.png too" in reasons["b.webp"] and "same picture as a.png" in reasons["twin.png"]
    assert [result.name for result in planting.results if result.images] == ["a.png", "b.png"]
    assert {pair.row.filename for pair in read_pair_set(tmp_path / "out").pairs} == {"a.png", "b.png"}


def test_a_fault_of_a_kind_or_a_codec_is_that_picture_s_or_that_pair_s(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planting, _ = plant(photos, tmp_path / "fault", replace(PLAIN, kinds=(row("in_place"),)))
    assert ["fault in miscomp" in failure.reason for failure in planting.failures] == [True, True]

    def refusing(picture: Picture, spec: CodecSpec, *, like_bpp: float | None = None) -> Pair:
        if spec.name == "webp":
            raise UsageError("planted refusal")
        return coded_pair(picture, spec, like_bpp=like_bpp)

    monkeypatch.setattr(work, "coded_pair", refusing)
    planting, _ = plant(photos, tmp_path / "refused", PLAIN, ("webp@0.3bpp", "jpeg@1.5bpp"))
    assert [failure.reason for failure in planting.failures] == ["webp@0.3bpp: planted refusal"] * 2
    assert {pair.row.model for pair in read_pair_set(tmp_path / "refused").pairs} == {"jpeg@1.5bpp"}
    monkeypatch.undo()
    outcomes = [step.outcome for step in plant(photos, tmp_path / "refused", PLAIN, ("webp@0.3bpp", "jpeg@1.5bpp"))[1]]
    assert outcomes == ["planned", "done", "done"]


def test_where_nothing_can_be_planted_there_are_controls_only(photos: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, kinds=(row("nowhere"),), natural=0)
    planting, _ = plant(photos, tmp_path / "out", options, ("jpeg@1.5bpp",))
    record = planting.record()
    assert set(record["pairs"]) == {CONTROL} and record["missing"] == {"nowhere": 8} and planting.failures == ()
    assert record["notes"][0] == "a.png: nothing could be planted"


def test_on_plates_one_change_is_made_where_the_plate_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PLATE", replace(PLATE, target="tiny_kinds:swap"))
    (photos / "a.txt").write_text("a.png\t40\t50\t60\t20\tAB12\n", encoding="utf-8")
    (photos / "b.txt").write_text("b.png\t40\t50\t60\t20\tNONE\n", encoding="utf-8")
    out = tmp_path / "out"
    planting = run_plant([], [parse_spec("jpeg@1.5bpp")], out, replace(OPTIONS, controls=False), plates=photos)
    (pair,) = read_pair_set(out).pairs
    (label,) = pair.labels
    assert (label.box, label.category, label.symbol, label.note) == (Box(40, 50, 30, 20), "SHAPE", True, "AB12")
    assert pair.plants[label.id].kind == "plate-character"
    assert {pair.plants[one.id].kind for one in pair.negatives} == {SEAM}
    assert np.array_equal(read(pair.original).pixels, read(photos / "a.png").pixels)
    assert planting.record()["missing"] == {"plate-character": 1}


def test_wrong_requests_are_refused_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="asked for twice"):
        plant(photos, out, PLAIN, ("jpeg@q5", "jpeg@q5"))
    with pytest.raises(UsageError, match="nothing to code with"):
        plant(photos, out, PLAIN, ())
    with pytest.raises(UsageError, match="no pictures"):
        run_plant([], [parse_spec("jpeg")], out, PLAIN)
    for wrong in ({"seed": -1}, {"strengths": ()}, {"strengths": (2.0,)}, {"jobs": 0}, {"kinds": ()}):
        with pytest.raises(UsageError):
            replace(PLAIN, **wrong)
    with pytest.raises(UnknownName, match="character"):
        choose_kinds(["charakter"])
    assert choose_kinds(["removed", "character", "removed"]) == (KINDS["removed"], KINDS["character"])
    assert not out.exists()
