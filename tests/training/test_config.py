from __future__ import annotations

import json
from pathlib import Path

import pytest

from miscomp.errors import InputError, UsageError
from miscomp.training.config import TrainConfig, load_config


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_and_overrides_stand_above_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", 'steps = 30\nlearning_rate = 1\nprecision = "no"\n')
    config = load_config(path, {"steps": 40})
    assert (config.steps, config.learning_rate, config.precision) == (40, 1, "no")
    assert config.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "unknown setting 'stepz'; known: .*steps"),
        ("steps = 3.5", "steps needs a whole number, got 3.5"),
        ("steps = true", "steps needs a whole number, got True"),
        ("precision = 16", "precision needs a text, got 16"),
        ("steps = ", "is not TOML"),
    ],
)
def test_an_unknown_setting_or_a_wrong_type_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.toml", text)
    with pytest.raises(InputError, match=message) as caught:
        load_config(path)
    assert caught.value.where == str(path)


def test_a_missing_file_is_an_error_of_the_family(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("save_every", 0),
        ("log_every", -1),
        ("crop", 100),
        ("warmup", -1),
        ("seed", -1),
        ("decay", 1.5),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("clip", float("inf")),
        ("lmbda_low", -0.1),
        ("lmbda_high", 1e-9),
        ("precision", "fp8"),
        ("device", "tpu"),
    ],
)
def test_a_value_out_of_its_range_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        TrainConfig(**{name: value})  # type: ignore[arg-type]


def test_saved_settings_hold_every_field(tmp_path: Path) -> None:
    config = TrainConfig(steps=7)
    config.save(tmp_path / "config.json")
    assert TrainConfig(**json.loads((tmp_path / "config.json").read_text())) == config
