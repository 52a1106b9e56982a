from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lucid import photograph, tiny_model

from miscomp import images
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_weights import read_weights, shipped_weights, write_weights
from miscomp.errors import UnknownName, UsageError, WeightsError
from miscomp.secure.bases import open_base
from miscomp.secure.config import SecureConfig
from miscomp.secure.lucid_base import LucidBase
from miscomp.secure.train import train_secure
from miscomp.training.loop import Stopped
from miscomp.training.runfolder import Surroundings


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, noise in enumerate((4.0, 8.0, 30.0)):
        images.write_png(folder / f"{number}.png", photograph(80 + 8 * number, 96, noise=noise))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> SecureConfig:
    start = tmp_path / "base.safetensors"
    write_weights(tiny_model(), start)
    return SecureConfig(
        steps=4, batch_size=2, crop=64, precision="no", fit_batches=2, log_every=1, start=str(start), warmup=0
    )


def test_training_ends_in_weights_that_the_codec_loads(photographs: Path, tmp_path: Path, config: SecureConfig) -> None:
    lines: list[str] = []
    weights = train_secure(photographs, tmp_path / "run", config, around=Surroundings(talk=lines.append))
    codec, x = Lucid(weights, name="slic"), images.read(photographs / "0.png").pixels
    content = codec.compress(x, 0.65)
    assert codec.decompress(content).shape == x.shape
    assert codec.weights_sha256 in lines[-1]
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    assert about["settings"]["metric"] == "log-mse+structure" and about["training_data"]["pictures"] == 3


def test_the_same_seed_gives_the_same_weights_cut_off_or_not(
    photographs: Path, tmp_path: Path, config: SecureConfig
) -> None:
    whole = train_secure(photographs, tmp_path / "whole", config)
    asked = [False, True]
    with pytest.raises(Stopped):
        train_secure(photographs, tmp_path / "cut", config, around=Surroundings(stop=lambda: asked.pop(0)))
    resumed = train_secure(photographs, tmp_path / "cut", config)
    assert resumed.read_bytes() == whole.read_bytes()


def test_the_log_has_what_each_edit_reached_and_validation_a_sheet(
    photographs: Path, tmp_path: Path, config: SecureConfig
) -> None:
    several = SecureConfig(**{**vars(config), "steps": 12, "valid": str(photographs), "valid_pictures": 3})
    train_secure(photographs, tmp_path / "run", several)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    drawn = {name for row in rows for name, value in row.items() if name.endswith("_db") and value}
    assert {"psnr_db", "again_db", "blur_db", "jpeg_db"} <= drawn
    # A line holds the edit of its step alone.
    assert any(row["blur_db"] == "" for row in rows)
    with (tmp_path / "run" / "valid.csv").open() as file:
        (row,) = list(csv.DictReader(file))
    assert float(row["loss"]) > 0
    sheet = images.read(tmp_path / "run" / "reconstructions" / "validation.png").pixels
    assert np.ptp(sheet) > 100


def test_training_changes_what_the_second_compression_does(
    photographs: Path, tmp_path: Path, config: SecureConfig
) -> None:
    settings = {**vars(config), "steps": 40, "learning_rate": 3e-3, "alpha": 50.0, "ema": 0.0, "attacks": "blur"}
    weights = train_secure(photographs, tmp_path / "run", SecureConfig(**settings))
    with (tmp_path / "run" / "log.csv").open() as file:
        again = [float(row["again_db"]) for row in csv.DictReader(file)]
    # Oracle: it falls by more than it varies from batch to batch (0.7 dB).
    assert np.mean(again[-5:]) < np.mean(again[:5]) - 1
    assert weights.exists()


def test_what_cannot_be_trained_is_refused_before_anything_begins(
    photographs: Path, tmp_path: Path, config: SecureConfig
) -> None:
    for wrong, error, message in (
        ({"metric": "beauty"}, UnknownName, "beauty"),
        ({"metric": "lpips"}, WeightsError, "vgg16"),
        ({"base": "jpeg"}, UsageError, "jpeg"),
        ({"base": "lucid@q0.5"}, UsageError, "needs no setting"),
        ({"attacks": "blur,melt"}, UsageError, "melt"),
        ({"jpeg": "unet"}, UsageError, "unet"),
    ):
        with pytest.raises(error, match=message):
            train_secure(photographs, tmp_path / "run", SecureConfig(**{**vars(config), **wrong}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["lucid", "slic"])
def test_a_base_begins_with_the_weights_of_its_own_name(name: str) -> None:
    base = open_base(name)
    assert isinstance(base, LucidBase)
    expected = read_weights(shipped_weights(name)).model.g_s.enter.weight
    assert torch.equal(base.model.g_s.enter.weight, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tau": 0.0},
        {"alpha": -1.0},
        {"quality_low": 0.8, "quality_high": 0.5},
        {"jpeg_low": 0},
        {"blur_most": float("nan")},
        {"alpha": float("nan")},
        {"survive": float("nan")},
        {"survive_db": 100.0},
    ],
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        SecureConfig(**wrong)  # type: ignore[arg-type]


def test_the_caller_s_generator_stays_as_it_was(photographs: Path, tmp_path: Path, config: SecureConfig) -> None:
    state = torch.random.get_rng_state()
    train_secure(photographs, tmp_path / "run", config)
    assert torch.equal(torch.random.get_rng_state(), state)
