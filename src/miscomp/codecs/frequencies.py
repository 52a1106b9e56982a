"""Frequency tables of the range coder: whole numbers that ship with the weights, so that no function must round alike.

A table belongs to one standard deviation of `SCALE_TABLE` and says how often, of 2^24, a residual has each value of
[-SYMBOL_LIMIT, SYMBOL_LIMIT]. It is symmetric, and every value that it does not list has frequency 1. An empty table
belongs to a scale so small that its residuals count as 0: they are not coded.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import torch

from miscomp.codecs.gaussian import SCALE_TABLE

SYMBOL_LIMIT = 2047
"""Residuals are clamped to [-SYMBOL_LIMIT, SYMBOL_LIMIT]; the encoder sees the clamped value too."""

TOTAL = 2**24
"""Sum of a table's frequencies: the range coder's precision."""

CODED_FROM = 0.1
"""Smallest standard deviation whose residuals are coded. Below, a Gaussian would have one in a million that is not 0;
of those that networks put there, up to two in ten thousand are not."""

Counts = npt.NDArray[np.int64]


class Frequencies:
    """One table for each entry of `SCALE_TABLE`, as the frequencies of 0, 1, 2 ... (and of -1, -2 ... alike)."""

    def __init__(self, halves: Sequence[Counts]) -> None:
        """Raises `ValueError` for tables that are not as this module's head says."""
        if len(halves) != len(SCALE_TABLE):
            raise ValueError(f"{len(halves)} tables of frequencies, needed {len(SCALE_TABLE)}")
        for index, half in enumerate(halves):
            if half.ndim != 1 or len(half) > SYMBOL_LIMIT + 1 or (len(half) and (half.min() < 1 or half.max() > TOTAL)):
                raise ValueError(f"table {index} of frequencies is out of its limits")
            if len(half) and _whole(half).sum() != TOTAL:
                raise ValueError(f"table {index} of frequencies adds up to {_whole(half).sum()}, not {TOTAL}")
        self.halves = tuple(half.astype(np.int64) for half in halves)
        self.coded = np.array([len(half) > 0 for half in halves])
        """Which scales are coded at all, (64) booleans."""

    @classmethod
    def from_flat(cls, values: Counts, sizes: Counts) -> Frequencies:
        """From all tables one after the other and their lengths (64). Raises `ValueError`."""
        if sizes.shape != SCALE_TABLE.shape or values.ndim != 1 or (sizes < 0).any() or sizes.sum() != len(values):
            raise ValueError(f"{values.size} frequencies do not fit their tables")
        return cls(np.split(values, np.cumsum(sizes)[:-1]))

    def flat(self) -> tuple[Counts, Counts]:
        """What `from_flat` reads."""
        return np.concatenate(self.halves), np.array([len(half) for half in self.halves])

    def whole(self, index: int) -> Counts:
        """Frequencies (2 * SYMBOL_LIMIT + 1) of -SYMBOL_LIMIT to SYMBOL_LIMIT of a table that is not empty."""
        return _whole(self.halves[index])


def _whole(half: Counts) -> Counts:
    side = np.ones(SYMBOL_LIMIT, dtype=np.int64)
    side[: len(half) - 1] = half[1:]
    return np.concatenate([side[::-1], half[:1], side])


def gaussian_frequencies() -> Frequencies:
    """Tables of zero-mean Gaussians with the standard deviations of `SCALE_TABLE`."""
    edges = torch.arange(SYMBOL_LIMIT + 1, dtype=torch.float64)
    halves = []
    for scale in SCALE_TABLE:
        mass = torch.special.ndtr((edges + 0.5) / scale) - torch.special.ndtr((edges - 0.5) / scale)
        halves.append(half_from_shares(mass.numpy()) if scale >= CODED_FROM else np.zeros(0, dtype=np.int64))
    return Frequencies(halves)


def logistic_frequencies() -> Frequencies:
    """Tables of zero-mean logistic distributions with the scales of `SCALE_TABLE`, all of them coded."""
    value = torch.arange(SYMBOL_LIMIT + 1, dtype=torch.float64)
    halves = []
    for scale in SCALE_TABLE:
        mass = torch.sigmoid((0.5 - value) / scale) - torch.sigmoid((-0.5 - value) / scale)
        halves.append(half_from_shares(mass.numpy()))
    return Frequencies(halves)


@cache
def shipped_gaussian() -> Frequencies:
    """`gaussian_frequencies` as they were once computed: they are read, not computed again, so that every machine has
    the same, whatever its error function rounds to.
    """
    return _shipped("gaussian.bin")


@cache
def shipped_logistic() -> Frequencies:
    """`logistic_frequencies`, likewise."""
    return _shipped("logistic.bin")


def _shipped(name: str) -> Frequencies:
    content = (files("miscomp.codecs") / "assets" / name).read_bytes()
    numbers = np.frombuffer(zlib.decompress(content), dtype="<i4").astype(np.int64)
    scales = len(SCALE_TABLE)
    return Frequencies.from_flat(numbers[scales:], numbers[:scales])


def packed(frequencies: Frequencies) -> bytes:
    """The bytes that `shipped_gaussian` and `shipped_logistic` read."""
    values, sizes = frequencies.flat()
    return zlib.compress(np.concatenate([sizes, values]).astype("<i4").tobytes(), 9)


def fitted_frequencies(seen: Counts, *, prior: float = 3000.0) -> Frequencies:
    """Tables of what was seen: counts (64, SYMBOL_LIMIT + 1) of the residuals' absolute values under each scale.

    Networks that predict a scale are never quite right, so that residuals have longer tails than a Gaussian. Each
    table starts from the Gaussian's with the weight of `prior` observations, which the seen ones then outvote.
    """
    gaussian = gaussian_frequencies()
    halves = []
    for half, counts in zip(gaussian.halves, seen, strict=True):
        if not len(half):
            halves.append(half)
            continue
        shares = np.zeros(SYMBOL_LIMIT + 1)
        shares[: len(half)] = half / TOTAL * prior
        shares[0] += counts[0]
        shares[1:] += _smoothed(counts[1:]) / 2
        halves.append(half_from_shares(shares))
    return Frequencies(halves)


def _smoothed(counts: Counts) -> npt.NDArray[np.float64]:
    """Counts of 1, 2, 3 ... averaged over a neighbourhood that grows with the value: rare values share what is seen."""
    total = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    value = np.arange(len(counts))
    reach = value // 8
    low, high = np.maximum(value - reach, 0), np.minimum(value + reach + 1, len(counts))
    averaged: npt.NDArray[np.float64] = (total[high] - total[low]) / (high - low)
    return averaged


def half_from_shares(shares: npt.NDArray[np.float64]) -> Counts:
    """A table whose frequencies are as the shares (SYMBOL_LIMIT + 1) of 0, 1, 2 ...; what rounding leaves goes to 0."""
    spread = shares[0] + 2 * shares[1:].sum()
    room = TOTAL - (2 * SYMBOL_LIMIT + 1)
    half: Counts = 1 + np.floor(shares / spread * room).astype(np.int64)
    half[0] += TOTAL - (half[0] + 2 * half[1:].sum())
    listed = int(np.flatnonzero(half > 1)[-1]) + 1
    return half[:listed]


def whole_from_shares(shares: npt.NDArray[np.float64]) -> Counts:
    """Frequencies of -SYMBOL_LIMIT to SYMBOL_LIMIT, as the shares (2 * SYMBOL_LIMIT + 1) of these values.

    What rounding leaves goes to the most frequent. Raises `ValueError` for shares that are no distribution.
    """
    total = shares.sum()
    if shares.shape != (2 * SYMBOL_LIMIT + 1,) or not (np.isfinite(total) and total > 0 and (shares >= 0).all()):
        raise ValueError("the probabilities of a table do not add up")
    whole: Counts = 1 + np.floor(shares / total * (TOTAL - len(shares))).astype(np.int64)
    whole[np.argmax(whole)] += TOTAL - whole.sum()
    return whole
