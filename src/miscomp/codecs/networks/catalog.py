"""Which networks belong to a codec's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from miscomp.registry import Registry, load

if TYPE_CHECKING:
    from torch import Tensor

    from miscomp.codecs.networks.base import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Networks and how to make them from a published state dict."""

    name: str
    build: str
    """`module:function`, from a state dict to a `Network` in evaluation mode; raises `ValueError` for a misfit."""
    settle: str = ""
    """`module:function`, from a state dict and what stands beside it in its file to one that says all that `build`
    needs; raises `ValueError`."""


_HERE = "miscomp.codecs.networks"

ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture",
    [
        Architecture(name="bmshj2018-factorized", build=f"{_HERE}.hyperprior:factorized_from_state"),
        Architecture(name="bmshj2018-hyperprior", build=f"{_HERE}.hyperprior:scale_from_state"),
        Architecture(name="mbt2018-mean", build=f"{_HERE}.hyperprior:mean_from_state"),
        Architecture(name="mbt2018", build=f"{_HERE}.context:from_state"),
        Architecture(name="cheng2020-anchor", build=f"{_HERE}.cheng:anchor_from_state"),
        Architecture(name="cheng2020-attn", build=f"{_HERE}.cheng:attention_from_state"),
        Architecture(name="stf", build=f"{_HERE}.stf:from_state"),
        Architecture(name="hific", build=f"{_HERE}.hific:from_state", settle=f"{_HERE}.hific:state_of_file"),
        Architecture(name="cdc", build=f"{_HERE}.cdc:from_state"),
    ],
)


def network_from_state(
    name: str, state: Mapping[str, Tensor], about: Mapping[str, str | int | float] | None = None
) -> Network:
    """The networks of an architecture with the weights of a state dict, in evaluation mode.

    `about` is what stands beside the weights in their file; none for a state dict of our own. Raises `UnknownName`, and
    `ValueError` for a state dict that is not of this architecture.
    """
    row = ARCHITECTURES[name]
    if row.settle and about is not None:
        state = load(row.settle)(state, about)
    network: Network = load(row.build)(state)
    return network
