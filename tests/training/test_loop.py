from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.errors import UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource
from miscomp.training.loop import CHECKPOINT, learning_rate_factor, read_checkpoint, train
from miscomp.training.losses import RateDistortion

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)
CONFIG = TrainConfig(
    steps=20, batch_size=4, crop=64, learning_rate=2e-3, warmup=2, precision="no", save_every=5, log_every=5
)
SHORT = replace(CONFIG, steps=8, save_every=4, log_every=2)
LOSS = RateDistortion(lmbda_low=0.0008, lmbda_high=0.08)


def photograph() -> Pixels:
    y, x = np.mgrid[:160, :160]
    waves = 128 + 70 * np.sin(x / 9)[..., None] * [1, 0.5, -0.5] + 40 * np.cos(y / 7)[..., None]
    pixels: Pixels = np.clip(waves, 0, 255).astype(np.uint8)
    return pixels


def crops() -> CropSource:
    return CropSource([photograph()], crop=64, batch_size=4, seed=0)


def tiny_model() -> LucidModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LucidModel(TINY)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Killed(Exception):
    pass


class KilledAt:
    """Batches of another source until a step at which the run is cut off."""

    def __init__(self, source: CropSource, step: int) -> None:
        self.source, self.step = source, step

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        if step == self.step:
            raise Killed
        return self.source.batch(step)


def test_twenty_steps_lower_the_loss_and_write_checkpoint_settings_and_log(tmp_path: Path) -> None:
    lines: list[str] = []
    train(tiny_model(), LOSS, crops(), CONFIG, tmp_path, talk=lines.append)
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert losses[-1] < 0.9 * losses[0]
    assert [row["step"] for row in rows(tmp_path)] == ["5", "10", "15", "20"]
    assert len(lines) == 4
    assert "step 20/20: loss" in lines[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, "config.json", "log.csv"]


def test_a_run_that_was_cut_off_and_resumed_equals_one_that_was_not(tmp_path: Path) -> None:
    whole = train(tiny_model(), LOSS, crops(), SHORT, tmp_path / "whole")
    with pytest.raises(Killed):
        train(tiny_model(), LOSS, KilledAt(crops(), 7), SHORT, tmp_path / "cut")
    torch.manual_seed(99)  # what else goes on in the process does not matter
    resumed = train(tiny_model(), LOSS, crops(), SHORT, tmp_path / "cut")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    one, two = rows(tmp_path / "whole"), rows(tmp_path / "cut")
    for row in (*one, *two):
        del row["seconds_per_step"]
    assert one == two


def test_a_finished_run_that_is_resumed_changes_nothing(tmp_path: Path) -> None:
    train(tiny_model(), LOSS, crops(), SHORT, tmp_path)
    before = read_checkpoint(tmp_path / CHECKPOINT)
    model = train(tiny_model(), LOSS, crops(), SHORT, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = TrainConfig(steps=100, warmup=10, decay=0.25)
    # Oracle: by hand.
    expected = {0: 0.1, 9: 1.0, 10: 1.0, 74: 1.0, 75: 1.0, 80: 0.8, 99: 0.04}
    assert {step: learning_rate_factor(step, config) for step in expected} == pytest.approx(expected)


def test_a_longer_run_begins_like_a_shorter_one_until_that_decays() -> None:
    short, long = TrainConfig(steps=1000, decay=0.25), TrainConfig(steps=5000, decay=0.25)
    for step in (0, 100, 300, 749):
        assert learning_rate_factor(step, short) == learning_rate_factor(step, long)


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    class Broken:
        def __call__(
            self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
        ) -> tuple[Tensor, dict[str, float]]:
            value, figures = LOSS(model, x, quality, noise)
            return value * float("nan"), figures

    before = tiny_model().state_dict()
    model = train(tiny_model(), Broken(), crops(), SHORT, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert rows(tmp_path)[-1]["skipped"] == "8"


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "other widths"])
def test_a_damaged_or_foreign_checkpoint_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({"step": 3, "model": tiny_model().state_dict(), "optimizer": {}}, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        torch.save({"step": 3, "model": {"g_a.1.weight": torch.zeros(3)}, "optimizer": {}}, path)
    with pytest.raises(WeightsError, match=rf"{CHECKPOINT}: is not a checkpoint of this model"):
        train(tiny_model(), LOSS, crops(), CONFIG, tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "trap",))  # type: ignore[return-value]

    torch.save({"step": 0, "model": Trap(), "optimizer": {}}, tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError):
        train(tiny_model(), LOSS, crops(), CONFIG, tmp_path)
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / CHECKPOINT)
    assert not (tmp_path / "trap").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said() -> None:
    config = TrainConfig(device="cuda")
    with pytest.raises(UsageError, match="no CUDA device"):
        train(tiny_model(), LOSS, crops(), config, Path("never-made"))
    assert not Path("never-made").exists()


def test_the_loss_is_rate_plus_weighted_distortion() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor, quality: Tensor, noise: Generator) -> object:
            from miscomp.codecs.lucid_model import LucidOutput

            return LucidOutput(x + 0.1, torch.full((x.shape[0],), 64.0 * 64))

    x, quality = torch.zeros(1, 3, 64, 64), torch.tensor([0.5])
    value, figures = LOSS(Fixed(), x, quality, Generator())
    # Oracle: at quality 0.5 the balancing weight is 1, lmbda = 0.008, so 1 + 0.008 * 255^2 * 0.01.
    assert float(value) == pytest.approx(1 + 0.008 * 255**2 * 0.01, rel=1e-5)
    assert figures == pytest.approx({"estimated_bpp": 1.0, "psnr_db": 20.0}, rel=1e-5)


def test_a_run_cannot_go_on_with_another_seed(tmp_path: Path) -> None:
    train(tiny_model(), LOSS, crops(), SHORT, tmp_path)
    with pytest.raises(UsageError, match="begun with seed 0 and cannot go on with 5"):
        train(tiny_model(), LOSS, crops(), replace(SHORT, seed=5), tmp_path)
