"""corpus.toml: every default comes back from the file that is written, and every mistake is one clear message."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from corpora import MODELS, small_config

from miscomp.codecs.spec import parse_spec
from miscomp.corpus.config import CONFIG, Config, Model, Section, read_config, write_toml
from miscomp.corpus.profiles import PROFILES
from miscomp.errors import InputError

SECTIONS = ("about", "database", "images", "screening", "compress", "batches")


def written(folder: Path, config: Config) -> Path:
    path = folder / CONFIG
    path.write_text(write_toml(config), encoding="utf-8")
    return path


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + 'é "x" \\ \n\t\x01\x7f # ='
    if isinstance(value, dict):
        return {'a "key" with spaces.\x7fä': 0.25, **value}
    return (*value, "another-one")


@pytest.mark.parametrize("name", PROFILES.names)
def test_every_profile_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    config = PROFILES[name].config()
    path = written(tmp_path, config)
    assert read_config(path) == config
    assert tomllib.loads(path.read_text(encoding="utf-8"))["batches"]["bulk_images"] == 200


def test_the_defaults_are_those_of_an_empty_file_and_all_are_written_with_a_comment(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    assert read_config(tmp_path / "empty.toml") == Config() == read_config(written(tmp_path, Config()))
    lines = write_toml(Config()).splitlines()
    for name in SECTIONS:
        section: Section = getattr(Config(), name)
        for key, field in type(section).model_fields.items():
            place = lines.index(f"# {field.description}", lines.index(f"[{name}]"))
            assert field.description and lines[place + 1].startswith(f"{key} = ")


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_that_is_changed_comes_back(name: str, tmp_path: Path) -> None:
    section = getattr(Config(), name)
    for key in type(section).model_fields:
        config = Config.model_validate({name: {key: changed(getattr(section, key))}})
        assert config != Config()
        assert read_config(written(tmp_path, config)) == config


def test_models_halves_and_long_lists_come_back(tmp_path: Path) -> None:
    config = small_config(
        seed=2**63 - 1,
        halves=(("C1",), ("C1", "C2")),
        batches={"labelers": [f"labeler-{n}" for n in range(40)]},
        screening={"include": ['with "quotes", commas\nand lines'] * 9},
    )
    assert read_config(written(tmp_path, config)) == config
    assert [one.model for one in config.models_of(0)] == ["01L", "01H"]
    assert config.models_of(1) == config.models_of(None) == MODELS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", r"sed: Extra inputs are not permitted \(found 1\)"),
        ("[batches]\nsize = 3", "batches.size: Extra inputs"),
        ("[batch]\nsize = 3", "batch: Extra inputs"),
        ("seed = -1", "seed: Input should be greater than or equal to 0"),
        ("seed = 9223372036854775808", "seed: Input should be less than"),
        ('seed = "many"', r"seed: Input should be a valid integer.*\(found 'many'\)"),
        ("[images]\nmultiple = 0", "images.multiple: Input should be greater than or equal to 1"),
        ("[images]\nscales = {RAISE = 1.5}", "images.scales.RAISE: Input should be less than or equal to 1"),
        ("[images]\nscales = {RAISE = nan}", "images.scales.RAISE: "),
        ("[images]\nmax_megapixels = inf", "images.max_megapixels: "),
        ("[compress]\nmin_free_gib = nan", "compress.min_free_gib: "),
        ("[screening]\nscreeners = 0", "screening.screeners: "),
        ('[batches]\nlabelers = ["ann", "ann"]', "batches: .*labelers name ann twice"),
        ('[batches]\nlabelers = ["../ann"]', r"batches.labelers.0: .*\(found '../ann'\)"),
        ("[batches]\nlabelers = []", "batches.labelers: "),
        ("[batches]\nbulk_images = 0\nbatch_size = 0", "batches.bulk_images: .*; batches.batch_size: "),
        ('halves = [["C1"]]', r"halves name C1, no model has such a codec; known: \[\]"),
        ("halves = [[]]", "halves.0: "),
        ("seed = 1\nseed = 2", "cannot be read as settings of a corpus: Cannot overwrite a value"),
        ("seed = " + "[" * 100_000, "cannot be read as settings of a corpus: "),
        ("seed =", "cannot be read as settings of a corpus: Invalid value"),
    ],
)
def test_a_mistake_is_one_message_that_names_the_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / CONFIG
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*{message}") as caught:
        read_config(path)
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([("01L", "C1", "jpeg@q10"), ("01L", "C1", "jpeg@q20")], "models name 01L twice"),
        ([("01L", "C1", "jpeg@q10"), ("01l", "C1", "jpeg@q20")], "without regard to capitals.* name 01l twice"),
        ([("01L", "C1", "jpg@q10")], "models.0: .*unknown codec 'jpg'"),
        ([("01L", "C1", "jpeg@q500")], "models.0: "),
        ([("a/b", "C1", "jpeg@q10")], r"models.0.model: .*\(found 'a/b'\)"),
        ([("..", "C1", "jpeg@q10")], "models.0.model: "),
        ([("x" * 65, "C1", "jpeg@q10")], "models.0.model: "),
        ([("01L\n", "C1", "jpeg@q10")], "models.0.model: "),
        ([("01L", "", "jpeg@q10")], "models.0.codec: "),
    ],
)
def test_models_that_cannot_be_are_refused(models: list[tuple[str, str, str]], message: str, tmp_path: Path) -> None:
    tables = [f"[[models]]\nmodel = {a!r}\ncodec = {b!r}\nspec = {c!r}\n" for a, b, c in models]
    text = "\n".join(tables).replace("'", '"')
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / CONFIG)


def test_a_file_that_is_no_text_or_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / CONFIG, tmp_path / "missing.toml", tmp_path):
        with pytest.raises(InputError, match="cannot be read as settings of a corpus"):
            read_config(path)


def test_a_wrong_key_of_the_database_does_not_show_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('[database]\npassword = "secret"\nurl = ["secret"]')
    with pytest.raises(InputError, match=r"database\.url: .*database\.password: ") as caught:
        read_config(tmp_path / CONFIG)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", PROFILES.names)
def test_every_codec_of_a_profile_is_known_and_written_as_it_is_read(name: str) -> None:
    for model in PROFILES[name].models:
        assert str(parse_spec(model.spec)) == model.spec
        assert model.target_bpp is not None
    assert PROFILES[name].config().models == PROFILES[name].models


def test_the_profile_sclic_has_the_papers_six_codecs_at_two_rates() -> None:
    profile = PROFILES["sclic"]
    # Oracle: the settings of the paper's appendix 1.2, table by table.
    assert {one.model: one.spec for one in profile.models} == {
        "01L": "bmshj2018-hyperprior@q3",
        "01H": "bmshj2018-hyperprior@q7",
        "02L": "bmshj2018-hyperprior-ms-ssim@0.25bpp",
        "02H": "bmshj2018-hyperprior-ms-ssim@0.75bpp",
        "03L": "hific@q1",
        "03H": "hific@q3",
        "04L": "stf@q3",
        "04H": "stf@q5",
        "05L": "cdc@q1+seed0",
        "05H": "cdc@q3+seed0",
        "06L": "jpeg-ai@0.25bpp",
        "06H": "jpeg-ai@0.75bpp",
    }
    rates = {one.model: one.target_bpp for one in profile.models}
    assert {rate for model, rate in rates.items() if model[:2] != "03"} == {0.25, 0.75}
    assert (rates["03L"], rates["03H"]) == (0.14, 0.45)
    assert profile.halves == (("C1", "C3", "C5", "C6"), ("C2", "C3", "C4", "C6"))
    stand_ins = {one.codec for one in profile.models if one.stand_in}
    assert stand_ins == {"C1", "C2", "C3"}
    own = PROFILES["sclic-tfci"]
    assert not any(one.stand_in for one in own.models)
    assert own.models[6:] == profile.models[6:] and own.halves == profile.halves
    assert all(one.spec.startswith("tfci-") for one in own.models[:6])


def test_the_numbers_of_the_paper_are_the_defaults() -> None:
    config = Config()
    assert (config.images.multiple, config.images.max_side, config.images.scales) == (16, 2304, {"RAISE": 0.4})
    assert (config.screening.screeners, config.batches.bulk_images, config.batches.batch_size) == (2, 200, 25)
    assert (config.batches.instances, len(config.batches.labelers), config.batches.agreement_batches) == (3, 3, 2)


def test_a_model_needs_a_rate_above_zero() -> None:
    with pytest.raises(ValueError, match="target_bpp"):
        Model(model="01L", codec="C1", spec="jpeg@q10", target_bpp=0)
