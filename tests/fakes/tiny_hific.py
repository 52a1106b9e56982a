"""A small `hific`, with weights by formula."""

from __future__ import annotations

import torch
from tiny_lucid import values
from torch import nn

from miscomp.codecs.networks.hific import Hific, HificWidths

TINY = HificWidths(encoder=(3, 4, 5, 6, 7), generator=(8, 7, 6, 5, 4), latents=6, hyper=5, blocks=2)


def fill(network: nn.Module) -> None:
    """Weights by formula, the same in our modules and in the port's: latents of several levels and scales."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            noise = values(name, *weight.shape)
            if weight.ndim == 4 and name.endswith("weight"):
                weight.copy_((3 / weight[0].numel()) ** 0.5 * noise)
            else:
                weight.copy_(0.3 * noise + float(name.endswith("gamma")))
            if name == "Encoder.conv_block_out.1.weight":
                weight.mul_(4)
            if name == "Hyperprior.synthesis_std.conv3.bias":
                weight.add_(1)
            if "likelihood.H_" in name:
                weight.sub_(1)


def tiny(*, normalised: bool = False, logistic: bool = False, widths: HificWidths = TINY) -> Hific:
    network = Hific(widths, normalised=normalised, logistic=logistic)
    fill(network)
    return network.eval().requires_grad_(False)
