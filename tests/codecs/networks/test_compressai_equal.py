"""Oracle: CompressAI 1.2.8 itself; what it computed of the same weights and picture lies in data/compressai.npz.

Written by studies/record_compressai.py, which runs where CompressAI is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from formula_weights import formula_picture, formula_state
from torch import Tensor

from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.catalog import network_from_state

RECORDED = Path(__file__).with_name("data") / "compressai.npz"
NAMES = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)
SIZE = (64, 128)
EVERY = 3

Recorded = dict[str, npt.NDArray[np.float64]]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recorded(name: str) -> Iterator[Recorded]:
    with np.load(RECORDED) as file:
        yield {part: file[f"{name}/{part}"] for part in ("shapes", "y", "x_hat", "bits")}


def state_of(recorded: Recorded) -> dict[str, Tensor]:
    shapes = json.loads(recorded["shapes"].tobytes())
    return formula_state({name: tuple(shape) for name, shape in shapes.items()})


def network_of(name: str, recorded: Recorded) -> Network:
    return network_from_state(name, state_of(recorded))


@torch.inference_mode()
def test_latents_reconstruction_and_bits_are_those_of_compressai(name: str, recorded: Recorded) -> None:
    network = network_of(name, recorded)
    x = formula_picture(*SIZE)

    estimate = network(x)

    assert estimate.x_hat.shape == (1, 3, *SIZE)
    np.testing.assert_allclose(network.analyse(x).numpy(), recorded["y"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(estimate.x_hat[..., ::EVERY, ::EVERY].numpy(), recorded["x_hat"], rtol=0, atol=1e-5)
    bits = [float(estimate.y_bits), float(estimate.z_bits)]
    np.testing.assert_allclose(bits, recorded["bits"], rtol=1e-5)


@torch.inference_mode()
def test_pictures_of_a_batch_come_out_as_alone(name: str, recorded: Recorded) -> None:
    network = network_of(name, recorded)
    x = formula_picture(*SIZE)

    estimate = network(torch.cat([1 - x, x]))

    np.testing.assert_allclose(estimate.x_hat[1, :, ::EVERY, ::EVERY].numpy(), recorded["x_hat"][0], rtol=0, atol=1e-5)
    bits = [float(estimate.y_bits[1]), float(estimate.z_bits[1])]
    np.testing.assert_allclose(bits, recorded["bits"], rtol=1e-5)
    assert abs(float(estimate.y_bits[0]) - bits[0]) > 1


@torch.inference_mode()
def test_double_precision_computes_the_same(name: str, recorded: Recorded) -> None:
    network = network_of(name, recorded).double()

    estimate = network(formula_picture(*SIZE).double())

    np.testing.assert_allclose(estimate.x_hat[..., ::EVERY, ::EVERY].numpy(), recorded["x_hat"], rtol=0, atol=1e-5)


def test_what_was_recorded_has_something_to_code(recorded: Recorded) -> None:
    assert np.unique(recorded["y"].round()).size >= 5
    assert recorded["bits"][0] > 200
    assert recorded["x_hat"].std() > 0.02


def test_channel_counts_are_those_of_the_tensors(name: str, recorded: Recorded) -> None:
    network = network_of(name, recorded)

    assert network.latent_channels == recorded["y"].shape[1]
