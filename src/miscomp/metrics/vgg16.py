"""The convolutions of VGG-16 (Simonyan and Zisserman, ICLR 2015, configuration D), as torchvision names them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.metrics.pretrained import State, taken

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels after each convolution of the five stages."""

CHANNELS = tuple(stage[-1] for stage in WIDTHS)
"""Of the features that each stage ends in: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue in [0, 1]; what torchvision's weights were trained with."""


class Vgg16(nn.Module):
    """Features after the last ReLU of each stage, at 1, 1/2, 1/4, 1/8 and 1/16 of the picture's size.

    Before each stage but the first stands a pooling: the maximum of 2 x 2, or one that is given. The weights are fixed.
    """

    def __init__(self, state: State, *, stages: int = 5, pooling: nn.Module | None = None) -> None:
        """Entries `features.N.weight` and `features.N.bias`; those of the classifier need not be there.

        Raises `Misfit`, a `ValueError`, for a state that does not hold them.
        """
        super().__init__()
        shapes: dict[str, tuple[int, ...]] = {}
        self.stages = nn.ModuleList()
        pooling = pooling or nn.MaxPool2d(2)
        # torchvision counts every layer: convolution, ReLU, ..., pooling.
        place, entering = 0, 3
        for number, widths in enumerate(WIDTHS[:stages]):
            layers: list[nn.Module] = [pooling] if number else []
            for width in widths:
                # On the meta device nothing is allocated before the shapes are known to fit.
                layers += [nn.Conv2d(entering, width, 3, padding=1, device="meta"), nn.ReLU()]
                shapes[f"features.{place}.weight"] = (width, entering, 3, 3)
                shapes[f"features.{place}.bias"] = (width,)
                place, entering = place + 2, width
            place += 1
            self.stages.append(nn.Sequential(*layers))
        weights = iter(taken("vgg16", state, shapes).values())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight, layer.bias = (nn.Parameter(next(weights), requires_grad=False) for _ in range(2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """One tensor (b, channels, h / 2^n, w / 2^n) for each stage; x is as the caller scaled it."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def as_trained(x: Tensor) -> Tensor:
    """Values in [0, 1] less ImageNet's mean, over its deviation."""
    mean, deviation = (torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (MEAN, DEVIATION))
    return (x - mean) / deviation
