"""Oracle: names and shapes of CompressAI 1.2.8's own state dicts, recorded with what it computes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from formula_weights import formula_picture, formula_state
from torch import Tensor

from miscomp.codecs.networks.catalog import network_from_state
from miscomp.codecs.networks.state_dicts import MAX_CHANNELS, clean_state, stripped, width

RECORDED = Path(__file__).with_name("data") / "compressai.npz"
NAME = "cheng2020-anchor"
"""It has all kinds of tensors: skips, sub-pixel layers, both normalisations, a mask and both entropy models."""

NAMES = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", NAME, "cheng2020-attn")

State = dict[str, Tensor]


def published(name: str = NAME) -> State:
    """As `state_dict()` of CompressAI 1.2.8 gives it, tables of its coder empty."""
    with np.load(RECORDED) as file:
        shapes = json.loads(file[f"{name}/shapes"].tobytes())
    return formula_state({name: tuple(shape) for name, shape in shapes.items()})


def renamed(state: Mapping[str, Tensor], pattern: str, replacement: str) -> State:
    other = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    assert other.keys() != state.keys()
    return other


def first_names(state: Mapping[str, Tensor]) -> State:
    """As the published files of 2020 name the densities."""
    for new, old in (("matrices", "matrix"), ("biases", "bias"), ("factors", "factor")):
        state = renamed(state, rf"\.{new}\.(\d)$", rf"._{old}\1")
    return dict(state)


def list_names(state: Mapping[str, Tensor]) -> State:
    """As the first release named them."""
    return renamed(state, r"\.(matrices|biases|factors)\.(\d)$", r"._\1.\2")


def first_skips(state: Mapping[str, Tensor]) -> State:
    return renamed(state, r"\.skip\.", ".downsample.")


def in_parallel(state: Mapping[str, Tensor]) -> State:
    return renamed(state, "^", "module.")


def with_tables(state: Mapping[str, Tensor]) -> State:
    """After `update()`: tables whose sizes follow from the learned densities."""
    channels = len(state["entropy_bottleneck.quantiles"])
    sizes = {"entropy_bottleneck": (channels, 37), "gaussian_conditional": (64, 3133)}
    tables: State = {"gaussian_conditional.scale_table": torch.linspace(0.11, 256, 64)}
    for module, (rows, columns) in sizes.items():
        tables |= {
            f"{module}._quantized_cdf": torch.ones(rows, columns, dtype=torch.int32),
            f"{module}._cdf_length": torch.full((rows,), columns, dtype=torch.int32),
            f"{module}._offset": torch.full((rows,), -17, dtype=torch.int32),
        }
    return {**state, **tables}


def without_buffers(state: Mapping[str, Tensor]) -> State:
    """Parameters alone, as some tools save them."""
    derived = r"_quantized_cdf|_cdf_length|_offset|scale_table|scale_bound|target|\.bound|pedestal|\.mask"
    return {name: tensor for name, tensor in state.items() if not re.search(derived, name)}


def all_at_once(state: Mapping[str, Tensor]) -> State:
    return in_parallel(first_names(first_skips(with_tables(state))))


@pytest.mark.parametrize(
    "written",
    [first_names, list_names, first_skips, in_parallel, with_tables, without_buffers, all_at_once],
)
@torch.inference_mode()
def test_every_published_spelling_gives_the_same_network(written: Callable[[State], State]) -> None:
    x = formula_picture(64, 64)
    wanted = network_from_state(NAME, published())(x)

    found = network_from_state(NAME, written(published()))(x)

    assert torch.equal(found.x_hat, wanted.x_hat)
    assert torch.equal(found.bits, wanted.bits)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_is_what_our_modules_hold(name: str) -> None:
    state = clean_state(published(name))

    network = network_from_state(name, published(name))

    assert state.keys() == network.state_dict().keys()


def test_a_cleaned_state_stays_as_it_is() -> None:
    once = clean_state(all_at_once(published()))

    assert clean_state(once).keys() == once.keys()


@torch.inference_mode()
def test_a_file_cannot_say_otherwise_what_follows_from_the_weights() -> None:
    honest, lying = published(), published()
    for name in ("context_prediction.mask", "gaussian_conditional.scale_bound", "g_a.0.gdn.beta_reparam.pedestal"):
        lying[name] = torch.full_like(lying[name], 7)
    x = formula_picture(64, 64)

    found, wanted = (network_from_state(NAME, state)(x) for state in (lying, honest))

    assert torch.equal(found.x_hat, wanted.x_hat)
    assert torch.equal(found.bits, wanted.bits)


def broken(change: str) -> State:
    state = published()
    weight = "g_s.1.conv.weight"
    if change == "missing":
        del state[weight]
    elif change == "another shape":
        state[weight] = state[weight][:, :5]
    elif change == "not finite":
        state[weight][0, 0, 0, 0] = float("nan")
    elif change == "unknown":
        state["g_s.11.weight"] = state[weight]
    return state


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("missing", "g_s.1.conv.weight"),
        ("another shape", "g_s.1.conv.weight"),
        ("not finite", "g_s.1.conv.weight"),
        ("unknown", "g_s.11.weight"),
    ],
)
def test_a_broken_state_is_refused_and_the_tensor_named(change: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        network_from_state(NAME, broken(change))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.int32])
def test_weights_of_exotic_types_are_refused_before_they_are_computed_with(dtype: torch.dtype) -> None:
    state = published()
    state["g_s.1.conv.weight"] = torch.zeros(state["g_s.1.conv.weight"].shape, dtype=dtype)

    with pytest.raises(ValueError, match=rf"g_s\.1\.conv\.weight that are not finite floats .* but {dtype}"):
        network_from_state(NAME, state)


@pytest.mark.parametrize("name", ["mbt2018", "stf", "hific", "cdc"])
def test_a_tensor_with_and_without_the_mark_of_several_devices_is_refused(name: str) -> None:
    state = {"a": torch.zeros(1), "module.a": torch.ones(1)}
    if name == "hific":
        state |= {"normalised": torch.zeros(()), "logistic": torch.zeros(())}

    for given in (state, dict(reversed(state.items()))):
        with pytest.raises(ValueError, match="has a twice"):
            network_from_state(name, given)


def test_the_mark_of_several_devices_is_taken_off_once() -> None:
    one, other = torch.zeros(1), torch.ones(1)

    assert stripped({"module.a": one, "b.module.c": other}) == {"a": one, "b.module.c": other}


@pytest.mark.parametrize("change", [first_names, first_skips])
def test_a_tensor_under_an_old_and_a_new_name_is_refused(change: Callable[[State], State]) -> None:
    with pytest.raises(ValueError, match="twice"):
        clean_state({**published(), **change(published())})


@pytest.mark.parametrize(("name", "other"), list(permutations(NAMES, 2)))
def test_the_state_of_another_architecture_is_refused(name: str, other: str) -> None:
    with pytest.raises(ValueError, match=r"does not fit its own widths|is of another architecture"):
        network_from_state(name, published(other))


@pytest.mark.parametrize("channels", [0, MAX_CHANNELS + 1, 4096])
def test_channel_counts_out_of_bounds_are_refused_before_memory_is_taken(channels: int) -> None:
    state = {"g_a.0.weight": torch.zeros(1).expand(channels, 3, 5, 5)}

    with pytest.raises(ValueError, match=f"has {channels} channels; allowed: 1 to {MAX_CHANNELS}, "):
        width(state, "g_a.0.weight")


@pytest.mark.parametrize("channels", [1, 128, 192, 320, 960])
def test_published_channel_counts_are_allowed(channels: int) -> None:
    assert width({"g_a.0.weight": torch.zeros(channels, 3, 1, 1)}, "g_a.0.weight") == channels
