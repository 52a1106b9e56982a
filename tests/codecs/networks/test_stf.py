"""`stf` against what its public code computes, its streams in whole numbers, and its blocks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lucid import values
from tiny_stf import TINY, picture, tiny_state, tiny_stf
from torch import Tensor

from miscomp.codecs.entropy import CodingTables, SymbolCounter, SymbolDecoder, SymbolEncoder
from miscomp.codecs.exact import UNIT
from miscomp.codecs.fixed_point import LIMIT
from miscomp.codecs.frequencies import SYMBOL_LIMIT, shipped_gaussian
from miscomp.codecs.gaussian import SCALE_TABLE
from miscomp.codecs.latent_ports import DecodingPort, EncodingPort
from miscomp.codecs.networks import stf_transforms
from miscomp.codecs.networks.base import GAUSSIANS
from miscomp.codecs.networks.stf import PUBLISHED, Stf, from_state

RECORDED = Path(__file__).parent / "data" / "stf.npz"
"""What the public code's classes compute at the widths of TINY with the weights of `tiny_state`, in float64.

For `picture(128, 192)`: `x_hat` (every 3rd row, every 5th column), `y` and `y_hat` (every 5th channel), `y_bits` and
`z_bits`. For `picture(80, 48)`, whose sides are no multiples of the windows: `odd_y`, and what the synthesis makes of
it, `odd_x_hat` (every 3rd row, every 2nd column)."""


def in_double() -> Stf:
    """`tiny_stf` in float64: on no machine does a latent lie so close to a half that it is rounded otherwise."""
    return copy.deepcopy(tiny_stf()).double()


def test_the_estimate_is_what_the_public_code_computes() -> None:
    network, recorded = in_double(), np.load(RECORDED)
    with torch.no_grad():
        estimate = network(picture(128, 192).double())
        y = network.analyse(picture(128, 192).double())
        y_hat, _, _ = network.estimate(y)
    np.testing.assert_allclose(y[:, ::5].numpy(), recorded["y"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(y_hat[:, ::5].numpy(), recorded["y_hat"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(estimate.x_hat[..., ::3, ::5].numpy(), recorded["x_hat"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(estimate.y_bits.numpy(), recorded["y_bits"], rtol=1e-6)
    np.testing.assert_allclose(estimate.z_bits.numpy(), recorded["z_bits"], rtol=1e-6)
    assert recorded["y"].std() > 1 and recorded["x_hat"].std() > 0.1


def test_the_transforms_are_the_public_codes_where_sides_are_no_multiples_of_the_windows() -> None:
    network, recorded = tiny_stf(), np.load(RECORDED)
    with torch.no_grad():
        y = network.analyse(picture(80, 48))
        x_hat = network.synthesise(torch.from_numpy(recorded["odd_y"]))
    np.testing.assert_allclose(y.numpy(), recorded["odd_y"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(x_hat[..., ::3, ::2].numpy(), recorded["odd_x_hat"], rtol=0, atol=1e-4)


def test_the_published_widths_have_the_public_codes_parameters_and_a_reach_of_twelve_latents() -> None:
    with torch.device("meta"):
        network = Stf(PUBLISHED)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    # Counted in an instance of the public code.
    assert len(shapes) == 743 and sum(weight.numel() for weight in network.parameters()) == 99_855_639
    for name, shape in {
        "patch_embed.norm.weight": (48,),
        "layers.2.blocks.5.attn.relative_position_bias_table": (49, 12),
        "layers.0.downsample.reduction.weight": (96, 192),
        "syn_layers.0.downsample.reduction.weight": (768, 384),
        "h_mean_s.2.0.weight": (1152, 240, 3, 3),
        "cc_mean_transforms.11.0.weight": (224, 576, 3, 3),
        "lrp_transforms.11.0.weight": (224, 608, 3, 3),
        "end_conv.0.weight": (192, 48, 5, 5),
    }.items():
        assert shapes[name] == shape
    # With windows of 4, 2 blocks see 4 tokens further and 6 see 12: 4, 6, 1 and 0.5 latents, in whole windows 12.
    assert network.analysis_reach == 12 and network.synthesis_reach == 12 and network.align == 4


def published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the authors' training saves it on several devices."""
    named = {
        f"module.{name}".replace("matrices.", "_matrix").replace("biases.", "_bias").replace("factors.", "_factor"): one
        for name, one in state.items()
    }
    return named | {
        "module.layers.1.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.int64),
        "module.entropy_bottleneck._quantized_cdf": torch.zeros(24, 37, dtype=torch.int32),
        "module.entropy_bottleneck.target": torch.zeros(3),
        "module.entropy_bottleneck.likelihood_lower_bound.bound": torch.ones(1),
        "module.gaussian_conditional.scale_table": torch.full((64,), torch.nan),
        "module.gaussian_conditional.lower_bound_scale.bound": torch.ones(1),
        "module.h_s.0.weight": torch.zeros(3),
    }


def test_a_state_with_the_authors_names_and_buffers_is_read_and_its_buffers_are_not_trusted() -> None:
    read = from_state(published_names(tiny_state()))
    assert not read.training and read.latent_channels == 48
    assert read.state_dict().keys() == tiny_state().keys()
    with torch.no_grad():
        for ours, wanted in zip(read(picture(64, 64)), tiny_stf()(picture(64, 64)), strict=True):
            assert torch.equal(ours, wanted)


def broken() -> Iterator[tuple[str, dict[str, Tensor]]]:
    state = tiny_state()
    yield "patch_embed.proj.weight", {name: state[name] for name in state if not name.startswith("patch_embed")}
    yield "layers.2.blocks.N.norm1.weight", {name: state[name] for name in state if not name.startswith("layers.2.")}
    yield "syn_layers.1.blocks.3", {name: state[name] for name in state if "syn_layers.1.blocks.3" not in name}
    yield "lrp_transforms.11.8.bias", state | {"lrp_transforms.11.8.bias": torch.zeros(5)}
    yield (
        "cc_mean_transforms.12",
        state | {"cc_mean_transforms.13.0.weight": torch.zeros(1)} | {"cc_mean_transforms.12.8.bias": torch.zeros(4)},
    )
    yield "g_a.0.weight", state | {"g_a.0.weight": torch.zeros(3)}
    yield "h_a.4.bias that are not finite", state | {"h_a.4.bias": torch.full((16,), torch.inf)}
    yield "9999 channels", state | {"patch_embed.proj.weight": torch.zeros(9999, 3, 2, 2)}
    table = "layers.1.blocks.0.attn.relative_position_bias_table"
    yield "12 channels do not make 5 equal heads", state | {table: torch.zeros(49, 5)}
    yield "the last stage gives 48 channels, not 60", state | {"h_a.0.weight": torch.zeros(20, 60, 3, 3)}
    yield "do not make 13 equal slices", state | {"cc_mean_transforms.12.0.weight": torch.zeros(1)}


@pytest.mark.parametrize(("message", "state"), [pytest.param(*case, id=case[0]) for case in broken()])
def test_a_state_that_does_not_fit_is_refused_by_the_name_of_what_does_not(
    message: str, state: dict[str, Tensor]
) -> None:
    with pytest.raises(ValueError, match=message):
        from_state(state)


def test_both_ends_of_a_stream_have_the_same_latents_near_those_of_floating_point() -> None:
    network = tiny_stf()
    coder = network.latent_coder()
    tables = CodingTables(shipped_gaussian(), coder.tables)
    with torch.no_grad():
        y = network.analyse(picture(128, 192))
        floating, y_bits, z_bits = network.estimate(y)
        encoder, counter = SymbolEncoder(tables), SymbolCounter(tables)
        sent = coder.run(EncodingPort(encoder), 8, 12, y)
        counted = coder.run(EncodingPort(counter), 8, 12, y)
        received = coder.run(DecodingPort(SymbolDecoder(tables, encoder.finish())), 8, 12, None)
    assert torch.equal(sent, received) and torch.equal(sent, counted)
    assert sent.dtype == torch.float32 and sent.shape == y.shape
    # Weights of 15 bits and steps of 2^-10 leave means off by thousandths; where that tips a rounding, it is by 1.
    difference = (sent - floating).abs()
    assert float(difference.median()) < 0.005 and float((difference > 0.05).float().mean()) < 0.01
    assert float(difference.max()) < 1.1
    # The tables name 64 scales, and none of their values costs more than 24 bits; the estimate goes up to 30.
    assert counter.bits == pytest.approx(float(y_bits + z_bits), rel=0.03)


class Watched:
    """A port that sends residuals of its own and keeps what it was asked for."""

    def __init__(self, residual: int) -> None:
        self.residual, self.indexes = residual, list[Tensor]()

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        assert torch.equal(mean, mean.round()) and float(mean.abs().max()) <= LIMIT
        self.indexes.append(index)
        return mean + self.residual * UNIT


@pytest.mark.parametrize("residual", [-SYMBOL_LIMIT, 0, SYMBOL_LIMIT])
def test_whatever_a_stream_holds_the_latents_stay_within_the_limits(residual: int) -> None:
    port = Watched(residual)
    y_hat = tiny_stf().latent_coder().run(port, 4, 8, None)
    assert y_hat.shape == (1, 48, 4, 8) and float(y_hat.abs().max()) <= LIMIT / UNIT
    assert len(port.indexes) == 1 + TINY.entropy.slices
    assert int(port.indexes[0].min()) == GAUSSIANS and int(port.indexes[0].max()) == GAUSSIANS + 23
    least = int(np.argmin(np.abs(np.log(SCALE_TABLE / 0.11))))
    assert all(least <= int(index.min()) and int(index.max()) < GAUSSIANS for index in port.indexes[1:])


def test_a_slice_depends_on_the_first_half_of_the_slices_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network, size = in_double(), TINY.entropy.slice
    y = 3 * values("y", 1, 48, 4, 4).double()
    with torch.no_grad():
        z = network.summarise(y)
        monkeypatch.setattr(network, "summarise", lambda _: z)
        whole, _, _ = network.estimate(y)
        for changed, seen_by in ((2, range(2, 12)), (5, range(5, 12)), (6, (6,)), (11, (11,))):
            other = y.clone()
            other[:, changed * size : (changed + 1) * size] += 1
            difference = (network.estimate(other)[0] - whole).abs().amax((0, 2, 3)).view(12, size).amax(1)
            assert (difference > 1e-9).nonzero().flatten().tolist() == list(seen_by)


def block_of(part: str, reach: int, dtype: torch.dtype) -> float:
    """Largest difference of latents 16 to 20 of 40, worked out alone with `reach` around, from those of the whole."""
    network = copy.deepcopy(tiny_stf()).to(dtype)
    given, kept = (16, 1) if part == "analyse" else (1, 16)
    grid = (picture(64, 640) if part == "analyse" else 3 * values("latents", 1, 48, 4, 40)).to(dtype)
    run = getattr(network, part)
    with torch.no_grad():
        whole, alone = run(grid), run(grid[..., (16 - reach) * given : (20 + reach) * given])
    wanted = whole[..., 16 * kept : 20 * kept]
    return float((alone[..., reach * kept : (reach + 4) * kept] - wanted).abs().max())


@pytest.mark.parametrize("part", ["analyse", "synthesise"])
def test_a_block_with_its_reach_around_it_comes_out_as_in_the_whole_and_with_a_window_less_it_does_not(
    part: str,
) -> None:
    reach = tiny_stf().analysis_reach if part == "analyse" else tiny_stf().synthesis_reach
    assert reach == 12
    assert block_of(part, reach, torch.float32) < 1e-5
    # What lies furthest off counts for little: only more digits show it.
    assert block_of(part, reach, torch.float64) < 1e-12 < 1e-9 < block_of(part, reach - 4, torch.float64)


def test_how_many_numbers_are_worked_on_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_stf()
    with torch.no_grad():
        y = network.analyse(picture(64, 128))
        x_hat = network.synthesise(y)
        monkeypatch.setattr(stf_transforms, "_AT_ONCE", 500)
        torch.testing.assert_close(network.analyse(picture(64, 128)), y, rtol=0, atol=1e-4)
        torch.testing.assert_close(network.synthesise(y), x_hat, rtol=0, atol=1e-4)


def test_several_pictures_at_once_give_what_each_gives_alone() -> None:
    network = in_double()
    pictures = torch.cat([picture(64, 128), picture(128, 64).transpose(2, 3)]).double()
    with torch.no_grad():
        together = network(pictures)
        for index in range(2):
            alone = network(pictures[index : index + 1])
            for found, wanted in zip(together, alone, strict=True):
                torch.testing.assert_close(found[index : index + 1], wanted)


def test_synthesis_in_half_the_precision_gives_nearly_the_same_picture() -> None:
    half = copy.deepcopy(tiny_stf()).bfloat16()
    y_hat = 3 * values("latents", 1, 48, 4, 8)
    with torch.no_grad():
        found, wanted = half.synthesise(y_hat.bfloat16()), tiny_stf().synthesise(y_hat)
    assert found.dtype == torch.bfloat16
    assert float((found.float() - wanted).std()) < 0.25 * float(wanted.std())


def test_training_puts_noise_into_the_bits_alone_and_reaches_every_weight() -> None:
    network = in_double().requires_grad_(True)
    with torch.no_grad():
        rounded = network(picture(64, 64).double())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        estimate = network.train()(picture(64, 64).double())
    torch.testing.assert_close(estimate.x_hat.detach(), rounded.x_hat)
    assert float((estimate.y_bits.detach() - rounded.y_bits).abs()) > 1
    (estimate.bits.sum() + estimate.x_hat.square().sum()).backward()
    for name, weight in network.named_parameters():
        if name == "entropy_bottleneck.quantiles":  # these have a loss of their own
            continue
        assert weight.grad is not None and bool(weight.grad.isfinite().all()), name
        assert bool((weight.grad != 0).any()), name
