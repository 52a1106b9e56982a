"""A detector's network of a few channels with weights from a seed, and pictures to try it on."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from miscomp.detect.learned_weights import LearnedWeights
from miscomp.detect.network import DetectorNetwork, NetworkConfig
from miscomp.images import Pixels

TINY = NetworkConfig(stem=4, features=6, local=8, middle=8, wide=8)


@cache
def tiny_network(seed: int = 0) -> DetectorNetwork:
    """Weights large enough that answers differ from place to place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DetectorNetwork(TINY)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(2)
    ready: DetectorNetwork = network.eval().requires_grad_(False)
    return ready


def tiny_weights(seed: int = 0) -> LearnedWeights:
    """The network as if read from a file."""
    return LearnedWeights(tiny_network(seed), f"{seed:064x}")


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    """Uniform noise: no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
