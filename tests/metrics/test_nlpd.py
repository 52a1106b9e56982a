"""Oracle: the authors' steps spelled out with scipy: convolutions with zeros put between values, and kernels turned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from formula_weights import formula_picture
from scipy.ndimage import correlate
from scipy.signal import convolve2d

from miscomp.metrics.nlpd import SIGMAS, Nlpd

Plane = npt.NDArray[np.float64]

TAPS = np.array([0.05, 0.25, 0.4, 0.25, 0.05])
BURT = np.outer(TAPS, TAPS)


def kernel(rows: dict[tuple[int, int], float]) -> Plane:
    """5 x 5, as the authors' program writes it: row, column."""
    made = np.zeros((5, 5))
    for place, value in rows.items():
        made[place] = value
    return made


KERNELS = [
    kernel({(1, 2): 0.1011, (2, 1): 0.1493, (2, 3): 0.1460, (2, 4): 0.0072, (3, 2): 0.1015}),
    kernel({(1, 2): 0.0757, (2, 1): 0.1986, (2, 3): 0.1846, (3, 2): 0.0837}),
    kernel({(1, 2): 0.0477, (2, 1): 0.2138, (2, 3): 0.2243, (3, 2): 0.0467}),
    kernel({(2, 1): 0.2503, (2, 3): 0.2616}),
    kernel({(2, 1): 0.2598, (2, 3): 0.2552}),
    kernel({(2, 1): 0.2215, (2, 3): 0.0717}),
]


def down(plane: Plane) -> Plane:
    low: Plane = correlate(plane, BURT, mode="reflect")[::2, ::2]  # scipy's reflect repeats the outermost value
    return low


def up(plane: Plane, height: int, width: int) -> Plane:
    padded = np.pad(plane, 1, mode="edge")
    spread = np.zeros((2 * padded.shape[0], 2 * padded.shape[1]))
    spread[::2, ::2] = 4 * padded
    whole: Plane = correlate(spread, BURT, mode="constant")[2 : 2 + height, 2 : 2 + width]
    return whole


def bands(plane: Plane) -> list[Plane]:
    found = []
    for _ in range(5):
        smaller = down(plane)
        found.append(plane - up(smaller, *plane.shape))
        plane = smaller
    found.append(plane)
    return [
        band / (sigma + convolve2d(np.abs(band), k, mode="same"))
        for band, sigma, k in zip(found, SIGMAS, KERNELS, strict=True)
    ]


def nlpd(a: Plane, b: Plane) -> float:
    return float(np.mean([np.sqrt(((p - q) ** 2).mean()) for p, q in zip(bands(a), bands(b), strict=True)]))


def grey(x: torch.Tensor) -> Plane:
    red, green, blue = x[0].double().numpy()
    plane: Plane = 0.299 * red + 0.587 * green + 0.114 * blue
    return plane


@pytest.mark.parametrize("size", [(64, 96), (70, 51), (33, 128), (5, 3), (1, 1), (2, 40)])
def test_it_is_the_distance_of_the_authors_program(size: tuple[int, int]) -> None:
    x = formula_picture(*size)
    x_hat = 0.1 + 0.7 * x.flip(3) + 0.2 * formula_picture(*size).flip(1, 2)
    assert float(Nlpd()(x, x_hat)) == pytest.approx(nlpd(grey(x), grey(x_hat)), rel=2e-5, abs=1e-5)


def test_a_neighbour_counts_on_the_side_that_the_turned_kernel_says() -> None:
    """Two pixels of different brightness: a picture and its mirror image differ from black by different amounts."""
    x = torch.zeros(1, 3, 33, 33)
    x[..., 16, 10], x[..., 16, 11] = 1, 0.3
    black = torch.zeros_like(x)
    there, mirrored = float(Nlpd()(x, black)), float(Nlpd()(x.flip(3), black))
    assert there == pytest.approx(nlpd(grey(x), grey(black)), rel=2e-5)
    assert mirrored == pytest.approx(nlpd(grey(x.flip(3)), grey(black)), rel=2e-5)
    assert abs(there - mirrored) > 1e-4 * there


def test_black_and_white_differ_in_the_low_pass_rest_alone() -> None:
    """Worked out by hand: three columns are left of 96, and the outer ones have one neighbour each."""
    black, white = torch.zeros(1, 3, 96, 96), torch.ones(1, 3, 96, 96)
    columns = [1 / (0.2782 + around) for around in (0.2215, 0.2215 + 0.0717, 0.0717)]
    expected = np.sqrt(np.mean(np.square(columns))) / 6
    assert float(Nlpd()(black, white)) == pytest.approx(expected, rel=1e-5)
