"""Training UNetJPEG. Oracles: Pillow's JPEG of the same crop, errors computed by hand, files of the run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from planted import lawn, with_disc
from torch import Tensor, nn

from miscomp.errors import InputError, UsageError, WeightsError
from miscomp.images import Pixels, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.tensors import to_pixels, to_tensor
from miscomp.training.config import JpegSimConfig, load_config
from miscomp.training.jpeg_simulation import open_simulation
from miscomp.training.jpegsim import JpegLoss, JpegPairs, JpegValidation, export_unet_jpeg, train_jpegsim
from miscomp.training.runfolder import Surroundings
from miscomp.training.unet_jpeg import UNetJpeg, read_unet_jpeg, write_unet_jpeg

CONFIG = JpegSimConfig(steps=2, batch_size=3, crop=64, width=2, precision="no")


def by_pillow(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def changed(**settings: object) -> JpegSimConfig:
    return JpegSimConfig(**{**CONFIG.__dict__, **settings})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        write_png(folder / f"{seed}.png", with_disc(lawn(140, 150, seed=seed), (80, 70), 36))
    return folder


class Identity(nn.Module):
    """Gives the picture back, times a weight of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        return self.weight * x


def test_a_batch_pairs_crops_with_their_jpeg_at_the_quality_it_names() -> None:
    source = JpegPairs([lawn(140, 150)], CONFIG)
    seen = set()
    for step in range(40):
        pair, quality = source.batch(step)
        assert pair.shape == (3, 6, 64, 64)
        for one, level in zip(pair, quality.tolist(), strict=True):
            pixels, wanted = to_pixels(one[None, :3]), to_pixels(one[None, 3:])
            assert torch.equal(to_tensor(pixels)[0], one[:3])
            assert np.array_equal(by_pillow(pixels, int(level)), wanted)
            seen.add(level)
    assert min(seen) < 15 and max(seen) > 95 and all(10 <= level <= 100 and level == int(level) for level in seen)
    again = JpegPairs([lawn(140, 150)], CONFIG).batch(7)
    assert all(torch.equal(a, b) for a, b in zip(again, source.batch(7), strict=True))


def test_the_loss_is_the_mean_squared_error_against_jpeg() -> None:
    pair, quality = JpegPairs([lawn(140, 150)], CONFIG).batch(0)
    loss, figures = JpegLoss()(Identity(), pair, quality, torch.Generator())
    assert float(loss.detach()) == pytest.approx(float((pair[:, :3] - pair[:, 3:]).square().mean()), rel=1e-5)
    per_picture = [psnr_pixels(to_pixels(one[None, :3]), to_pixels(one[None, 3:])) for one in pair]
    assert figures["psnr_db"] == pytest.approx(sum(per_picture) / 3, abs=1e-3)


def test_validation_measures_against_jpeg_beside_the_untouched_picture(photos: Path) -> None:
    pictures = [read(file) for file in sorted(photos.iterdir())]
    with torch.inference_mode():
        rows = JpegValidation(pictures, count=2)(Identity(), 0)
    assert [row["quality"] for row in rows] == [10, 30, 50, 70, 90]
    for row in rows:
        centres = [picture.pixels[6:134, 11:139] for picture in pictures]
        wanted = sum(psnr_pixels(crop, by_pillow(np.ascontiguousarray(crop), int(row["quality"]))) for crop in centres)
        assert row["identity_psnr_db"] == row["psnr_db"] == pytest.approx(wanted / 2, abs=1e-3)


def test_a_few_steps_come_nearer_to_jpeg(photos: Path, tmp_path: Path) -> None:
    config = changed(steps=40, width=4, warmup=5, learning_rate=5e-3, ema=0.5, valid=str(photos), validate_every=20)
    train_jpegsim(photos, tmp_path / "run", config)
    with (tmp_path / "run" / "valid.csv").open() as file:
        rows = [float(row["psnr_db"]) for row in csv.DictReader(file)]
    assert len(rows) == 2 * 5
    assert sum(rows[-5:]) > sum(rows[:5]) + 5 * 2


@pytest.mark.parametrize("residual", [False, True])
def test_a_run_writes_weights_that_a_simulation_opens(photos: Path, tmp_path: Path, residual: bool) -> None:
    told: list[str] = []
    config = changed(residual=residual, valid=str(photos), validate_every=1)
    weights = train_jpegsim(photos, tmp_path / "run", config, around=Surroundings(talk=told.append))
    loaded = read_unet_jpeg(weights)
    assert (weights.name, loaded.network.width, loaded.network.residual) == ("unet_jpeg.safetensors", 2, residual)
    assert loaded.sha256 in told[-1] and "of the best validation" in told[-1]
    assert open_simulation("unet", weights)(torch.rand(1, 3, 9, 9), torch.tensor([50.0])).shape == (1, 3, 9, 9)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["training_data"]["pictures"] == saved["validation_data"]["pictures"] == 2
    assert saved["settings"]["residual"] is residual
    assert "identity_psnr_db" in (tmp_path / "run" / "valid.csv").read_text()


def test_a_run_starts_from_weights_of_its_own_kind_only(photos: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    write_unet_jpeg(UNetJpeg(2), start)
    train_jpegsim(photos, tmp_path / "run", changed(start=str(start)))
    with pytest.raises(WeightsError, match="has the width 2 and residual False, this run needs 3 and False"):
        train_jpegsim(photos, tmp_path / "other", changed(start=str(start), width=3))
    with pytest.raises(WeightsError, match="this run needs 2 and True"):
        train_jpegsim(photos, tmp_path / "other", changed(start=str(start), residual=True))


def test_the_first_weights_follow_from_the_seed_and_leave_the_callers_numbers_alone(
    photos: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first, second = (train_jpegsim(photos, tmp_path / name, CONFIG).read_bytes() for name in ("a", "b"))
    assert first == second
    assert torch.equal(torch.rand(3), wanted)
    assert train_jpegsim(photos, tmp_path / "c", changed(seed=1)).read_bytes() != first


def test_pictures_that_are_too_small_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", lawn(40, 40))
    with pytest.raises(UsageError, match="training needs photographs of at least 64 x 64"):
        train_jpegsim(tmp_path, tmp_path / "run", CONFIG)
    with pytest.raises(UsageError, match="validation needs pictures of at least 64 x 64 pixels, none of 1 is"):
        JpegValidation([read(tmp_path / "a.png")], count=1)
    with pytest.raises(UsageError, match="width must be at most 96, got 97"):
        changed(width=97)


def test_a_switch_in_a_settings_file_is_true_or_false(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("residual = true\nwidth = 8\n")
    assert load_config(file, JpegSimConfig) == JpegSimConfig(residual=True, width=8)
    file.write_text("residual = 1\n")
    with pytest.raises(InputError, match="setting residual needs true or false, got 1"):
        load_config(file, JpegSimConfig)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model": UNetJpeg(3).state_dict()}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="does not hold UNetJPEG of width 2"):
        export_unet_jpeg(tmp_path / "c.pt", tmp_path / "out", width=2, residual=False)
