from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from tiny_lucid import integer_frequencies, numbers

from miscomp.codecs.entropy import CodingTables, SymbolCounter, SymbolDecoder, SymbolEncoder
from miscomp.codecs.frequencies import SYMBOL_LIMIT, TOTAL, gaussian_frequencies
from miscomp.codecs.gaussian import SCALE_TABLE


@cache
def tables() -> CodingTables:
    return CodingTables(integer_frequencies())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-SYMBOL_LIMIT, SYMBOL_LIMIT), st.integers(0, 63)), max_size=60))
def test_any_symbols_at_any_scales_come_back_but_for_those_that_are_not_coded(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in pairs], dtype=np.int32)
    indexes = np.array([index for _, index in pairs], dtype=np.int64)
    encoder, half = SymbolEncoder(tables()), len(pairs) // 2
    seen = [*encoder.code(symbols[:half], indexes[:half]), *encoder.code(symbols[half:], indexes[half:])]
    # Oracle: the first ten scales of these tables are empty.
    expected = np.where(indexes >= 10, symbols, 0)
    assert seen == expected.tolist()
    decoder = SymbolDecoder(tables(), encoder.finish())
    assert [*decoder.code(indexes[:half]), *decoder.code(indexes[half:])] == seen
    # Oracle: zlib over the symbols as little-endian 16-bit numbers.
    assert decoder.crc == encoder.crc == zlib.crc32(expected.astype("<i2").tobytes())


@pytest.mark.parametrize("index", [10, 11, 30, 63])
def test_every_symbol_of_a_table_comes_back(index: int) -> None:
    symbols = np.arange(-SYMBOL_LIMIT, SYMBOL_LIMIT + 1, dtype=np.int32)
    encoder, indexes = SymbolEncoder(tables()), np.full(len(symbols), index)
    encoder.code(symbols, indexes)
    assert np.array_equal(SymbolDecoder(tables(), encoder.finish()).code(indexes), symbols)


@pytest.mark.parametrize("symbol", [0, 1, -1, 4, 60, SYMBOL_LIMIT, -SYMBOL_LIMIT])
@pytest.mark.parametrize("index", [10, 25, 40, 63])
def test_a_symbol_costs_what_its_whole_frequency_says(symbol: int, index: int) -> None:
    copies = 200_000
    indexes, frequency = np.full(copies, index), int(integer_frequencies().whole(index)[SYMBOL_LIMIT + symbol])
    encoder, counter = SymbolEncoder(tables()), SymbolCounter(tables())
    encoder.code(np.full(copies, symbol, np.int32), indexes)
    counter.code(np.full(copies, symbol, np.int32), indexes)
    # Oracle: log2(total / frequency). A coder with tables of its own, rounded otherwise, would miss it.
    expected = np.log2(TOTAL / frequency)
    assert counter.bits / copies == pytest.approx(expected, abs=1e-9)
    # The end costs at most two words of 32 bits, 3.2e-4 for each copy.
    assert 8 * len(encoder.finish()) / copies == pytest.approx(expected, abs=4e-4)


def test_rare_symbols_cost_the_coder_what_they_should() -> None:
    # Differences of two lengths, so that the end of a stream does not count.
    for index, symbol in ((12, 0), (12, 7), (33, -2), (60, 300), (63, SYMBOL_LIMIT)):
        lengths = []
        for copies in (1000, 1_001_000):
            encoder = SymbolEncoder(tables())
            encoder.code(np.full(copies, symbol, np.int32), np.full(copies, index))
            lengths.append(8 * len(encoder.finish()))
        frequency = int(integer_frequencies().whole(index)[SYMBOL_LIMIT + symbol])
        # The coder's own rounding costs 1e-4 bits; a frequency that is off by 1e-4 of itself would show.
        assert (lengths[1] - lengths[0]) / 1e6 == pytest.approx(np.log2(TOTAL / frequency) + 1e-4, abs=6e-5)


def test_what_is_not_coded_takes_no_bytes() -> None:
    encoder, counter = SymbolEncoder(tables()), SymbolCounter(tables())
    symbols, indexes = np.arange(-500, 500, dtype=np.int32), np.arange(1000) % 10
    assert not encoder.code(symbols, indexes).any()
    assert not counter.code(symbols, indexes).any()
    assert encoder.finish() == SymbolEncoder(tables()).finish()
    assert counter.bits == 0
    assert not SymbolDecoder(tables(), b"").code(indexes).any()


def test_the_coder_spends_what_it_counts_and_what_the_gaussian_predicts() -> None:
    rng = np.random.default_rng(0)
    gaussian = CodingTables(gaussian_frequencies())
    indexes = rng.integers(10, 50, 20_000)
    scale = SCALE_TABLE[indexes]
    symbols = np.round(rng.normal(0, scale)).astype(np.int32)
    encoder, counter = SymbolEncoder(gaussian), SymbolCounter(gaussian)
    assert np.array_equal(encoder.code(symbols, indexes), counter.code(symbols, indexes))
    # Oracle: -log2 of scipy's normal mass, which the tables hold up to their rounding.
    expected = -np.log2(norm.cdf((symbols + 0.5) / scale) - norm.cdf((symbols - 0.5) / scale)).sum()
    assert counter.bits == pytest.approx(expected, rel=1e-3)
    assert 8 * len(encoder.finish()) == pytest.approx(counter.bits, abs=64)


def test_a_fixed_message_has_fixed_bytes() -> None:
    # Golden bytes: a change here is a change of the format.
    encoder = SymbolEncoder(tables())
    symbols = np.array([0, 1, -1, 5, -700, 0, 2047, -2047, *(numbers("message", 24) >> 12)], np.int32)
    encoder.code(symbols, np.array([0, 10, 20, 30, 60, 0, 63, 63, *range(30, 54)]))
    assert encoder.finish().hex() == GOLDEN_MESSAGE
    assert encoder.crc == GOLDEN_CRC


GOLDEN_MESSAGE = "7b4f59a9b5d8a4e2210406b817bd8b57c93c0eb0333bf4ab00cd96ab"
GOLDEN_CRC = 1018502911


def test_bytes_that_are_not_whole_words_are_refused() -> None:
    with pytest.raises(ValueError, match="words of 4 bytes, got 5"):
        SymbolDecoder(tables(), b"12345")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64).map(lambda content: content[: len(content) // 4 * 4]))
def test_foreign_bytes_end_in_symbols_within_the_limits_or_in_an_error(content: bytes) -> None:
    try:
        symbols = SymbolDecoder(tables(), content).code(np.arange(500) % 64)
    except ValueError as error:
        assert "damaged" in str(error)
    else:
        assert symbols.shape == (500,)
        assert np.abs(symbols).max() <= SYMBOL_LIMIT
