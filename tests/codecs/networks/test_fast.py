"""Fast convolutions against torch's own: the same sums up to rounding, and only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tiny_lucid import values
from tiny_published import tiny_codec, tiny_network, tiny_picture
from torch import Tensor, nn

from miscomp.codecs import container
from miscomp.codecs.networks.fast import Conv3x3, Deconv5x5, SubpixelConv3x3, fast_convolutions
from miscomp.codecs.networks.gdn import GDN
from miscomp.codecs.published import Published


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


def _replaced(layer: Conv3x3) -> None:
    layer.weight = nn.Parameter(3 * layer.weight.detach(), requires_grad=False)


def _loaded(layer: Conv3x3) -> None:
    layer.load_state_dict({name: 2 * weight for name, weight in layer.state_dict().items()})


def _bias(layer: Conv3x3) -> Tensor:
    assert layer.bias is not None
    return layer.bias


CHANGES: dict[str, Callable[[Conv3x3], object]] = {
    "in place": lambda layer: layer.weight.mul_(2),
    "behind its back": lambda layer: layer.weight.data.mul_(2),
    "one number": lambda layer: layer.weight.data[3, 5, 1, 2].add_(1),
    "replaced": _replaced,
    "loaded": _loaded,
    "moved": lambda layer: setattr(layer.weight, "data", layer.weight.data.flip(0)),
    "bias": lambda layer: _bias(layer).mul_(2),
    "bias behind its back": lambda layer: _bias(layer).data.add_(1),
    "bias left out": lambda layer: setattr(layer, "bias", None),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [Conv3x3, SubpixelConv3x3])
@pytest.mark.parametrize("trained", [False, True])
def test_changed_weights_are_seen(change: str, kind: type[Conv3x3], trained: bool) -> None:
    """Not in inference mode, so that the weights are ones whose kernel may be kept."""
    layer = kind(48, 48)
    _filled(layer)
    layer.requires_grad_(trained)
    x = values("x", 1, 48, 48, 64)
    with torch.no_grad():
        before = _fast(layer, x)
        assert torch.equal(_fast(layer, x), before)
        CHANGES[change](layer)
        after = _fast(layer, x)
        assert float((after - before).abs().max()) > 0.1
        assert torch.allclose(after, layer(x), atol=1e-4)


def _fast(layer: Conv3x3, x: Tensor) -> Tensor:
    with fast_convolutions():
        out: Tensor = layer(x)
    return out


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["cheng2020-anchor", "cheng2020-attn"])
def test_files_made_and_read_by_tiles_have_the_plain_paths_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny codecs are narrower than what tiles are for, so that only here do they work in one."""
    calls: list[tuple[int, ...]] = []
    tiled = Conv3x3._by_tiles

    def counted(self: Conv3x3, x: Tensor, slope: float | None, add: Tensor | None) -> Tensor:
        calls.append(tuple(x.shape))
        return tiled(self, x, slope, add)

    monkeypatch.setattr(Conv3x3, "_by_tiles", counted)
    pixels = tiny_picture(128, 128)
    plain = tiny_codec(name).compress(pixels, 3)
    wanted = tiny_codec(name).decompress(plain)
    assert not calls
    monkeypatch.setattr("miscomp.codecs.networks.fast._FEWEST_CHANNELS", 4)
    monkeypatch.setattr("miscomp.codecs.networks.fast._FEWEST_TILES", 1)
    files = []
    for count in (1, 2):
        # A codec of its own, that keeps nothing of what the others computed.
        codec = Published.of_network(name, tiny_network(name))
        with _threads(count):
            files.append(codec.compress(pixels, 3))
            encoding = len(calls)
            # Were a latent another than the writer's, the checksum would refuse the file, whichever path wrote it.
            for content in (plain, files[0]):
                found = codec.decompress(content)
                assert int(np.abs(found.astype(int) - wanted.astype(int)).max()) <= 1
        # Analysis and synthesis each have a dozen such layers or more; some are too small at the end of the stages.
        assert encoding > 8 and len(calls) - encoding > 2 * 8
        assert {shape[2:] for shape in calls} >= {(64, 64), (32, 32)}
        calls.clear()
    assert {container.unpack(content).latent_crc32 for content in files} == {container.unpack(plain).latent_crc32}


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
