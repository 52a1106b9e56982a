"""VGG loss: squared difference of the features of VGG-16; differentiable, one value per image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.differentiable import full_precision
from miscomp.metrics.pretrained import State
from miscomp.metrics.vgg16 import Vgg16

STAGES = 4
"""conv1_2, conv2_2, conv3_3 and conv4_3 (the SLIC paper, section 4.2)."""


class VggLoss(nn.Module):
    """Sum over four stages of the mean squared difference of the features; without an upper bound.

    The paper names the layers only. As in its authors' program the features are those after the ReLU, and the picture
    enters with its values in [0, 1], not scaled as the network was trained. (A comment there says L1; it computes the
    mean square.)
    """

    def __init__(self, vgg16: State) -> None:
        """`vgg16` is torchvision's state dict. Raises `Misfit`, a `ValueError`, for one that does not fit."""
        super().__init__()
        self.net = Vgg16(vgg16, stages=STAGES)

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1], at least 8 pixels a side."""
        pairs = zip(self.net(x), self.net(x_hat), strict=True)
        return torch.stack([(a - b).square().mean((1, 2, 3)) for a, b in pairs]).sum(0)
