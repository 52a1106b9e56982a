"""Fast convolutions against torch's own: the same sums up to rounding, and only where they are asked for."""

from __future__ import annotations

import pytest
import torch
from tiny_lucid import values
from torch import Tensor, nn

from miscomp.codecs.networks.fast import Conv3x3, Deconv5x5, SubpixelConv3x3, fast_convolutions
from miscomp.codecs.networks.gdn import GDN


def _filled(layer: nn.Module) -> None:
    for name, weight in layer.named_parameters():
        weight.data.copy_(values(name, *weight.shape) * (3 / weight[0].numel()) ** 0.5)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(48, 64), (64, 32)])
@pytest.mark.parametrize("slope", [None, 0.01])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_tiles_give_the_convolution(size: tuple[int, int], slope: float | None, added: bool, shuffled: bool) -> None:
    layer = (SubpixelConv3x3 if shuffled else Conv3x3)(48, 56)
    _filled(layer)
    x = values("x", 2, 48, *size).contiguous(memory_format=torch.channels_last)
    shape = (2, 14, 2 * size[0], 2 * size[1]) if shuffled else (2, 56, *size)
    add = values("add", *shape).contiguous(memory_format=torch.channels_last) if added else None
    oracle = nn.functional.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)  # type: ignore[union-attr]
    oracle = oracle if slope is None else nn.functional.leaky_relu(oracle, slope)
    oracle = nn.functional.pixel_shuffle(oracle, 2) if shuffled else oracle
    oracle = oracle if add is None else oracle + add
    plain = layer(x, slope=slope, add=add.clone() if add is not None else None)
    with fast_convolutions():
        fast = layer(x, slope=slope, add=add.clone() if add is not None else None)
    assert not torch.equal(fast, plain)
    assert float((plain - oracle).abs().max()) < 1e-5
    assert float((fast - oracle).abs().max()) < 1e-4


@pytest.mark.parametrize("size", [(47, 64), (48, 66), (8, 8)])
def test_sizes_without_tiles_and_gradients_take_the_plain_way(size: tuple[int, int]) -> None:
    layer = Conv3x3(48, 48)
    x = values("x", 1, 48, *size)
    with fast_convolutions(), torch.inference_mode():
        assert torch.equal(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias, padding=1))
    with fast_convolutions():
        assert layer(values("x", 1, 48, 48, 64), slope=0.1, add=x.new_zeros(1)).requires_grad


@torch.inference_mode()
def test_changed_weights_are_seen() -> None:
    layer = Conv3x3(48, 48)
    x = values("x", 1, 48, 48, 64)
    with fast_convolutions():
        before = layer(x)
        layer.weight.mul_(2)
        layer.bias.mul_(2)  # type: ignore[union-attr]
        assert torch.allclose(layer(x), 2 * before, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("outputs", [1, 3, 16])
def test_few_outputs_give_the_transposed_convolution(outputs: int) -> None:
    layer = Deconv5x5(5, outputs)
    _filled(layer)
    x = values("x", 1, 5, 7, 6)
    plain = layer(x)
    with fast_convolutions():
        assert torch.allclose(layer(x), plain, atol=1e-5)


@pytest.mark.parametrize("inverse", [False, True])
def test_normalisation_in_parts_is_that_of_the_whole(inverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = GDN(6, inverse=inverse)
    layer.gamma.data.add_(0.1 * values("gamma", 6, 6))
    x = values("x", 2, 6, 5, 7)

    def oracle(x: Tensor) -> Tensor:
        beta, gamma = layer.beta.double() ** 2 - 2.0**-36, layer.gamma.double().clamp(min=2.0**-18) ** 2 - 2.0**-36
        norm = (beta[:, None, None] + torch.einsum("ij,bjhw->bihw", gamma, x.double() ** 2)) ** 0.5
        return x * norm if inverse else x / norm

    monkeypatch.setattr("miscomp.codecs.networks.gdn._PART", 8)
    with torch.inference_mode():
        for order in (torch.contiguous_format, torch.channels_last):
            assert torch.allclose(layer(x.contiguous(memory_format=order)).double(), oracle(x), atol=1e-5)
    assert torch.allclose(layer(x).double(), oracle(x), atol=1e-5)
