"""`mbt2018`: each latent's mean and scale also follow from the latents above and to the left of it.

Minnen, Ballé and Toderici, "Joint autoregressive and hierarchical priors for learned image compression", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from miscomp.codecs.networks.base import Estimate, LatentCoder
from miscomp.codecs.networks.bottleneck import bits_of, gaussian_likelihood, quantised
from miscomp.codecs.networks.hyperprior import MeanScaleHyperprior
from miscomp.codecs.networks.state_dicts import clean_state, filled, width
from miscomp.codecs.networks.wavefront import WavefrontCoder

REACH = 2
"""Latents that the context sees to each side and above."""


class MaskedConv2d(nn.Conv2d):
    """A 5 x 5 convolution that sees what comes before its centre in raster order (mask A of PixelCNN)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2 * REACH + 1, padding=REACH)

    def seen(self) -> Tensor:
        """(5, 5): 1 for what comes before the centre."""
        side = 2 * REACH + 1
        before = torch.arange(side * side, device=self.weight.device) < REACH * side + REACH
        return before.view(side, side).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Same size as the input."""
        return nn.functional.conv2d(x, self.weight * self.seen(), self.bias, padding=REACH)


class JointAutoregressive(MeanScaleHyperprior):
    """`mbt2018`."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(n, m)
        self.entropy_parameters = nn.Sequential(
            nn.Conv2d(m * 4, m * 10 // 3, 1),
            nn.LeakyReLU(),
            nn.Conv2d(m * 10 // 3, m * 8 // 3, 1),
            nn.LeakyReLU(),
            nn.Conv2d(m * 8 // 3, m * 2, 1),
        )
        self.context_prediction = MaskedConv2d(m, 2 * m)

    def forward(self, x: Tensor) -> Estimate:
        """As the published code estimates: the context and the picture come from y rounded to whole numbers.

        Streams code y rounded around its means instead, so that a file's rate and picture differ a little from this.
        """
        y = self.analyse(x)
        z_hat, z_bits = self.entropy_bottleneck.bits(self.summarise(y))
        y_hat = quantised(y, None, training=self.training)
        parameters = torch.cat([self.h_s(z_hat), self.context_prediction(y_hat)], 1)
        scale, mean = self.entropy_parameters(parameters).chunk(2, 1)
        around = quantised(y, mean, training=self.training)
        y_bits = bits_of(gaussian_likelihood(around - mean, scale))
        return Estimate(self.synthesise(y_hat), y_bits, z_bits)

    def latent_coder(self) -> LatentCoder:
        return WavefrontCoder(self, self.context_prediction, self.entropy_parameters)


def from_state(state: Mapping[str, Tensor]) -> JointAutoregressive:
    """`mbt2018` with published weights. Raises `ValueError` for those of another architecture."""
    state = clean_state(state)
    return filled(lambda: JointAutoregressive(width(state, "g_a.0.weight"), width(state, "g_a.6.weight")), state)
