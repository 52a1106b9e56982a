from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from miscomp import images
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.codecs.lucid_weights import read_weights
from miscomp.errors import ImageError, UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr
from miscomp.training.calibration import Fit
from miscomp.training.codec import export_weights, principal_components, train_codec
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource
from miscomp.training.runfolder import Surroundings

TINY = LucidConfig(
    stem=4, middle=6, head=4, latent=8, core=6, hyper=6, groups=(2, 6), hidden=(4, 4), prior=4, gain_steps=3
)
CONFIG = TrainConfig(steps=2, batch_size=2, crop=64, precision="no", fit_batches=4)


def smooth(height: int, width: int) -> Pixels:
    y, x = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin(x / 23)[..., None] * [1, 0.5, -0.5] + 40 * np.cos(y / 17)[..., None]
    pixels: Pixels = np.clip(waves, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, size in enumerate([(80, 70), (90, 100), (20, 20)]):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        images.write_png(folder / f"{number}.png", pixels)
    return folder


def test_training_ends_in_weights_that_the_codec_loads(photographs: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    weights = train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY, around=Surroundings(talk=lines.append))
    codec, x = Lucid(weights), images.read(photographs / "0.png").pixels
    assert codec.decompress(codec.compress(x, 0.5)).shape == x.shape
    assert lines[0].startswith("2 of 3 pictures")
    assert codec.weights_sha256 in lines[-1]


def test_the_same_seed_gives_the_same_weights_and_leaves_the_caller_s_generator(
    photographs: Path, tmp_path: Path
) -> None:
    state = torch.random.get_rng_state()
    one = train_codec(photographs, tmp_path / "one", CONFIG, widths=TINY)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    two = train_codec(photographs, tmp_path / "two", CONFIG, widths=TINY)
    assert one.read_bytes() == two.read_bytes()


def test_exporting_a_checkpoint_again_gives_the_same_bytes(photographs: Path, tmp_path: Path) -> None:
    weights = train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY)
    pixels = [images.read(file).pixels for file in sorted(photographs.iterdir())]
    source = CropSource(pixels, crop=CONFIG.crop, batch_size=CONFIG.batch_size, seed=CONFIG.seed)
    fit = Fit(source, CONFIG.steps, CONFIG.fit_batches)
    sha256 = export_weights(tmp_path / "run" / "checkpoint.pt", tmp_path / "again.safetensors", widths=TINY, fit=fit)
    assert (tmp_path / "again.safetensors").read_bytes() == weights.read_bytes()
    assert Lucid(weights).weights_sha256 == sha256


def test_a_checkpoint_of_other_widths_or_none_is_refused(photographs: Path, tmp_path: Path) -> None:
    train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY)
    with pytest.raises(WeightsError, match="does not hold networks of these widths"):
        export_weights(tmp_path / "run" / "checkpoint.pt", tmp_path / "out.safetensors")
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        export_weights(tmp_path / "none.pt", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_pictures_that_cannot_be_used_are_an_error_before_anything_is_written(
    photographs: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="256 x 256"):
        train_codec(photographs, tmp_path / "run", TrainConfig(crop=256, precision="no"), widths=TINY)
    (photographs / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_which_another_run_is_at_work_is_refused(photographs: Path, tmp_path: Path) -> None:
    # The lock is the system's: a second opening of the folder stands for a second process.
    (tmp_path / "run").mkdir()
    other = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match="another training run is writing to"):
        train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY)
    assert list((tmp_path / "run").iterdir()) == []
    os.close(other)


def test_weights_that_no_checkpoint_of_the_folder_explains_are_not_overwritten(
    photographs: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "run" / "lucid.safetensors"
    foreign.parent.mkdir()
    foreign.write_text("somebody's")
    with pytest.raises(UsageError, match=r"lucid\.safetensors exists, without a checkpoint"):
        train_codec(photographs, foreign.parent, CONFIG, widths=TINY)
    assert foreign.read_text() == "somebody's" and [*foreign.parent.iterdir()] == [foreign]


def test_the_principal_components_are_those_of_the_patches() -> None:
    source = CropSource([smooth(160, 200)], crop=64, batch_size=2, seed=3)
    basis, deviation = principal_components(source, 12, batches=4)
    assert torch.allclose(basis @ basis.T, torch.eye(12), atol=1e-5)
    assert deviation.tolist() == sorted(deviation.tolist(), reverse=True)
    patches = torch.cat([torch.nn.functional.pixel_unshuffle(source.batch(i)[0] - 0.5, 16) for i in range(4)])
    rows = patches.permute(0, 2, 3, 1).flatten(0, 2).double()
    # Oracle: numpy's singular values of the same patches.
    singular = np.linalg.svd(rows.numpy(), compute_uv=False)[:12] / np.sqrt(len(rows))
    assert deviation.numpy() == pytest.approx(singular, rel=1e-3, abs=1e-4)


def test_a_model_starts_near_the_transform_it_is_given() -> None:
    source = CropSource([smooth(160, 200)], crop=64, batch_size=2, seed=3)
    x, quality = source.batch(9)
    best, noise = torch.ones_like(quality), torch.Generator().manual_seed(0)
    model = LucidModel(TINY)
    untrained = psnr(x, model(x, best, noise).x_hat).mean()
    model.start_from(*principal_components(source, TINY.latent, batches=4))
    started = psnr(x, model(x, best, noise).x_hat).mean()
    assert started > 25
    assert started > untrained + 5


def test_a_run_can_start_from_a_weights_file(photographs: Path, tmp_path: Path) -> None:
    first = train_codec(photographs, tmp_path / "first", CONFIG, widths=TINY)
    # A step of no length: what comes out is what went in, up to the rounding of the file; its widths are the file's.
    config = replace(CONFIG, steps=1, learning_rate=1e-12, start=str(first))
    second = train_codec(photographs, tmp_path / "second", config)
    fresh = train_codec(photographs, tmp_path / "fresh", replace(config, start="", seed=1), widths=TINY)
    begun, went_on, other_start = (read_weights(path).model.state_dict() for path in (first, second, fresh))
    assert all(torch.allclose(begun[name], tensor, atol=0.01, rtol=0.01) for name, tensor in went_on.items())
    assert not all(torch.allclose(begun[name], tensor, atol=0.01, rtol=0.01) for name, tensor in other_start.items())
    other = replace(TINY, prior=6)
    with pytest.raises(WeightsError, match="this run needs"):
        train_codec(photographs, tmp_path / "third", config, widths=other)
    with pytest.raises(WeightsError, match=r"none\.safetensors: cannot be read"):
        train_codec(photographs, tmp_path / "third", replace(config, start="none.safetensors"))
    assert not (tmp_path / "third").exists()


def test_validation_chooses_the_weights_and_is_written_down(photographs: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    run = tmp_path / "run"
    config = replace(CONFIG, steps=3, valid=str(photographs), valid_pictures=1, validate_every=1, fit_batches=0)
    weights = train_codec(photographs, run, config, widths=TINY, around=Surroundings(talk=lines.append))
    assert "the weights of the best validation" in lines[-1]
    best = tmp_path / "best.safetensors"
    assert export_weights(run / "best.pt", best, widths=TINY) == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert images.read(run / "reconstructions" / "validation.png").width > 4 * 64
    saved = json.loads((run / "config.json").read_text())
    sha1 = "".join(images.read(file).image_sha1 for file in sorted(photographs.iterdir()))
    expected = {"pictures": 3, "sha256": hashlib.sha256(sha1.encode()).hexdigest()}
    assert saved["training_data"] == saved["validation_data"] == {"folder": str(photographs), **expected}
