"""Statements from audits, compressed files and names: what they say is what the sources say, bound to the pixels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_sample import MODELS, make_sample
from tiny_published import tiny_codec, tiny_picture

from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.container import unpack
from miscomp.detect.standing import standing_of
from miscomp.disclose import known, streams
from miscomp.disclose.kinds import KINDS, kind_of
from miscomp.disclose.known import describe_detector
from miscomp.disclose.risk import RISK_FORM, risk
from miscomp.disclose.sources import Wanted, from_audit, from_codec, named_codec
from miscomp.disclose.statement import MAX_PLACES, Coding, Place
from miscomp.disclose.streams import from_stream
from miscomp.disclose.wording import standing_note
from miscomp.errors import ImageError, InputError, StreamError, UnknownName, UsageError, WeightsError
from miscomp.images import Pixels, encode_png, pixel_sha256, read
from miscomp.records import GIVEN, ModelRow
from miscomp.report.run import Run, write_json
from miscomp.tables import write

NAMES = ("a.png", "plain sky.png")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("audit")
    run = make_sample(folder, NAMES)
    write_json(run, folder / "report.json")
    return folder, run


@pytest.fixture
def audit(template: tuple[Path, Run], tmp_path: Path) -> tuple[Path, Run]:
    folder = tmp_path / "audit"
    shutil.copytree(template[0], folder)
    return folder, template[1]


def noise(width: int = 48, height: int = 32) -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_every_codec_of_the_registry_has_a_kind_and_no_other_has() -> None:
    assert set(KINDS) == set(CODECS.names)
    assert Coding.UNKNOWN not in KINDS.values()


def test_codecs_that_draw_random_numbers_or_were_trained_against_a_judge_are_generative() -> None:
    # Oracle: the registry's own words and its field `seeded`.
    words = ("generative", "diffusion", "hific")
    said = {row.name for row in CODECS if row.seeded or any(word in row.description.lower() for word in words)}
    assert {name for name, kind in KINDS.items() if kind == Coding.GENERATIVE} == said
    networks = {row.name for row in CODECS if row.format_id is not None}
    assert not networks & {name for name, kind in KINDS.items() if kind == Coding.CLASSICAL}
    with pytest.raises(UnknownName):
        kind_of("hific2")


def test_an_audit_s_result_becomes_a_statement(audit: tuple[Path, Run]) -> None:
    folder, run = audit
    result = run.results[0]
    made = from_audit(folder, Wanted(image="a.png", model=MODELS[0]), stated="2026-01-02T03:04:05Z")
    assert made.compared and made.findings == len(result.findings) > 0
    assert (made.bpp, made.stated) == (result.row.bpp, "2026-01-02T03:04:05Z")
    assert made.picture.pixel_sha256 == read(folder / result.reconstruction_file).pixel_sha256
    assert [place.score for place in made.places] == sorted(
        (f.annotation.score or 0.0 for f in result.findings), reverse=True
    )
    assert made.risk == risk(made.places, width=made.picture.width, height=made.picture.height)
    assert made.risk_form == RISK_FORM
    assert made.detector is not None and made.detector.version == run.detector
    assert made.detector.recall is None and made.detector.measured_on == ""


def test_an_audit_without_findings_says_none_and_risk_zero(audit: tuple[Path, Run]) -> None:
    made = from_audit(audit[0], Wanted(image="plain sky.png", model=MODELS[1]))
    assert (made.findings, made.places, made.risk) == (0, (), 0.0)


def test_the_table_of_models_names_version_weights_and_seed(audit: tuple[Path, Run]) -> None:
    folder, _ = audit
    row = ModelRow(
        model=MODELS[0],
        codec="hific",
        setting="file:/home/ann/secret/mine.pth",
        weights_sha256="ab" * 32,
        seed=7,
        version="miscomp 9",
    )
    write(folder / "models.csv", ModelRow, [row])
    codec = from_audit(folder, Wanted(image="a.png", model=MODELS[0])).codec
    assert (codec.name, codec.kind, codec.version, codec.seed) == ("hific", Coding.GENERATIVE, "miscomp 9", 7)
    assert codec.weights_sha256 == "ab" * 32
    assert codec.setting == "file:mine.pth"
    write(folder / "models.csv", ModelRow, [dataclasses.replace(row, codec="of-tomorrow")])
    codec = from_audit(folder, Wanted(image="a.png", model=MODELS[0])).codec
    assert (codec.name, codec.kind) == ("of-tomorrow", Coding.UNKNOWN)
    write(folder / "models.csv", ModelRow, [dataclasses.replace(row, weights_sha256="not a hash")])
    with pytest.raises(InputError, match=r"report\.json.*weights_sha256"):
        from_audit(folder, Wanted(image="a.png", model=MODELS[0]))


def test_a_result_is_found_by_its_pixels_and_no_other_picture_will_do(audit: tuple[Path, Run]) -> None:
    folder, run = audit
    pixels = np.array(read(folder / run.results[1].reconstruction_file).pixels)
    made = from_audit(folder, Wanted(pixels=pixels))
    assert made.codec.name == MODELS[1].partition("@")[0]
    pixels[0, 0, 0] ^= 1
    with pytest.raises(UsageError, match="no result for exactly these pixels"):
        from_audit(folder, Wanted(pixels=pixels))


def test_several_results_and_none_are_refused_with_what_there_is(audit: tuple[Path, Run]) -> None:
    with pytest.raises(UsageError, match=r"several results that fit \(a\.png by .*plain sky\.png by"):
        from_audit(audit[0])
    with pytest.raises(UsageError, match=r"no result for b\.png; it has a\.png by"):
        from_audit(audit[0], Wanted(image="b.png"))


def test_a_given_reconstruction_has_an_unknown_codec_unless_one_is_named(audit: tuple[Path, Run]) -> None:
    folder, run = audit
    result = run.results[0]
    given = dataclasses.replace(result, row=dataclasses.replace(result.row, model=GIVEN))
    write_json(dataclasses.replace(run, results=(given,)), folder / "report.json")
    made = from_audit(folder)
    assert (made.codec.name, made.codec.kind, made.note) == ("", Coding.UNKNOWN, "")
    named = from_audit(folder, codec=named_codec("hific"))
    assert (named.codec.name, named.note, named.findings) == ("hific", standing_note("by_hand"), made.findings)
    with pytest.raises(UsageError, match="leave the codec out"):
        write_json(run, folder / "report.json")
        from_audit(folder, Wanted(image="a.png", model=MODELS[0]), codec=named_codec("hific"))


def test_a_report_cannot_reach_outside_its_folder_or_lie_about_sizes(audit: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = audit
    (tmp_path / "outside.png").write_bytes(encode_png(noise()))
    first = dataclasses.replace(run.results[0], reconstruction_file="../outside.png")
    write_json(dataclasses.replace(run, results=(first,)), folder / "report.json")
    with pytest.raises(InputError, match="lies outside the report's folder"):
        from_audit(folder)
    (folder / "other.png").write_bytes(encode_png(noise()))
    first = dataclasses.replace(run.results[0], reconstruction_file="other.png")
    write_json(dataclasses.replace(run, results=(first,)), folder / "report.json")
    with pytest.raises(InputError, match="48 x 32 pixels, the report says 128 x 96"):
        from_audit(folder)
    (folder / "other.png").unlink()
    with pytest.raises(ImageError, match="does not exist"):
        from_audit(folder)


def test_a_finding_outside_the_picture_is_an_error_of_the_report(audit: tuple[Path, Run]) -> None:
    folder, run = audit
    write_json(dataclasses.replace(run, results=run.results[:1]), folder / "report.json")
    content = json.loads((folder / "report.json").read_text())
    content["results"][0]["findings"][0]["annotation"]["x"] = 120
    (folder / "report.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="outside the picture"):
        from_audit(folder)


def test_all_findings_are_counted_though_500_are_listed(audit: tuple[Path, Run]) -> None:
    folder, run = audit
    result = run.results[0]
    many = dataclasses.replace(result, findings=result.findings[:1] * (MAX_PLACES + 20))
    write_json(dataclasses.replace(run, results=(many,)), folder / "report.json")
    made = from_audit(folder)
    assert (made.findings, len(made.places)) == (MAX_PLACES + 20, MAX_PLACES)
    listed_only = risk(made.places, width=made.picture.width, height=made.picture.height)
    assert made.risk is not None and made.risk > listed_only


def test_known_error_rates_are_the_benchmark_s() -> None:
    # Oracle: the record that the benchmark itself left for reports.
    figures = known._figures()
    assert figures["detectors"]
    for version, row in figures["detectors"].items():
        standing = standing_of(version)
        assert standing is not None
        assert row["recall"] == standing.recall_at_ten.value
        assert row["false_per_megapixel"] == standing.alarms_per_megapixel(figures["minimum_score"])


def test_error_rates_hold_for_the_measured_version_and_settings_alone() -> None:
    version = next(iter(known._figures()["detectors"]))
    settings = {"detect.minimum_score": 0.05, "detect.text": True}
    measured = describe_detector("fused", version, settings)
    assert measured.recall == 0.9512
    assert measured.false_per_image == 0.15  # 0.383 per megapixel * 0.393216
    assert "492 changes" in measured.measured_on
    for other in (
        describe_detector("fused", version + "+faces", settings),
        describe_detector("fused", version, settings | {"detect.minimum_score": 0.2}),
        describe_detector("fused", version, settings | {"detect.text": False}),
        describe_detector("fused", version, {}),
    ):
        assert (other.recall, other.false_per_image, other.measured_on) == (None, None, "")


def test_a_misc_file_tells_codec_rate_weights_and_pixels(tmp_path: Path) -> None:
    pixels = noise()
    codec = open_codec("lucid")
    content = codec.compress(pixels, 0.4)
    (tmp_path / "a.misc").write_bytes(content)
    made, decoded = from_stream(tmp_path / "a.misc")
    assert (made.codec.name, made.codec.kind, made.compared) == ("lucid", Coding.NEURAL, False)
    assert made.codec.weights_sha256.startswith(unpack(content).weights.hex())
    assert len(made.codec.weights_sha256) == 64
    assert made.bpp == 8 * len(content) / (48 * 32)
    assert np.array_equal(decoded, codec.decompress(content))
    assert made.picture.pixel_sha256 == pixel_sha256(decoded)


@pytest.mark.parametrize(("name", "seeded"), [("hific", False), ("cdc", True)])
def test_a_published_codec_s_file_names_its_checkpoint_and_seed(
    name: str, seeded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = tiny_codec(name)
    monkeypatch.setattr(streams, "open_codec", tiny_codec)
    content = codec.compress(tiny_picture(64, 64), 2)
    (tmp_path / "a.misc").write_bytes(content)
    made, _ = streams.from_stream(tmp_path / "a.misc")
    assert (made.codec.name, made.codec.kind) == (name, Coding.GENERATIVE)
    assert made.codec.weights_sha256 == codec.weights_sha256(2)
    assert (made.codec.seed is not None) == seeded

    def missing(quality: float | None) -> str:
        raise WeightsError(str(quality), "is not here")

    # Weights that cannot be named are left out, never guessed.
    monkeypatch.setattr(type(codec), "weights_sha256", lambda self, quality: missing(quality))
    assert streams.from_stream(tmp_path / "a.misc")[0].codec.weights_sha256 == ""


def test_a_jpeg_is_bound_to_its_upright_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    path = tmp_path / "a.jpg"
    Image.fromarray(noise()).save(path, exif=exif)
    made, decoded = from_stream(path)
    assert (made.picture.width, made.picture.height) == (32, 48) == decoded.shape[1::-1]
    assert made.picture.pixel_sha256 == read(path).pixel_sha256
    assert (made.codec.name, made.codec.kind) == ("jpeg", Coding.CLASSICAL)
    assert made.bpp == 8 * path.stat().st_size / (48 * 32)


def test_files_that_are_no_streams_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(noise()))
    with pytest.raises(StreamError, match="not a file of a known codec"):
        from_stream(tmp_path / "a.png")
    content = bytearray(open_codec("lucid").compress(noise(), 0.4))
    content[-9] ^= 1
    (tmp_path / "b.misc").write_bytes(content)
    with pytest.raises(StreamError, match=r"b\.misc: damaged"):
        from_stream(tmp_path / "b.misc")
    with pytest.raises(ImageError, match="does not exist"):
        from_stream(tmp_path / "c.misc")


def test_a_named_codec_is_the_registry_s_or_has_its_kind_given() -> None:
    assert named_codec("cdc@q2+seed3").model_dump()["seed"] == 3
    assert named_codec("cdc@q2+seed3").setting == "q2+seed3"
    assert (named_codec("lucid").setting, named_codec("lucid").kind) == ("", Coding.NEURAL)
    assert named_codec("mbt2018@file:/home/ann/w.pth").setting == "file:w.pth"
    assert len(named_codec(f"mbt2018@file:/home/{'w' * 999}").setting) < 300
    assert named_codec("MyGAN 3", Coding.GENERATIVE).name == "MyGAN 3"
    assert named_codec("hific", Coding.GENERATIVE) == named_codec("hific")
    with pytest.raises(UnknownName, match="hific"):
        named_codec("hifik")
    with pytest.raises(UsageError, match="hific is generative by this project's table, not classical"):
        named_codec("hific", Coding.CLASSICAL)
    with pytest.raises(UsageError, match="jpeg has no quality 900"):
        named_codec("jpeg@q900")
    with pytest.raises(UsageError, match="1 to 300 characters"):
        named_codec("", Coding.NEURAL)


def test_a_statement_by_name_says_that_nothing_was_compared() -> None:
    made = from_codec(named_codec("hific"), noise())
    assert (made.compared, made.findings, made.risk, made.note) == (False, None, None, standing_note("by_hand"))
    assert made.picture.pixel_sha256 == pixel_sha256(noise())


def test_places_keep_category_and_symbol(audit: tuple[Path, Run]) -> None:
    made = from_audit(audit[0], Wanted(image="a.png", model=MODELS[0]))
    best = max((f.annotation for f in audit[1].results[0].findings), key=lambda one: one.score or 0)
    assert made.places[0] == Place(
        x=best.x, y=best.y, w=best.w, h=best.h, category=best.category, symbol=best.symbol, score=best.score
    )
