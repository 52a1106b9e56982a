"""Simulated JPEG. Oracle: Pillow's JPEG of the same pixels."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from planted import lawn, with_disc
from torch import Tensor

from miscomp.errors import MissingExtra, UnknownName, UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr
from miscomp.tensors import to_pixels, to_tensor
from miscomp.training.jpeg_simulation import JPEG_SIMULATIONS, cubic_round, open_simulation
from miscomp.training.jpeg_steps import jpeg_steps, quantisation_tables
from miscomp.training.unet_jpeg import UNetJpeg, write_unet_jpeg

QUALITIES = (10, 30, 50, 70, 85, 95, 100)
WITHOUT_WEIGHTS = [row.name for row in JPEG_SIMULATIONS if not row.takes_weights]


def photo(height: int = 83, width: int = 101) -> Pixels:
    """Texture, an edge in colour, and sides that no block divides."""
    return with_disc(lawn(height, width), (40, 45), 22)


def by_pillow(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def simulated(name: str, quality: int) -> Tensor:
    out: Tensor = open_simulation(name)(to_tensor(photo()), torch.tensor([float(quality)]))
    return out


@pytest.mark.parametrize("quality", QUALITIES)
def test_exact_is_jpeg_to_the_last_bit(quality: int) -> None:
    assert np.array_equal(to_pixels(simulated("exact", quality)), by_pillow(photo(), quality))
    assert torch.equal(simulated("exact", quality), to_tensor(by_pillow(photo(), quality)))


@pytest.mark.parametrize("quality", QUALITIES)
def test_jpegs_steps_with_real_rounding_are_jpeg_but_for_coefficients_at_a_tie(quality: int) -> None:
    stepped = jpeg_steps(to_tensor(photo()), torch.tensor([float(quality)]), rounding=torch.round)
    error = (stepped - to_tensor(by_pillow(photo(), quality))).abs()[0] * 255
    # A sample is rounded three times on its way through JPEG and not here; the rare step taken otherwise is larger.
    assert float(error.median()) < 1 and float(error.quantile(0.9)) < 3


@pytest.mark.parametrize("name", ["cubic", "kornia"])
@pytest.mark.parametrize("quality", QUALITIES)
def test_smooth_simulations_are_nearer_to_jpeg_than_the_picture_is(name: str, quality: int) -> None:
    wanted = to_tensor(by_pillow(photo(), quality))
    gained = psnr(wanted, simulated(name, quality)) - psnr(wanted, to_tensor(photo()))
    assert float(gained) > 4


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_gradients_are_finite_and_reach_every_part_of_the_picture(name: str) -> None:
    x = to_tensor(photo()).repeat(2, 1, 1, 1).clamp(0.2, 0.8).requires_grad_()
    out = open_simulation(name)(x, torch.tensor([20.0, 90.0]))
    (out * torch.linspace(0, 1, out.numel()).view_as(out)).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())
    blocks = torch.nn.functional.avg_pool2d(x.grad.abs(), 8, ceil_mode=True)
    assert bool((blocks > 0).all())


def test_the_gradient_of_exact_is_the_identitys() -> None:
    x = to_tensor(photo()).requires_grad_()
    wanted = torch.linspace(-1, 1, x.numel()).view_as(x)
    (open_simulation("exact")(x, torch.tensor([30.0])) * wanted).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, wanted)


def test_cubic_rounding_is_smooth_between_halves_and_never_far_from_rounding() -> None:
    x = (torch.arange(-3.0, 4)[:, None] + torch.linspace(-0.49, 0.49, 13)).double().requires_grad_()
    assert torch.autograd.gradcheck(cubic_round, x, eps=1e-4, atol=1e-6)
    assert float((cubic_round(x) - x.round()).detach().abs().max()) <= 0.125


def test_tables_are_those_in_pillows_files() -> None:
    for quality in (1, 7, 49, 50, 77, 100):
        file = io.BytesIO()
        Image.fromarray(photo()).save(file, "JPEG", quality=quality)
        written = Image.open(file).quantization  # type: ignore[attr-defined]
        for number, table in enumerate(quantisation_tables(torch.tensor([float(quality)]))):
            assert table.flatten().tolist() == list(written[number])


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_each_picture_has_its_own_quality(name: str) -> None:
    x = torch.cat((to_tensor(photo()), to_tensor(photo()[::-1].copy())))
    open_one = open_simulation(name)
    both = open_one(x, torch.tensor([15.0, 92.0]))
    alone = torch.cat([open_one(x[i : i + 1], torch.tensor([q])) for i, q in enumerate((15.0, 92.0))])
    # The order of a matrix product's sums depends on the batch.
    torch.testing.assert_close(both, alone, atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (16, 17), (64, 64)])
def test_any_size_stays_as_it_is_and_in_range_under_autocast(name: str, size: tuple[int, int]) -> None:
    x = to_tensor(np.random.default_rng(0).choice([0, 255], (*size, 3)).astype(np.uint8))
    with torch.autocast("cpu", torch.bfloat16):
        out = open_simulation(name)(x.bfloat16(), torch.tensor([40.0]))
    assert out.shape == x.shape and out.dtype == torch.float32
    assert float(out.detach().min()) >= 0 and float(out.detach().max()) <= 1
    torch.testing.assert_close(out, open_simulation(name)(x, torch.tensor([40.0])), atol=1e-6, rtol=0)


def test_the_network_is_opened_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UNetJpeg(2).half().float()
    write_unet_jpeg(network, tmp_path / "w.safetensors")
    simulation = open_simulation("unet", tmp_path / "w.safetensors")
    x, quality = to_tensor(photo()).requires_grad_(), torch.tensor([60.0])
    out = simulation(x, quality)
    assert torch.equal(out, network(x, quality)) and out.requires_grad
    assert not any(parameter.requires_grad for parameter in simulation.parameters())


def test_what_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match=r"unknown JPEG simulation 'cubik'.*Did you mean 'cubic'"):
        open_simulation("cubik")
    with pytest.raises(UsageError, match="needs a weights file; train one with miscomp train jpegsim"):
        open_simulation("unet")
    with pytest.raises(UsageError, match="takes no weights"):
        open_simulation("cubic", tmp_path / "a")
    with pytest.raises(WeightsError, match="cannot be read"):
        open_simulation("unet", tmp_path / "none")
    monkeypatch.setitem(sys.modules, "kornia.enhance", None)
    with pytest.raises(MissingExtra, match=r"needs kornia; install it with: pip install 'miscomp\[train\]'"):
        open_simulation("kornia")


@pytest.mark.parametrize(
    ("shape", "quality", "message"),
    [
        ((3, 8, 8), [50.0], "pictures \\(b, 3, h, w\\)"),
        ((1, 3, 0, 8), [50.0], "are needed, got"),
        ((2, 3, 8, 8), [50.0], "are needed, got"),
        ((1, 3, 8, 8), [0.0], "qualities are 1 to 100, got"),
        ((1, 3, 8, 8), [float("nan")], "qualities are 1 to 100, got"),
    ],
)
def test_wrong_shapes_and_qualities_are_refused(shape: tuple[int, ...], quality: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_simulation("exact")(torch.zeros(shape), torch.tensor(quality))
