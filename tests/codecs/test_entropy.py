from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from miscomp.codecs.entropy import (
    SCALE_MAX,
    SCALE_MIN,
    SCALE_TABLE,
    SYMBOL_LIMIT,
    SymbolDecoder,
    SymbolEncoder,
    gaussian_bits,
    scale_index,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-SYMBOL_LIMIT, SYMBOL_LIMIT), st.integers(0, 63)), max_size=60))
def test_any_symbols_at_any_scales_come_back(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in pairs], dtype=np.int32)
    indexes = np.array([index for _, index in pairs], dtype=np.int64)
    encoder = SymbolEncoder()
    half = len(pairs) // 2
    encoder.code(symbols[:half], indexes[:half])
    encoder.code(symbols[half:], indexes[half:])
    decoder = SymbolDecoder(encoder.finish())
    assert decoder.code(indexes).tolist() == symbols.tolist()
    # Oracle: zlib over the symbols as little-endian 32-bit numbers.
    assert decoder.crc == encoder.crc == zlib.crc32(symbols.astype("<i4").tobytes())


def test_the_checksum_goes_on_over_several_payloads() -> None:
    first, second = np.array([1, -2], np.int32), np.array([3], np.int32)
    crc = 0
    for part in (first, second):
        encoder = SymbolEncoder(crc)
        encoder.code(part, np.full(len(part), 20))
        crc = encoder.crc
    assert crc == zlib.crc32(np.concatenate([first, second]).astype("<i4").tobytes())


def test_the_coder_spends_what_the_gaussian_predicts() -> None:
    rng = np.random.default_rng(0)
    indexes = rng.integers(20, 50, 20_000)
    symbols = np.round(rng.normal(0, SCALE_TABLE[indexes])).astype(np.int32)
    encoder = SymbolEncoder()
    encoder.code(symbols, indexes)
    expected = float(gaussian_bits(torch.from_numpy(symbols).double(), torch.from_numpy(SCALE_TABLE[indexes])).sum())
    assert 8 * len(encoder.finish()) == pytest.approx(expected, rel=0.002)


def test_a_fixed_message_has_fixed_bytes() -> None:
    # Golden bytes: a change here is a change of the format.
    encoder = SymbolEncoder()
    encoder.code(np.array([0, 1, -1, 5, -700, 0, 2047, -2047], np.int32), np.array([0, 10, 20, 30, 60, 0, 63, 63]))
    assert encoder.finish().hex() == "721cf8fef03b3cadf83b031a"


def test_bits_are_those_of_the_normal_distribution() -> None:
    residual = torch.tensor([0.0, 0.3, -2.0, 4.0], dtype=torch.float64)
    scale = torch.tensor([0.11, 1.0, 1.5, 2.0], dtype=torch.float64)
    # Oracle: scipy's normal distribution.
    mass = norm.cdf((residual + 0.5) / scale) - norm.cdf((residual - 0.5) / scale)
    assert gaussian_bits(residual, scale).numpy() == pytest.approx(-np.log2(mass), rel=1e-9)


def test_bits_of_impossible_values_are_large_and_finite() -> None:
    bits = gaussian_bits(torch.tensor([1000.0]), torch.tensor([SCALE_MIN]))
    assert 29 < float(bits) < 31


def test_the_nearest_scale_of_the_table_is_chosen() -> None:
    scales = torch.tensor(np.exp(np.linspace(math.log(0.02), math.log(600), 2000)))
    # Oracle: search over the whole table on the logarithmic scale.
    nearest = np.abs(np.log(SCALE_TABLE)[None] - np.log(scales.numpy())[:, None]).argmin(1)
    assert scale_index(scales).tolist() == nearest.tolist()
    assert scale_index(torch.tensor([0.0, SCALE_MIN, SCALE_MAX, math.inf])).tolist() == [0, 0, 63, 63]


def test_bytes_that_are_not_whole_words_are_refused() -> None:
    with pytest.raises(ValueError, match="words of 4 bytes, got 5"):
        SymbolDecoder(b"12345")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64).map(lambda content: content[: len(content) // 4 * 4]))
def test_foreign_bytes_end_in_symbols_within_the_limits_or_in_an_error(content: bytes) -> None:
    try:
        symbols = SymbolDecoder(content).code(np.full(500, 40))
    except ValueError as error:
        assert "damaged" in str(error)
    else:
        assert symbols.shape == (500,)
        assert np.abs(symbols).max() <= SYMBOL_LIMIT
