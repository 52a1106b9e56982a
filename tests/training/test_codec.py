from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from miscomp import images
from miscomp.codecs.entropy import SCALE_MIN
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.errors import ImageError, UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr
from miscomp.training.codec import export_weights, principal_components, train_codec
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)
CONFIG = TrainConfig(steps=2, batch_size=2, crop=64, precision="no")


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
    weights = train_codec(photographs, tmp_path / "run", CONFIG, widths=TINY, talk=lines.append)
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
    sha256 = export_weights(tmp_path / "run" / "checkpoint.pt", tmp_path / "again.safetensors", widths=TINY)
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


def test_a_model_starts_as_the_transform_it_is_given() -> None:
    source = CropSource([smooth(160, 200)], crop=64, batch_size=2, seed=3)
    model = LucidModel(TINY)
    model.start_from(*principal_components(source, TINY.latent, batches=4))
    x, _ = source.batch(9)
    patches = torch.nn.functional.pixel_unshuffle(x - 0.5, 16)
    linear = torch.nn.functional.pixel_shuffle(model.lower(model.lift(patches)), 16) + 0.5
    untrained = psnr(x, LucidModel(TINY).synthesise(model.analyse(x))).mean()
    assert psnr(x, linear).mean() > 25
    assert psnr(linear, model.synthesise(model.analyse(x))).mean() > untrained + 5
    context = model.entropy.contexts[0]
    mean, scale = context(torch.zeros(1, TINY.prior, 4, 4), None, torch.zeros(1, TINY.groups[0], 4, 4))
    assert bool((scale > SCALE_MIN).all()) and mean.shape == scale.shape
