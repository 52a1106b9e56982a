"""A small `lucid`: a few channels, and numbers that come from a formula, the same with every release of torch."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.frequencies import Frequencies, half_from_shares
from miscomp.codecs.lucid_integer import IntegerEntropy, State
from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.codecs.lucid_weights import LucidWeights, of_model
from miscomp.codecs.quality_map import FloatArray, block_grid
from miscomp.images import Pixels

TINY = LucidConfig(
    stem=4, middle=6, head=4, latent=9, core=6, hyper=6, groups=(2, 3, 4), hidden=(4, 6, 5), prior=4, gain_steps=3
)


def numbers(name: str, *shape: int) -> npt.NDArray[np.int64]:
    """Whole numbers that look random, in [-2^15, 2^15): the same for the same name and shape, everywhere."""
    mixed = (np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))) * np.uint64(
        0x9E3779B97F4A7C15
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(48)).astype(np.int64).reshape(shape) - 2**15


def values(name: str, *shape: int) -> Tensor:
    """Numbers in [-1, 1) that look random, multiples of 2^-15."""
    return torch.from_numpy(numbers(name, *shape) / 2**15).float()


def tiny_model(*, seed: int = 0, config: LucidConfig = TINY) -> LucidModel:
    """Networks whose latents are worth coding: several levels, several scales, units other than 1."""
    model = LucidModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("log_gain"):
                weight.add_(0.2 * values(f"{seed} {name}", *weight.shape))
            else:
                spread = (3 / max(weight[0].numel(), 1)) ** 0.5 if weight.ndim == 4 else 0.5
                weight.copy_(spread * values(f"{seed} {name}", *weight.shape))
        for unit in model.buffers():
            unit.copy_(torch.tensor([2.0 ** (index % 4 - 1) for index in range(unit.numel())]))
    return model


@cache
def tiny_weights() -> LucidWeights:
    """`tiny_model`, ready to code with."""
    return of_model(tiny_model())


def cosine_model() -> LucidModel:
    """A transform codec: the slowest 8 cosines of each channel, and networks that add next to nothing."""
    config = LucidConfig(
        stem=4, middle=6, head=4, latent=24, core=6, hyper=6, groups=(6, 18), hidden=(8, 8), prior=4, gain_steps=3
    )
    model = tiny_model(config=config)
    place = (np.arange(16) + 0.5) / 16
    waves = [np.cos(np.pi * k * place) * (2 - (k == 0)) ** 0.5 / 4 for k in range(4)]
    orders = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1)]
    basis = np.zeros((24, 3, 16, 16))
    for index, (row, column) in enumerate(orders):
        for channel in range(3):
            basis[3 * index + channel, channel] = np.outer(waves[row], waves[column])
    deviation = torch.tensor([4.0 / (1 + index) ** 2 for index in range(24)])
    model.start_from(torch.from_numpy(basis).float().flatten(1), deviation)
    with torch.no_grad():
        for last in (model.g_a.out, model.g_s.detail[-2]):
            last.get_parameter("weight").mul_(0.01)
        model.gain.log_gain.copy_(torch.tensor([1.5, 3.0, 4.5])[:, None].expand(3, 24))
        model.inverse_gain.log_gain.copy_(-model.gain.log_gain)
    return model


@cache
def cosine_weights() -> LucidWeights:
    """`cosine_model`, ready to code with."""
    return of_model(cosine_model())


def tiny_state() -> State:
    """Whole numbers of the entropy networks, by formula."""
    c = TINY
    state: State = {
        "z_index": torch.from_numpy(20 + numbers("z_index", 256, c.hyper) % 20).to(torch.uint8),
        "thresholds": torch.arange(63) * 5000 - 150_000,
    }
    state |= _layer("h_s.0", 512, c.hyper, shift=15) | _layer("h_s.1", 4 * c.prior, 128, shift=16)
    for index, (size, hidden) in enumerate(zip(c.groups, c.hidden, strict=True)):
        earlier, name = sum(c.groups[:index]), f"contexts.{index}."
        state |= _layer(f"{name}enter", hidden, c.prior + 3 * earlier + (5 if index < 2 else 1) * size, shift=15)
        state |= _layer(f"{name}mix", hidden, hidden, shift=14) | _layer(f"{name}out", 2 * size, hidden, shift=14)
        state[f"{name}quality"] = torch.from_numpy(numbers(f"{name}quality", c.gain_steps, hidden) * 2**10)
        state[f"{name}unit"] = torch.from_numpy(numbers(f"{name}unit", size) % 3)
        state[f"{name}earlier_unit"] = torch.from_numpy(numbers(f"{name}earlier_unit", earlier) % 3)
    return state


def tiny_entropy() -> IntegerEntropy:
    """`tiny_state`, ready to run."""
    return IntegerEntropy(tiny_state(), TINY.groups)


def _layer(name: str, out: int, entering: int, *, shift: int) -> State:
    return {
        f"{name}.weight": torch.from_numpy(numbers(f"{name}.weight", out, entering)).clamp_min(1 - 2**15),
        f"{name}.bias": torch.from_numpy(numbers(f"{name}.bias", out) * 2**9),
        f"{name}.shift": torch.tensor([shift]),
    }


def integer_frequencies() -> Frequencies:
    """Tables from whole numbers, so that no library's rounding enters; the first ten scales are not coded."""
    size = np.arange(2048, dtype=np.int64)
    halves = []
    for index in range(64):
        shares = (2**30 // (1 + size**2 * 400 // (1 + index**3))).astype(np.float64)
        halves.append(half_from_shares(shares) if index >= 10 else np.zeros(0, dtype=np.int64))
    return Frequencies(halves)


def photograph(height: int, width: int, *, noise: float = 5) -> Pixels:
    """Waves of several lengths and noise."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(5).normal(0, noise, (height, width, 3))
    waves = 128 + 60 * np.sin(x / 29)[..., None] * [1, 0.5, -0.5] + 40 * np.cos(y / 37)[..., None] + grain
    pixels: Pixels = np.clip(waves, 0, 255).astype(np.uint8)
    return pixels


def some_map(height: int, width: int) -> FloatArray:
    """Better above, much worse in the last block."""
    offsets = np.zeros(block_grid(height, width))
    offsets[: len(offsets) // 2] = 0.4
    offsets[-1, -1] = -0.7
    return offsets


def steps_of(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Local qualities that differ from position to position."""
    return (numbers("steps", height, width) % 256).astype(np.uint8)
