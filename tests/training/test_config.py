from __future__ import annotations

from pathlib import Path

import pytest

from miscomp.errors import InputError, UsageError
from miscomp.training.config import TrainConfig, load_config


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_and_overrides_stand_above_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.toml", 'steps = 30\nlearning_rate = 1\nprecision = "no"\n')
    config = load_config(path, TrainConfig, {"steps": 40})
    assert (config.steps, config.learning_rate, config.precision) == (40, 1, "no")
    assert config.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "unknown setting 'stepz'; known: .*steps"),
        ("steps = 3.5", "steps needs a whole number, got 3.5"),
        ("steps = true", "steps needs a whole number, got True"),
        ("drops = 0.5", "drops needs a list of numbers, got 0.5"),
        ('drops = ["a"]', "drops needs a list of numbers"),
        ("precision = 16", "precision needs a text, got 16"),
        ("steps = ", "is not TOML"),
        ("steps = " + "9" * 5000, "is not TOML"),
        ("drops = " + "[" * 100_000, "is not TOML"),
    ],
)
def test_an_unknown_setting_or_a_wrong_type_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.toml", text)
    with pytest.raises(InputError, match=message) as caught:
        load_config(path, TrainConfig)
    assert caught.value.where == str(path)


def test_a_missing_file_is_an_error_of_the_family(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "none.toml", TrainConfig)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("batch_size", 10**9),
        ("seed", 2**32),
        ("learning_rate", 1e300),
        ("lmbda_high", 1e300),
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
        ("ema", 1.0),
        ("drop_factor", 0.0),
        ("drops", (0.5, 0.5)),
        ("drops", (0.0,)),
        ("valid_pictures", 0),
        ("validate_every", 0),
        ("precision", "fp8"),
        ("device", "tpu"),
    ],
)
def test_a_value_out_of_its_range_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        TrainConfig(**{name: value})  # type: ignore[arg-type]


def test_a_list_of_drops_is_read_from_a_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "a.toml", "drops = [0.5, 0.75]\ndrop_factor = 0.3\n"), TrainConfig)
    assert (config.drops, config.drop_factor) == ((0.5, 0.75), 0.3)


def test_fp16_is_for_gpus_alone() -> None:
    assert TrainConfig(precision="fp16", device="cuda").precision == "fp16"
    with pytest.raises(UsageError, match=r"fp16.*needs the device 'cuda'"):
        TrainConfig(precision="fp16")
