"""Published state dicts become the tensors that our modules hold, whatever names and buffers their time gave them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from miscomp.codecs.weight_files import misfit

NetworkT = TypeVar("NetworkT", bound=nn.Module)

MAX_CHANNELS = 1024
"""Widest layer that a state dict may ask for; published ones have up to 960. Each channel of a learned density gets a
table, whatever little the file says of it: 1024 take 0.4 GB while they are computed."""

_LEGACY = re.compile(r"(?<=\.)_(?:(matrix|bias|factor)(\d)|(matrices|biases|factors)\.(\d))$")
_NEW = {"matrix": "matrices", "bias": "biases", "factor": "factors"}
# Buffers that follow from the weights: computed here, so that a file cannot say otherwise.
_DERIVED = re.compile(
    r"(^|\.)(_quantized_cdf|_cdf_length|_offset|scale_table|scale_bound|target|bound|pedestal|mask)$"
    r"|(^|\.)(likelihood_)?lower_bound(_scale)?\."
)


def stripped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the `module.` that training on several devices puts before every name.

    Raises `ValueError` for a tensor that stands with and without it.
    """
    return _named((name.removeprefix("module."), tensor) for name, tensor in state.items())


def clean_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with today's names and without buffers that follow from the weights.

    CompressAI's first files have `_matrix0` or `_matrices.0` for `matrices.0` and `downsample` for `skip`; training on
    several devices puts `module.` before every name. Raises `ValueError` for a tensor under two names.
    """
    renamed = _named(
        (_LEGACY.sub(_renamed, name.replace(".downsample.", ".skip.")), tensor)
        for name, tensor in stripped(state).items()
    )
    return {name: tensor for name, tensor in renamed.items() if not _DERIVED.search(name)}


def _named(items: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for name, tensor in items:
        if name in named:
            raise ValueError(f"has {name} twice, under an old and a new name; nothing says which counts")
        named[name] = tensor
    return named


def _renamed(match: re.Match[str]) -> str:
    return f"{_NEW[match[1]]}.{match[2]}" if match[1] else f"{match[3]}.{match[4]}"


def width(state: Mapping[str, Tensor], name: str, axis: int = 0) -> int:
    """Channels as a tensor of the state has them. Raises `ValueError` where it is absent or out of bounds."""
    tensor = state.get(name)
    if tensor is None or tensor.ndim <= axis:
        raise ValueError(f"has no {name}, which such a codec has; it is of another architecture")
    size = tensor.shape[axis]
    if not 1 <= size <= MAX_CHANNELS:
        raise ValueError(f"{name} has {size} channels; allowed: 1 to {MAX_CHANNELS}, so that tables of all stay small")
    return size


def filled(build: Callable[[], NetworkT], state: Mapping[str, Tensor]) -> NetworkT:
    """The module that `build` makes, with the weights of a cleaned state dict: float32, evaluation, no gradients.

    Raises `ValueError` for tensors that are missing, too many, of other shapes or not finite.
    """
    # On the meta device nothing is allocated or drawn at random before the shapes are known to fit.
    with torch.device("meta"):
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if problem := misfit(wanted, state):
        raise ValueError(problem)
    network.load_state_dict({name: tensor.detach().float().clone() for name, tensor in state.items()}, assign=True)
    ready: NetworkT = network.eval().requires_grad_(False)
    return ready
