"""Coding along slanted lines gives what raster order gives; the oracle goes through the latents one by one."""

from __future__ import annotations

import itertools

import pytest
import torch
from tiny_lucid import values
from tiny_published import tiny_network
from torch import Tensor, nn

from miscomp.codecs.exact import UNIT, exact, from_units, to_units
from miscomp.codecs.networks.base import scale_index
from miscomp.codecs.networks.bottleneck import SCALE_MIN
from miscomp.codecs.networks.context import JointAutoregressive
from miscomp.codecs.networks.wavefront import WavefrontCoder, _lines


class _Kept:
    """Codes nothing; keeps what it was asked to code and gives the rounded residuals back."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        if target is None:
            raise ValueError("nothing to code")
        self.calls.append((mean, index))
        return (target.double() - mean / UNIT).round() * UNIT + mean


def test_each_latent_is_coded_once_and_after_all_that_its_context_sees() -> None:
    for height, width in ((1, 1), (1, 7), (6, 1), (4, 5), (9, 3), (5, 12)):
        step_of = {}
        for step, (rows, columns) in enumerate(_lines(height, width)):
            for place in zip(rows.tolist(), columns.tolist(), strict=True):
                assert place not in step_of
                step_of[place] = step
        assert set(step_of) == set(itertools.product(range(height), range(width)))
        assert max(step_of.values()) < width + 3 * (height - 1)
        for (row, column), step in step_of.items():
            seen = [(row - up, column + right) for up in (1, 2) for right in range(-2, 3)]
            seen += [(row, column - 1), (row, column - 2)]
            assert all(step_of[place] < step for place in seen if place in step_of)


@pytest.mark.parametrize("name", ["mbt2018", "cheng2020-anchor"])
def test_y_hat_means_and_scales_are_those_of_raster_order(name: str) -> None:
    network = tiny_network(name)
    assert isinstance(network, JointAutoregressive)
    height, width = 8, 12
    y = 4 * values("y", 1, network.latent_channels, height, width)
    coder = network.latent_coder()
    assert isinstance(coder, WavefrontCoder)
    port = _Kept()
    y_hat = coder.run(port, height, width, y)
    found = _by_place(port.calls[1:], height, width, network.latent_channels)

    h_s = coder.hyper_parameters(_Kept(), height, width, y)
    context, parameters = _separate(network)
    done = torch.zeros(1, network.latent_channels, height, width, dtype=torch.float64)
    for row, column in itertools.product(range(height), range(width)):
        seen = context(done)[:, :, row : row + 1, column : column + 1]
        scale, mean = parameters(torch.cat([h_s[:, :, row : row + 1, column : column + 1], seen], 1)).chunk(2, 1)
        done[0, :, row, column] = _Kept().code(mean.flatten(), mean.flatten(), y[0, :, row, column])
        assert torch.equal(found[0][row, column], mean.flatten())
        assert torch.equal(found[1][row, column], scale_index(scale, lower=SCALE_MIN).flatten())
    assert torch.equal(y_hat, from_units(done))


def _separate(network: JointAutoregressive) -> tuple[nn.Module, nn.Module]:
    """The context convolution and the layers after it in whole numbers, as convolutions of the whole grid."""
    outputs, inputs = network.context_prediction.weight.shape[:2]
    masked = nn.Conv2d(inputs, outputs, 5, padding=2)
    masked.weight.data = (network.context_prediction.weight * network.context_prediction.seen()).detach()
    masked.bias = network.context_prediction.bias
    return exact(masked), exact(network.entropy_parameters)  # type: ignore[return-value]


def _by_place(calls: list[tuple[Tensor, Tensor]], height: int, width: int, channels: int) -> tuple[Tensor, Tensor]:
    mean = torch.zeros(height, width, channels, dtype=torch.float64)
    index = torch.zeros(height, width, channels, dtype=torch.int64)
    for (rows, columns), (means, indexes) in zip(_lines(height, width), calls, strict=True):
        mean[rows, columns], index[rows, columns] = means, indexes
    return mean, index


def test_latents_far_outside_keep_the_networks_in_their_range() -> None:
    network = tiny_network("mbt2018")
    y = 1e6 * values("y", 1, network.latent_channels, 4, 4)
    y_hat = network.latent_coder().run(_Kept(), 4, 4, y)
    assert bool(y_hat.isfinite().all())
    assert torch.equal(to_units(torch.zeros(1)), torch.zeros(1, dtype=torch.float64))
