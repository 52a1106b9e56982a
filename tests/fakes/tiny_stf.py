"""A small `stf`: a few channels, and numbers that come from a formula, the same with every release of torch."""

from __future__ import annotations

import math
from functools import cache

import torch
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs.networks.stf import Stf, StfWidths, from_state
from miscomp.codecs.networks.stf_coder import EntropyWidths

TINY = StfWidths(
    embed=6,
    depths=(2, 2, 6, 2),
    heads=(1, 2, 3, 6),
    entropy=EntropyWidths(latent=48, hyper=(20, 18, 16, 20, 24), slices=12, context=(10, 8, 6, 5)),
)


def tiny_state() -> dict[str, Tensor]:
    """A state dict whose latents are worth coding: several levels, several scales, densities off zero."""
    with torch.device("meta"):
        wanted = Stf(TINY).state_dict()
    return {name: _tensor(name, *tensor.shape) for name, tensor in wanted.items()}


@cache
def tiny_stf() -> Stf:
    """`tiny_state`, ready to run; not to be changed."""
    return from_state(tiny_state())


def picture(height: int, width: int) -> Tensor:
    """Noise in [0, 1)."""
    return (values(f"stf {height} {width}", 1, 3, height, width) + 1) / 2


def _tensor(name: str, *shape: int) -> Tensor:
    number = values(f"stf {name}", *shape)
    if name.startswith("entropy_bottleneck.matrices"):
        return 0.3 * number - 1
    if name.endswith("quantiles"):
        return 0.4 * number + torch.tensor([-8.0, 0.0, 8.0])
    if "norm" in name:
        return 0.3 * number + float(name.endswith("weight"))
    if name.startswith("cc_scale_transforms") and name.endswith("8.bias"):
        return 4 + 3 * number
    if name.startswith("end_conv.2"):
        return 0.03 * number + 0.5 * name.endswith("bias")
    if name.endswith("weight"):
        # Attention is made to matter, so that what lies far off is seen.
        louder = 1.6 if ".attn." in name else 2.5 if name == "layers.3.blocks.1.mlp.fc2.weight" else 1.2
        return number * (louder * math.sqrt(3 / number[0].numel()))
    return 0.5 * number
