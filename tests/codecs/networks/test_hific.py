"""HiFiC against what its public PyTorch port computes, its streams in whole numbers, and its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_hific import TINY, fill, tiny
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs.frequencies import SYMBOL_LIMIT, TOTAL, Counts, gaussian_frequencies
from miscomp.codecs.gaussian import SCALE_TABLE
from miscomp.codecs.latent_ports import DecodingPort, EncodingPort
from miscomp.codecs.networks.base import GAUSSIANS
from miscomp.codecs.networks.hific import Hific, HificWidths, from_state, state_of
from miscomp.codecs.networks.hific_coder import reflected

RECORDED = Path(__file__).parent / "data" / "hific.npz"
"""What the port's own code computes at the widths of TINY with the weights of `fill` for a `picture`: `x_hat` (every
3rd row, every 5th column), `y_bits` and `z_bits`."""

KINDS = [(normalised, logistic) for normalised in (False, True) for logistic in (False, True)]


def picture(height: int, width: int) -> Tensor:
    """In [0, 1)."""
    return values("picture", 1, 3, height, width).add(1).div(2)


def checkpoint(network: Hific, **settings: object) -> tuple[dict[str, Tensor], dict[str, object]]:
    """`model_state_dict` and `args` as the port's training writes them."""
    state = {name: tensor for name, tensor in network.state_dict().items() if "." in name}
    foreign = {
        "Discriminator.conv1.weight_orig": torch.zeros(2),
        "perceptual_loss.model.net.lin0.model.1.weight": torch.zeros(3),
        "Hyperprior.hyperprior_entropy_model.CDF": torch.zeros(3, dtype=torch.int32),
        "Hyperprior.prior_entropy_model.scale_table_tensor": torch.zeros(64),
    }
    args = {"normalize_input_image": False, "likelihood_type": "gaussian", "sample_noise": False, "regime": "low"}
    return state | foreign, args | settings


@pytest.mark.parametrize(("normalised", "logistic"), KINDS)
def test_the_estimate_is_what_the_port_computes(normalised: bool, logistic: bool) -> None:
    network = tiny(normalised=normalised, logistic=logistic)
    with torch.no_grad():
        estimate = network(picture(128, 192))
    recorded = np.load(RECORDED)
    key = f"{int(normalised)}{int(logistic)}"
    x_hat = estimate.x_hat[0, :, ::3, ::5].numpy()
    np.testing.assert_allclose(x_hat, recorded[f"x_hat_{int(normalised)}"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(estimate.y_bits.numpy(), recorded[f"y_bits_{key}"], rtol=1e-5)
    np.testing.assert_allclose(estimate.z_bits.numpy(), recorded[f"z_bits_{key}"], rtol=1e-5)


def test_a_checkpoint_of_the_port_is_read_whatever_else_it_holds() -> None:
    network = tiny(normalised=True, logistic=True)
    state = state_of(*checkpoint(network, normalize_input_image=True, likelihood_type="logistic"))
    read = from_state({f"module.{name}": tensor for name, tensor in state.items()})
    assert not read.training
    again = from_state(read.state_dict())
    with torch.no_grad():
        for one in (read, again):
            assert torch.equal(one(picture(64, 64)).x_hat, network(picture(64, 64)).x_hat)
            assert one.synthesis_reach == 2 * TINY.blocks + 3


def test_the_published_widths_are_those_whose_size_the_port_states() -> None:
    with torch.device("meta"):
        network = Hific(HificWidths())
    # 737 MB in all by the port's documentation, of which the discriminator, by its layers, has 11.2.
    size = 4 * sum(weight.numel() for weight in network.parameters())
    assert size / 1e6 + 11.2 == pytest.approx(737, abs=0.5)
    assert network.latent_channels == 220 and network.synthesis_reach == 21


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalize_input_image": None}, "normalize_input_image=None"),
        ({"likelihood_type": "student"}, "likelihood_type='student'"),
        ({"sample_noise": True}, "draws noise"),
    ],
)
def test_a_checkpoint_whose_settings_are_not_known_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        state_of(*checkpoint(tiny(), **settings))


def broken() -> Iterator[tuple[str, dict[str, Tensor]]]:
    state = tiny().state_dict()
    yield "does not say whether it is logistic", {name: state[name] for name in state if name != "logistic"}
    yield "normalised is", state | {"normalised": torch.tensor(0.5)}
    yield (
        "conv_block_out.1.weight",
        {name: state[name] for name in state if not name.startswith("Encoder.conv_block_out")},
    )
    yield "resblock_1.conv1.bias", state | {"Generator.resblock_1.conv1.bias": torch.zeros(9)}
    yield "resblock_2", state | {"Generator.resblock_7.conv1.weight": state["Generator.resblock_1.conv1.weight"]}
    yield "latent_noise_map", state | {"Generator.latent_noise_map.weight": torch.zeros(3)}
    yield "not finite", state | {"Encoder.conv_block1.1.bias": torch.full((3,), torch.nan)}
    yield "9999 channels", state | {"Encoder.conv_block1.1.weight": torch.zeros(9999, 3, 7, 7)}


def test_a_state_that_does_not_fit_is_refused() -> None:
    for message, state in broken():
        with pytest.raises(ValueError, match=message):
            from_state(state)


class Tape:
    """Records residuals with their tables' indexes."""

    def __init__(self) -> None:
        self.calls: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] = []

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        self.calls.append((symbols.copy(), indexes.copy()))
        return symbols


class Player:
    """Plays a tape back to a decoder that asks for the same tables."""

    def __init__(self, tape: Tape) -> None:
        self.left = iter(tape.calls)

    def code(self, indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        symbols, wanted = next(self.left)
        np.testing.assert_array_equal(indexes, wanted)
        return symbols


def cost(tape: Tape, tables: list[Counts]) -> list[float]:
    """Bits of each call by the tables, those of zero-mean Gaussians first."""
    gaussians = gaussian_frequencies()
    bits = []
    for symbols, indexes in tape.calls:
        total = 0.0
        for index in np.unique(indexes):
            table = tables[index - GAUSSIANS] if index >= GAUSSIANS else gaussians.whole(int(index))
            total += float(np.log2(TOTAL / table[symbols[indexes == index] + SYMBOL_LIMIT]).sum())
        bits.append(total)
    return bits


@pytest.mark.parametrize("logistic", [False, True])
def test_both_ends_of_a_stream_have_the_same_latents_near_those_of_floating_point(logistic: bool) -> None:
    network = tiny(logistic=logistic)
    coder, tape = network.latent_coder(), Tape()
    with torch.no_grad():
        y = network.analyse(picture(192, 256))
        estimate = network(picture(192, 256))
        z_hat = torch.floor(network.Hyperprior.analysis_net(y) + 0.5)
        mean = network.Hyperprior.synthesis_mu(z_hat)
        floating = torch.floor(y - mean + 0.5) + mean
    sent = coder.run(EncodingPort(tape), 12, 16, y)
    received = coder.run(DecodingPort(Player(tape)), 12, 16, None)
    assert torch.equal(sent, received) and sent.dtype == torch.float32 and sent.shape == y.shape
    # Means are rounded to 2^-10; where that tips the rounding of a latent over, it differs by 1.
    difference = (sent - floating).abs()
    assert float((difference < 0.005).float().mean()) > 0.99
    assert float(torch.minimum(difference, (difference - 1).abs()).max()) < 0.005
    # Not trivial: several values, several scales.
    assert len(np.unique(tape.calls[0][0])) > 4
    assert len(np.unique(tape.calls[1][0])) > 4 and len(np.unique(tape.calls[1][1])) > 4
    z_bits, y_bits = cost(tape, list(coder.tables))
    assert z_bits == pytest.approx(float(estimate.z_bits), rel=0.01)
    assert y_bits == pytest.approx(float(estimate.y_bits), rel=0.02)


def test_tables_hold_the_distributions_masses() -> None:
    network = tiny(logistic=True)
    tables = network.latent_coder().tables
    assert len(tables) == TINY.hyper + GAUSSIANS
    for table in tables:
        assert table.sum() == TOTAL and table.min() >= 1 and len(table) == 2 * SYMBOL_LIMIT + 1
    near = torch.arange(-3.0, 4.0)
    with torch.no_grad():
        likelihood = network.Hyperprior.hyperlatent_likelihood.likelihood(near.expand(1, TINY.hyper, 1, 7))
    for table, row in zip(tables, likelihood[0, :, 0].numpy(), strict=False):
        np.testing.assert_allclose(table[SYMBOL_LIMIT - 3 : SYMBOL_LIMIT + 4] / TOTAL, row, atol=4e-4)
    # The logistic distribution by another formula; what the tables' least frequency of 1 takes away is 4095 of 2^24.
    for index in (0, 20, 40):
        edges = (1 + np.tanh(np.arange(-3.5, 4) / SCALE_TABLE[index] / 2)) / 2
        table = tables[TINY.hyper + index]
        np.testing.assert_allclose(table[SYMBOL_LIMIT - 3 : SYMBOL_LIMIT + 4] / TOTAL, np.diff(edges), atol=4e-4)


def test_the_scale_never_falls_below_its_bound() -> None:
    network = tiny()
    with torch.no_grad():
        network.get_parameter("Hyperprior.synthesis_std.conv3.weight").zero_()
        network.get_parameter("Hyperprior.synthesis_std.conv3.bias").fill_(-5)
    tape = Tape()
    with torch.no_grad():
        y = network.analyse(picture(64, 64))
    network.latent_coder().run(EncodingPort(tape), 4, 4, y)
    assert np.unique(tape.calls[1][1]).tolist() == [int(np.argmin(np.abs(np.log(SCALE_TABLE / 0.11))))]


def block_of(whole: Tensor, reach: int, *, rows: tuple[int, int], columns: tuple[int, int], cell: int) -> Tensor:
    """Latents `rows` x `columns` with `reach` around them, in a grid of `cell` places a latent."""
    height, width = whole.shape[2] // cell, whole.shape[3] // cell
    top, bottom = max(rows[0] - reach, 0), min(rows[1] + reach, height)
    left, right = max(columns[0] - reach, 0), min(columns[1] + reach, width)
    return whole[:, :, top * cell : bottom * cell, left * cell : right * cell]


def difference_of_a_block(network: Hific, part: str, reach: int) -> float:
    """Largest difference of latents (11..13, 13..16), worked out alone with `reach` around, from those of the whole."""
    rows, columns = (11, 14), (13, 17)
    if part == "analyse":
        grid, cell, of = picture(26 * 16, 30 * 16), 16, 1
    else:
        grid, cell, of = 4 * values("latents", 1, TINY.latents, 26, 30), 1, 16
    run = getattr(network, part)
    with torch.no_grad():
        whole = run(grid)
        alone = run(block_of(grid, reach, rows=rows, columns=columns, cell=cell))
    top, left = min(rows[0], reach) * of, min(columns[0], reach) * of
    height, width = (rows[1] - rows[0]) * of, (columns[1] - columns[0]) * of
    wanted = whole[:, :, rows[0] * of : rows[1] * of, columns[0] * of : columns[1] * of]
    return float((alone[:, :, top : top + height, left : left + width] - wanted).abs().max())


@pytest.mark.parametrize("part", ["analyse", "synthesise"])
def test_a_block_with_its_reach_around_it_comes_out_as_in_the_whole_and_with_less_it_does_not(part: str) -> None:
    network = tiny(normalised=True)
    reach = network.analysis_reach if part == "analyse" else network.synthesis_reach
    assert difference_of_a_block(network, part, reach) < 1e-5
    assert difference_of_a_block(network, part, reach - 1) > 1e-3


def test_strips_and_the_order_in_memory_change_nothing() -> None:
    # With gradients, as in training, the whole is worked on at once.
    network = tiny()
    grid, latents = picture(37 * 16, 64), 4 * values("latents", 1, TINY.latents, 37, 5)
    whole = network.analyse(grid), network.synthesise(latents)
    with torch.inference_mode():
        strips = network.analyse(grid), network.synthesise(latents)
        last = torch.channels_last
        moved = network.analyse(grid.to(memory_format=last)), network.synthesise(latents.to(memory_format=last))
    for one, other, third in zip(whole, strips, moved, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        torch.testing.assert_close(one, third, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (2, 5), (3, 3), (7, 4)])
def test_reflection_is_that_of_numpy_however_small_the_grid(shape: tuple[int, int]) -> None:
    grid = values("grid", 1, 2, *shape)
    around = ((0, 0), (0, 0), (2, 2), (2, 2))
    np.testing.assert_array_equal(reflected(grid, 2).numpy(), np.pad(grid.numpy(), around, mode="reflect"))


def test_training_sees_noise_in_the_rate_and_rounded_latents_in_the_picture() -> None:
    network = Hific(TINY)
    fill(network)
    torch.manual_seed(0)
    first, second = network.train()(picture(64, 64)), network(picture(64, 64))
    assert float(first.bits.detach()) != float(second.bits.detach())
    (first.bits.sum() + first.x_hat.square().sum()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and bool(weight.grad.isfinite().all()), name
    assert float(network.get_parameter("Encoder.conv_block1.1.weight").grad.abs().max()) > 0  # type: ignore[union-attr]
