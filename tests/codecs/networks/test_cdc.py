"""`cdc` against recordings of its authors' code (github.com/buggyyang/CDC_compression, x-parameterisation).

`data/cdc.npz` holds the names and shapes of a published checkpoint's `ema`, and what that code made of one picture with
weights by `tiny_cdc.formula_state` in 3 steps.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_cdc import formula_state, picture, shapes_of, tiny_cdc
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs.exact import UNIT
from miscomp.codecs.frequencies import SYMBOL_LIMIT, TOTAL, gaussian_frequencies
from miscomp.codecs.latent_ports import EncodingPort
from miscomp.codecs.networks import cdc
from miscomp.codecs.networks.base import GAUSSIANS, residual
from miscomp.codecs.networks.cdc import Cdc, from_state, sampler_steps

LEVELS = cdc.TRAINED_STEPS


@cache
def recorded() -> dict[str, npt.NDArray[np.float32]]:
    with np.load(Path(__file__).parent / "data" / "cdc.npz") as file:
        return dict(file)


def published(checkpoint: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a recorded list, `name 64x3x7x7` a line."""
    rows = [line.split(" ") for line in str(recorded()[checkpoint]).splitlines()]
    return {name: tuple(int(side) for side in shape.split("x")) if shape else () for name, shape in rows}


def started(height: int, width: int) -> Tensor:
    return 1.3 * values("noise", 1, 3, height, width)


class Recorder:
    """A port that keeps what is coded."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        assert target is not None
        assert mean.shape == index.shape == target.shape
        assert torch.equal(mean, mean.round())
        symbols = residual(mean, target)
        self.calls.append((symbols, index))
        return symbols * UNIT + mean


class Replayer:
    """A port that gives it back, to one who asks for the same tables."""

    def __init__(self, calls: list[tuple[Tensor, Tensor]]) -> None:
        self._calls = iter(calls)

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        symbols, expected = next(self._calls)
        assert target is None
        assert torch.equal(index, expected)
        return symbols * UNIT + mean


def test_tensors_have_the_names_and_shapes_of_the_published_checkpoints() -> None:
    wanted = published("layout")
    extra = {name for name in wanted if "." not in name or name.startswith("ema_model.train_")}
    assert len(extra) == 9
    # Oracle: the authors' classes at their published widths, in the wrapper that their training saves.
    assert {f"ema_model.{name}": shape for name, shape in shapes_of(64).items()} == {
        name: shape for name, shape in wanted.items() if name not in extra
    }


@torch.inference_mode()
def test_latents_bits_and_picture_are_those_of_the_authors_code() -> None:
    network, truth = tiny_cdc(), recorded()
    y = network.analyse(picture(64, 64))
    y_hat, y_bits, z_bits = network.context_fn.estimate(y)
    x_hat = network.synthesise(y_hat, started(64, 64))
    assert y.numpy() == pytest.approx(truth["y"], abs=1e-5)
    assert y_hat.numpy() == pytest.approx(truth["y_hat"], abs=1e-5)
    assert y_bits.numpy() == pytest.approx(truth["y_bits"], rel=1e-5)
    assert z_bits.numpy() == pytest.approx(truth["z_bits"], rel=1e-5)
    # Every other row and column is recorded.
    assert x_hat[..., ::2, ::2].numpy() == pytest.approx(truth["x_hat"], abs=1e-4)
    assert 0.05 < float(((x_hat == 0) | (x_hat == 1)).float().mean()) < 0.5  # clamping had something to do


@torch.inference_mode()
def test_the_whole_codec_decodes_from_the_noise_of_seed_0() -> None:
    network = tiny_cdc()
    x = torch.cat([picture(64, 128), picture(64, 128).flip(3)])
    estimate = network(x)
    assert estimate.x_hat.shape == x.shape
    for index in range(2):
        alone = network(x[index : index + 1])
        assert estimate.x_hat[index].numpy() == pytest.approx(alone.x_hat[0].numpy(), abs=1e-4)
        assert float(estimate.bits[index]) == pytest.approx(float(alone.y_bits + alone.z_bits), rel=1e-5)
    y_hat, *_ = network.context_fn.estimate(network.analyse(x[:1]))
    assert torch.equal(network(x[:1]).x_hat, network.synthesise(y_hat, network.noise(0, 64, 128)))


def test_while_training_bits_are_of_noisy_latents_and_the_picture_of_rounded_ones() -> None:
    network = from_state(formula_state(shapes_of(4))).train()
    network.steps = 1
    x = picture(64, 64)
    torch.manual_seed(0)
    first, second = network(x), network(x)
    assert torch.equal(first.x_hat, second.x_hat)
    assert float(first.bits) != float(second.bits)
    assert float(first.bits) == pytest.approx(float(network.eval()(x).bits), rel=0.3)


def test_the_schedule_is_that_of_the_checkpoints() -> None:
    # Oracle: every 512th number of the authors' buffer, in float32.
    truth = recorded()["alphas_cumprod"]
    assert cdc._kept()[::512] == pytest.approx(truth, rel=1e-5)
    levels = [round(step.time * LEVELS) for step in sampler_steps(65)]
    assert levels == list(range(8192, -1, -128))
    assert [round(step.time * LEVELS) for step in sampler_steps(1)] == [8192]


@pytest.mark.parametrize("count", [1, 2, 65, 1000])
def test_steps_lead_to_the_picture_along_its_own_noise(count: int) -> None:
    # Oracle: a network that knows the picture p keeps x at sqrt(a) p + sqrt(1 - a) e for the same e throughout.
    steps = sampler_steps(count)
    kept = [float(cdc._kept()[round(step.time * LEVELS)]) for step in steps]
    p, e = 0.7, -1.3
    x = kept[0] ** 0.5 * p + (1 - kept[0]) ** 0.5 * e
    for step, following in zip(steps, [*kept[1:], 1.0], strict=True):
        x = step.clean * p + step.noisy * x
        assert x == pytest.approx(following**0.5 * p + (1 - following) ** 0.5 * e, abs=1e-9)
    assert x == pytest.approx(p, abs=1e-9)


def test_noise_is_the_normal_distribution_over_raw_numbers_of_the_seed() -> None:
    noise = tiny_cdc().noise(7, 2, 3)
    assert noise.shape == (1, 3, 2, 3)
    # Oracle: the standard library's inverse, of the middle of each of 2^52 equal parts.
    raw = np.random.Philox(key=7).random_raw(18).tolist()
    expected = [0.8 * NormalDist().inv_cdf(((number >> 12) + 0.5) / 2**52) for number in raw]
    assert noise.flatten().tolist() == pytest.approx(expected, abs=2**-17 + 1e-9)
    # Golden: a changed number would change every picture that is decoded from now on.
    golden = [59572, -28195, -10572, -12552, -72677, 26987, -28044, 16093, -115043]
    assert (noise.flatten()[:9] * 2**16).tolist() == golden


def test_noise_has_the_gain_of_its_standard_deviation_and_differs_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_cdc()
    noise = network.noise(2**64 - 1, 128, 192)
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(0.8, rel=0.02)
    assert not torch.equal(noise, network.noise(0, 128, 192))
    monkeypatch.setattr(cdc, "_DRAWN_AT_ONCE", 1000)
    assert torch.equal(noise, network.noise(2**64 - 1, 128, 192))


@torch.inference_mode()
def test_the_same_noise_and_steps_give_the_same_picture_and_others_another() -> None:
    network = from_state(formula_state(shapes_of(4)))
    network.steps = 2
    y_hat = 2 * values("latents", 1, network.latent_channels, 4, 6)
    first = network.synthesise(y_hat, network.noise(1, 64, 96))
    assert torch.equal(first, network.synthesise(y_hat, network.noise(1, 64, 96)))
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert float((first - network.synthesise(y_hat, network.noise(2, 64, 96))).abs().max()) > 0.01
    network.steps = 4
    assert float((first - network.synthesise(y_hat, network.noise(1, 64, 96))).abs().max()) > 1e-4


@torch.inference_mode()
def test_decoding_works_in_half_precision_too() -> None:
    network = from_state(formula_state(shapes_of(4)))
    network.steps = 1
    y_hat = values("latents", 1, network.latent_channels, 4, 4)
    exact = network.synthesise(y_hat, started(64, 64))
    rough = network.bfloat16().synthesise(y_hat.bfloat16(), started(64, 64).bfloat16())
    assert float((rough.float() - exact).abs().mean()) < 0.05


@torch.inference_mode()
def test_a_block_with_its_reach_has_the_latents_of_the_whole_picture() -> None:
    network = tiny_cdc()
    x = picture(256, 256)
    whole = network.analyse(x)
    reach, start, stop = network.analysis_reach, 6, 10
    part = network.analyse(x[:, :, (start - reach) * 16 : (stop + reach) * 16, (start - reach) * 16 :])
    kept = part[:, :, reach : reach + stop - start, reach:]
    assert kept.numpy() == pytest.approx(whole[:, :, start:stop, start:].numpy(), abs=1e-5)


@torch.inference_mode()
def test_a_decoder_finds_the_latents_that_the_encoder_saw() -> None:
    network = tiny_cdc()
    y = network.analyse(picture(128, 192))
    recorder = Recorder()
    y_hat = network.latent_coder().run(recorder, 8, 12, y)
    again = network.latent_coder().run(Replayer(recorder.calls), 8, 12, None)
    assert torch.equal(y_hat, again)
    (z, z_index), (symbols, index) = recorder.calls
    assert z.shape == (1, 16, 2, 3)
    assert z_index[0, :, 0, 0].tolist() == list(range(GAUSSIANS, GAUSSIANS + 16))
    assert len(symbols.unique()) > 3
    assert len(index.unique()) > 3


@torch.inference_mode()
def test_whole_numbers_give_the_latents_of_the_estimate_up_to_their_grid() -> None:
    network = tiny_cdc()
    y = network.analyse(picture(128, 192))
    coded = network.latent_coder().run(Recorder(), 8, 12, y)
    rounded, *_ = network.context_fn.estimate(y)
    off = (coded - rounded).abs()
    # A residual close to a half may go to the other side of it.
    assert float((off > 0.01).float().mean()) < 0.005
    assert float((coded - y).abs().max()) <= 0.5 + 2e-3


@torch.inference_mode()
def test_tables_are_whole_and_cost_what_the_prior_says() -> None:
    network = tiny_cdc()
    coder, prior = network.latent_coder(), network.context_fn.prior
    assert len(coder.tables) == 16
    for table in coder.tables:
        assert table.shape == (2 * SYMBOL_LIMIT + 1,)
        assert table.sum() == TOTAL
        assert table.min() >= 1
    # Oracle: the estimate in float32 of single values around the medians.
    for offset in (-1, 0, 1):
        z = prior.medians + offset
        bits = sum(float(np.log2(TOTAL / table[SYMBOL_LIMIT + offset])) for table in coder.tables)
        assert bits == pytest.approx(float(prior.bits(z)), rel=2e-3)


@torch.inference_mode()
def test_even_the_smallest_scale_is_coded() -> None:
    network = tiny_cdc()
    recorder = Recorder()
    y = network.analyse(picture(128, 192))
    network.latent_coder().run(recorder, 8, 12, y)
    _, index = recorder.calls[1]
    coded = gaussian_frequencies().coded
    assert bool(coded[index.numpy()].all())
    assert int(index.min()) == int(np.flatnonzero(coded)[0])


def test_what_cannot_be_decoded_is_refused() -> None:
    network = from_state(formula_state(shapes_of(4)))
    y_hat = torch.zeros(1, network.latent_channels, 4, 4)
    with pytest.raises(ValueError, match="got none"):
        network.synthesise(y_hat)
    with pytest.raises(ValueError, match=r"got \(1, 3, 64, 80\)"):
        network.synthesise(y_hat, torch.zeros(1, 3, 64, 80))
    with pytest.raises(ValueError, match="even sides"):
        network.synthesise(y_hat[:, :, 1:], torch.zeros(1, 3, 48, 64))
    network.steps = 1001
    with pytest.raises(ValueError, match="1 to 130 steps, not 1001"):
        network.synthesise(y_hat, torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="seed"):
        network.noise(-1, 64, 64)
    with pytest.raises(ValueError, match="6 x 8"):
        network.latent_coder().run(Recorder(), 6, 8, None)


def as_saved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the authors' training saves as `ema`: the average, the last weights, their buffers and two counts."""
    schedule = {"train_alphas_cumprod": torch.from_numpy(cdc._kept()).float()}
    last = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    loss = {"loss_fn_vgg.lin0.model.1.weight": torch.ones(1, 64, 1, 1)}
    return {
        "initted": torch.tensor([1.0]),
        "step": torch.tensor([9]),
        **{f"online_model.{name}": tensor for name, tensor in (last | schedule | loss).items()},
        **{f"ema_model.{name}": tensor for name, tensor in (state | schedule | loss).items()},
    }


def test_a_saved_average_is_read_and_the_last_weights_beside_it_are_not() -> None:
    state = formula_state(shapes_of(4))
    network = from_state(as_saved(state))
    assert isinstance(network, Cdc)
    assert not network.training
    read = network.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())
    assert (network.steps, network.seeded, network.latent_channels) == (65, True, 16)


def test_other_checkpoints_are_refused() -> None:
    state = formula_state(shapes_of(4))
    saved = as_saved(state)
    linear = torch.linspace(1, 0, 20000)
    with pytest.raises(ValueError, match="another noise schedule"):
        from_state(saved | {"ema_model.train_alphas_cumprod": linear})
    with pytest.raises(ValueError, match="another noise schedule"):
        from_state(saved | {"ema_model.train_alphas_cumprod": linear[:LEVELS]})
    with pytest.raises(ValueError, match=r"denoise_fn\.time_mlp"):
        from_state({"g_a.0.weight": torch.zeros(8, 3, 5, 5)})
    with pytest.raises(ValueError, match=r"final_conv\.1\.bias"):
        from_state({name: tensor for name, tensor in state.items() if name != "denoise_fn.final_conv.1.bias"})
    with pytest.raises(ValueError, match="not finite"):
        from_state(state | {"denoise_fn.final_conv.1.bias": torch.full((3,), torch.nan)})
    wide = torch.zeros(10**6, 0, 7, 7)
    with pytest.raises(ValueError, match="1000000 channels"):
        from_state(state | {"context_fn.enc.0.0.block1.block.0.weight": wide})


def test_weights_too_large_for_whole_numbers_are_refused() -> None:
    state = formula_state(shapes_of(4))
    state["context_fn.hyper_dec.0.0.weight"] *= 1e30
    state["context_fn.hyper_dec.0.0.bias"] += 1e30
    with pytest.raises(ValueError, match="exact"):
        from_state(state).latent_coder()


@torch.inference_mode()
def test_an_encoder_without_latents_is_refused() -> None:
    class Sink:
        def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
            return symbols

    with pytest.raises(ValueError, match="latents"):
        tiny_cdc().latent_coder().run(EncodingPort(Sink()), 4, 4, None)
