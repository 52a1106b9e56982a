from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.codecs.lucid_weights import read_weights, shipped_weights, write_weights
from miscomp.errors import WeightsError
from miscomp.images import Pixels

TINY = LucidConfig(stem=4, middle=6, head=4, latent=8, hyper=6, groups=(2, 6), prior=4, context=4, gain_steps=3)


def tiny_model() -> LucidModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LucidModel(TINY)


def photograph(height: int, width: int) -> Pixels:
    pixels: Pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pixels


def test_weights_come_back_from_their_file_and_equal_ones_give_equal_bytes(tmp_path: Path) -> None:
    model = tiny_model()
    sha256 = write_weights(model, tmp_path / "a.safetensors")
    assert write_weights(tiny_model(), tmp_path / "b.safetensors") == sha256
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    read = read_weights(tmp_path / "a.safetensors", sha256=sha256)
    assert read.model.config == TINY
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in read.model.state_dict().items())
    # The same weights at hand and from a file write the same streams.
    x = photograph(64, 64)
    assert Lucid(read).compress(x, 0.5) == Lucid.from_model(model).compress(x, 0.5)


def test_half_precision_halves_the_file_and_is_what_both_sides_use(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    write_weights(tiny_model(), path, dtype=torch.float16)
    codec = Lucid(path)
    x = photograph(65, 64)
    content = codec.compress(x, 0.5, pixel_checksum=True)
    assert Lucid(path).decompress(content).shape == x.shape


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        dict(model.named_parameters())["g_a.1.weight"][0] = 1e6
    with pytest.raises(ValueError, match=r"g_a\.1\.weight"):
        write_weights(model, tmp_path / "half.safetensors", dtype=torch.float16)
    assert not (tmp_path / "half.safetensors").exists()


def test_damaged_foreign_and_missing_weights_are_told_apart(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    write_weights(tiny_model(), good)
    content = good.read_bytes()
    cases = {
        "cannot be read": None,
        "whole safetensors": content[: len(content) // 2],
        "not a whole": b"\x80\x02}q\x00." * 10,
        "does not hold weights of lucid": content.replace(b': \\"lucid\\"', b': \\"other\\"'),
        "does not fit its own widths": content.replace(b'\\"hyper\\": 6', b'\\"hyper\\": 5'),
        "whole number from 1": content.replace(b'\\"hyper\\": 6', b'\\"hyper\\": 0'),
    }
    for message, bad in cases.items():
        path = tmp_path / "bad.safetensors"
        path.unlink(missing_ok=True)
        if bad is not None:
            path.write_bytes(bad)
        with pytest.raises(WeightsError, match=message):
            Lucid(path)
    with pytest.raises(WeightsError, match=r"SHA-256 .* expected 00"):
        read_weights(good, sha256="00" * 32)


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "claims.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(WeightsError):
        read_weights(path)


def test_the_package_has_its_weights_and_they_are_small() -> None:
    path = shipped_weights()
    assert path.stat().st_size < 20e6
    row = CODECS["lucid"].weights
    assert row is not None
    assert read_weights(path, sha256=row.sha256).model.config == LucidConfig()
