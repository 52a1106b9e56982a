from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from miscomp import images
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_model import LucidConfig
from miscomp.errors import ImageError, UsageError, WeightsError
from miscomp.training.codec import export_weights, train_codec
from miscomp.training.config import TrainConfig

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)
CONFIG = TrainConfig(steps=2, batch_size=2, crop=64, precision="no")


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
