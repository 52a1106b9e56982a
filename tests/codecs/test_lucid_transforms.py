from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_lucid import TINY, photograph, steps_of, tiny_model, values
from torch import Tensor

from miscomp.codecs import blocks, lucid_transforms
from miscomp.codecs.lucid_model import PATCH, LucidModel
from miscomp.codecs.lucid_transforms import ANALYSIS_HALO, SYNTHESIS_HALO, Transforms
from miscomp.errors import WeightsError
from miscomp.tensors import to_pixels, to_tensor

CELLS = 16


def reach(run: Callable[[Tensor], Tensor], entering: Tensor, cell: Callable[[Tensor], Tensor]) -> Tensor:
    """Which elements (h, w) of what enters the result of one cell depends on, by gradients."""
    entering.requires_grad_()
    (gradient,) = torch.autograd.grad(cell(run(entering)).abs().sum(), entering)
    return gradient[0].abs().sum(0) > 0


def spread(seen: Tensor) -> tuple[int, int, int, int]:
    """First and last row, first and last column."""
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_the_halo_of_the_analysis_holds_all_that_a_latent_sees_and_no_more() -> None:
    model, quality = tiny_model(), torch.full((1, 1, CELLS, CELLS), 0.5)
    x = values("x", 1, 3, CELLS * PATCH, CELLS * PATCH)
    seen = reach(lambda x: model.g_a(x, quality), x, lambda y: y[:, :, 8, 8])
    # Oracle: the gradient. In pixels beyond the latent's own 16 x 16 block.
    top, bottom, left, right = spread(seen)
    beyond = max(8 * PATCH - top, bottom - 9 * PATCH + 1, 8 * PATCH - left, right - 9 * PATCH + 1)
    assert (ANALYSIS_HALO - 1) * PATCH < beyond <= ANALYSIS_HALO * PATCH


def test_the_halo_of_the_synthesis_holds_all_that_a_block_of_pixels_sees_and_no_more() -> None:
    model, quality = tiny_model(), torch.full((1, 1, CELLS, CELLS), 0.5)
    y = values("y", 1, TINY.latent, CELLS, CELLS)
    block = slice(8 * PATCH, 9 * PATCH)
    seen = reach(lambda y: model.g_s(y, quality), y, lambda x: x[:, :, block, block])
    top, bottom, left, right = spread(seen)
    beyond = max(8 - top, bottom - 8, 8 - left, right - 8)
    assert beyond == SYNTHESIS_HALO


def test_the_quality_of_a_block_reaches_no_further_than_its_latents() -> None:
    model = tiny_model()
    x, y = values("x", 1, 3, CELLS * PATCH, CELLS * PATCH), values("y", 1, TINY.latent, CELLS, CELLS)
    block = slice(8 * PATCH, 9 * PATCH)
    quality = torch.full((2, 1, 1, CELLS, CELLS), 0.6)
    analysis = reach(lambda quality: model.g_a(x, quality), quality[0], lambda out: out[:, :, 8, 8])
    synthesis = reach(lambda quality: model.g_s(y, quality), quality[1], lambda out: out[:, :, block, block])
    for seen, halo in ((analysis, ANALYSIS_HALO), (synthesis, SYNTHESIS_HALO)):
        top, bottom, left, right = spread(seen)
        assert max(8 - top, bottom - 8, 8 - left, right - 8) <= halo


def whole_analysis(model: LucidModel, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    y = model.g_a(x, quality) * model.gain(quality)
    return y, model.summarise(y)


@pytest.mark.parametrize("size", [(320, 256), (64, 448), (300, 250), (17, 33)])
def test_blocks_give_what_the_whole_picture_gives_at_once(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_MOST", 8)
    model, pixels = tiny_model().eval(), photograph(*size)
    rows, columns = (-(-side // 64) * 4 for side in size)
    steps = steps_of(rows, columns)
    padded = np.pad(pixels, ((0, rows * 16 - size[0]), (0, columns * 16 - size[1]), (0, 0)), mode="edge")
    with torch.no_grad():
        quality = torch.from_numpy(steps / np.float32(255))[None, None]
        y, z = whole_analysis(model, to_tensor(padded), quality)
        got_y, got_z = Transforms(model, "cpu").analyse(pixels, steps)
        # Oracle: the networks in one go, up to float32's rounding of sums in another order.
        assert float((got_y - y).abs().max()) < 1e-4 * float(y.abs().max())
        assert float((got_z - z).abs().max()) < 1e-4 * float(z.abs().max())
        x_hat = model.g_s(y * model.inverse_gain(quality), quality)
    expected = to_pixels(x_hat)[: size[0], : size[1]].astype(int)
    got = Transforms(model, "cpu").synthesise(y, steps, *size)
    assert got.flags.c_contiguous
    assert np.abs(got - expected).max() <= 1
    assert (got != expected).mean() < 1e-3


def test_a_halo_that_is_too_small_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_MOST", 8)
    model, pixels, steps = tiny_model().eval(), photograph(256, 256), steps_of(16, 16)
    transforms = Transforms(model, "cpu")
    y, _ = transforms.analyse(pixels, steps)
    monkeypatch.setattr(lucid_transforms, "ANALYSIS_HALO", ANALYSIS_HALO - 2)
    other, _ = transforms.analyse(pixels, steps)
    assert float((other - y).abs().max()) > 1e-3 * float(y.abs().max())


def test_the_number_of_workers_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_MOST", 8)
    transforms, pixels, steps = Transforms(tiny_model().eval(), "cpu"), photograph(200, 260), steps_of(16, 20)
    made = []
    for workers in (1, 2, 5):
        monkeypatch.setattr(blocks, "workers", lambda workers=workers: workers)
        with blocks.one_thread():
            y, z = transforms.analyse(pixels, steps)
            made.append((y, z, transforms.synthesise(y, steps, 200, 260)))
    for y, z, pixels_back in made[1:]:
        assert torch.equal(y, made[0][0])
        assert torch.equal(z, made[0][1])
        assert np.array_equal(pixels_back, made[0][2])


@pytest.mark.parametrize("channels", [2, 5, 9])
def test_channels_that_are_left_out_count_as_0(channels: int) -> None:
    transforms, steps = Transforms(tiny_model().eval(), "cpu"), steps_of(8, 8)
    y_hat = 20 * values("y_hat", 1, TINY.latent, 8, 8)
    y_hat[:, channels:] = 0
    whole, part = (transforms.synthesise(y, steps, 128, 128) for y in (y_hat, y_hat[:, :channels]))
    assert np.abs(whole.astype(int) - part).max() <= 1


def test_weights_that_overflow_are_an_error_and_no_picture() -> None:
    model, steps = tiny_model().eval(), steps_of(4, 4)
    with torch.no_grad():
        model.g_a.lift.weight.fill_(1e38)
        model.g_s.lower.weight.fill_(3e38)
    transforms = Transforms(model, "cpu")
    with pytest.raises(WeightsError, match="not finite"):
        transforms.analyse(photograph(64, 64), steps)
    with pytest.raises(WeightsError, match="not finite"):
        transforms.synthesise(torch.full((1, TINY.latent, 4, 4), 1e3), steps, 64, 64)
