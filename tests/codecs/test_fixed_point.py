from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from miscomp.codecs.fixed_point import (
    LIMIT,
    WEIGHT_LIMIT,
    Layer,
    interpolated,
    leaky,
    powers_of_two,
    shifted,
)

WHOLE = st.integers(-(2**51), 2**51)


def exact(array: torch.Tensor) -> npt.NDArray[np.object_]:
    """The same as Python's whole numbers, which have no limits."""
    return np.array([int(value) for value in array.flatten().tolist()], dtype=object).reshape(array.shape)


@given(st.lists(WHOLE, min_size=1, max_size=20), st.integers(0, 20))
def test_shifting_down_divides_and_rounds_halves_up(numbers: list[int], bits: int) -> None:
    # Oracle: Python's whole numbers.
    expected = [(number + (1 << bits >> 1)) >> bits for number in numbers]
    assert shifted(torch.tensor(numbers, dtype=torch.float64), bits).tolist() == expected


@given(st.integers(-(2**40), 2**40), st.integers(1, 12))
def test_shifting_up_multiplies(number: int, bits: int) -> None:
    assert shifted(torch.tensor([number], dtype=torch.float64), -bits).tolist() == [number << bits]


@given(st.lists(WHOLE, min_size=1, max_size=20))
def test_the_leaky_slope_is_a_division_by_eight_rounded_down(numbers: list[int]) -> None:
    assert leaky(torch.tensor(numbers, dtype=torch.float64)).tolist() == [max(n, n // 8) for n in numbers]


def test_powers_of_two_are_exact() -> None:
    assert powers_of_two(torch.arange(-30, 31)).tolist() == [float(Fraction(2) ** e) for e in range(-30, 31)]


@settings(deadline=None)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=12), st.integers(2, 300))
def test_interpolation_is_exact_and_rounds_down(anchors: list[int], steps: int) -> None:
    table = interpolated(torch.tensor(anchors, dtype=torch.float64)[:, None], steps)[:, 0].tolist()
    for step, value in enumerate(table):
        # Oracle: fractions.
        position = Fraction(step * (len(anchors) - 1), steps - 1)
        lower = min(floor(position), len(anchors) - 2)
        assert value == floor(anchors[lower] + (position - lower) * (anchors[lower + 1] - anchors[lower]))
    assert (table[0], table[-1]) == (anchors[0], anchors[-1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 500, 4096]), st.integers(0, 20))
def test_sums_of_the_largest_numbers_are_exact_in_any_order(seed: int, entering: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    # Mostly of one sign: opposite ones would cancel and never come near the limit.
    signs = rng.choice([-1, 1], p=[0.05, 0.95], size=(3, entering))
    weight = torch.from_numpy(signs * (WEIGHT_LIMIT - rng.integers(0, 2, signs.shape))).double()
    bias = torch.tensor([2.0**50, -(2.0**50), 12345.0], dtype=torch.float64)
    rows = torch.from_numpy(LIMIT - rng.integers(0, 3, (2, entering))).double()
    layer = Layer(weight, bias, shift)
    # Oracle: Python's whole numbers. Every partial sum is exact if the sum of the sizes is below 2^53.
    expected = exact(rows) @ exact(weight).T + exact(bias)
    assert (np.abs(exact(rows)) @ np.abs(exact(weight)).T + np.abs(exact(bias))).max() < 2**53
    assert (exact(layer.sums(rows)) == expected).all()
    order = torch.from_numpy(rng.permutation(entering))
    shuffled = Layer(weight[:, order], bias, shift).sums(rows[:, order])
    one_by_one = bias.clone().expand(2, 3).clone()
    for column in order.tolist()[:: max(1, entering // 50)]:
        one_by_one += rows[:, column, None] * weight[:, column]
    assert (exact(shuffled) == expected).all()
    some = order.tolist()[:: max(1, entering // 50)]
    assert (exact(one_by_one) == exact(rows)[:, some] @ exact(weight)[:, some].T + exact(bias)).all()
    half = 1 << shift >> 1
    wanted = np.clip((expected + half) >> shift, -int(LIMIT), int(LIMIT))
    assert (exact(layer(rows)) == wanted).all()


def layer_and_rows(count: int = 3001) -> tuple[Layer, torch.Tensor]:
    rng = np.random.default_rng(3)
    weight = torch.from_numpy(rng.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, (96, 200))).double()
    bias = torch.from_numpy(rng.integers(-(2**40), 2**40, 96)).double()
    return Layer(weight, bias, 12), torch.from_numpy(rng.integers(-(2**21), 2**21 + 1, (count, 200))).double()


def test_threads_batches_order_and_memory_layout_change_no_bit() -> None:
    layer, rows = layer_and_rows()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = layer(rows)
        torch.set_num_threads(4)
        assert torch.equal(layer(rows), one)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.cat([layer(part) for part in rows.split([1, 2, 2500, 498])]), one)
    assert torch.equal(torch.cat([layer(rows[index : index + 1]) for index in range(50)]), one[:50])
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    assert torch.equal(layer(rows[order]), one[order])
    transposed = rows.T.contiguous().T
    assert not transposed.is_contiguous()
    assert torch.equal(layer(transposed), one)
    turned = Layer(layer.weight.T.contiguous().T, layer.bias, layer.shift)
    assert torch.equal(turned(rows), one)


@pytest.mark.parametrize("spread", [1e-12, 1e-3, 0.5, 1.0, 300.0, 40_000.0])
def test_a_quantised_layer_uses_its_bits_and_is_quantised_once(spread: float) -> None:
    rng = np.random.default_rng(1)
    weight, bias = (torch.from_numpy(spread * rng.uniform(-1, 1, size)).float() for size in ((5, 7), (5,)))
    layer = Layer.quantised(weight, bias)
    assert torch.equal(layer.weight, layer.weight.round())
    largest = float(layer.weight.abs().max())
    assert largest <= WEIGHT_LIMIT
    assert largest >= 2**14 or layer.shift in (0, 20)
    if spread <= WEIGHT_LIMIT:
        assert float((layer.floating()[0] - weight).abs().max()) <= 0.5 * 2.0**-layer.shift
    again = Layer.quantised(*(part.float() for part in layer.floating()))
    assert torch.equal(again.weight, layer.weight)
    assert torch.equal(again.bias, layer.bias)
    assert again.shift == layer.shift


@pytest.mark.parametrize(
    ("weight", "bias", "shift"),
    [
        (torch.full((2, 3), 2.0**15), torch.zeros(2), 3),
        (torch.full((2, 3), -(2.0**15)), torch.zeros(2), 3),
        (torch.full((2, 140_000), 2.0**15 - 1), torch.zeros(2), 3),
        (torch.ones(2, 3), torch.full((2,), 2.0**50 + 2**28), 3),
        (torch.ones(2, 3), torch.zeros(3), 3),
        (torch.ones(2, 3), torch.zeros(2, 1), 3),
        (torch.ones(2, 3), torch.zeros(2), -1),
        (torch.ones(2, 3), torch.zeros(2), 21),
        (torch.ones(2), torch.zeros(2), 3),
        (torch.ones(0, 3), torch.zeros(0), 3),
        (torch.ones(2, 0), torch.zeros(2), 3),
    ],
)
def test_numbers_that_could_leave_the_exact_range_are_refused(
    weight: torch.Tensor, bias: torch.Tensor, shift: int
) -> None:
    with pytest.raises(ValueError, match="layer"):
        Layer(weight.double(), bias.double(), shift)
