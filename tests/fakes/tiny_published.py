"""Published codecs a few channels wide, with weights by formula: all that the wide ones do, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import torch
from formula_weights import formula_picture, formula_state
from tiny_cdc import tiny_cdc
from tiny_hific import tiny
from tiny_stf import tiny_stf

from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.cheng import Cheng2020Anchor, Cheng2020Attention
from miscomp.codecs.networks.context import JointAutoregressive
from miscomp.codecs.networks.hyperprior import FactorizedPrior, MeanScaleHyperprior, ScaleHyperprior
from miscomp.codecs.networks.state_dicts import filled
from miscomp.codecs.published import Published
from miscomp.images import Pixels
from miscomp.tensors import to_pixels

TINY: Mapping[str, Callable[[], Network]] = {
    "bmshj2018-factorized": lambda: FactorizedPrior(8, 12),
    "bmshj2018-hyperprior": lambda: ScaleHyperprior(8, 12),
    "mbt2018-mean": lambda: MeanScaleHyperprior(8, 12),
    "mbt2018": lambda: JointAutoregressive(8, 12),
    "cheng2020-anchor": lambda: Cheng2020Anchor(8),
    "cheng2020-attn": lambda: Cheng2020Attention(8),
}

CONTEXT_FREE = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "stf", "hific")
"""Codecs whose estimate rounds latents as their files do."""

NAMES = (*TINY, "stf", "hific", "cdc")

_OTHERS: Mapping[str, Callable[[], Network]] = {"stf": tiny_stf, "hific": tiny, "cdc": tiny_cdc}


@cache
def tiny_network(name: str) -> Network:
    """The networks of an architecture; not to be changed."""
    if name in _OTHERS:
        return _OTHERS[name]()
    with torch.device("meta"):
        shapes = {key: tuple(tensor.shape) for key, tensor in TINY[name]().state_dict().items()}
    return filled(TINY[name], formula_state(shapes))


@cache
def tiny_codec(name: str) -> Published:
    """The codec of an architecture."""
    return Published.of_network(name, tiny_network(name))


@cache
def tiny_picture(height: int, width: int) -> Pixels:
    """Flat squares and noise."""
    return to_pixels(formula_picture(height, width))
