"""UNetJPEG: a network that does to a picture what JPEG does, so that others can be trained through it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miscomp.codecs.weight_files import check_shapes, read, to_bytes, write
from miscomp.errors import WeightsError
from miscomp.tensors import pad_replicate

PAPER_WIDTH = 64
MAX_WIDTH = 96
"""A wider one would not fit into the largest file of weights that is read."""
_ARCHITECTURE = "miscomp UNetJPEG"
_STAGES = 4
_MULTIPLE = 2**_STAGES
_DARKEST = 1 / 1020
"""A quarter of a level: how near to 0 and 1 the logit of a picture is taken."""


class UNetJpeg(nn.Module):
    """A U-Net from a picture and a quality to the picture after JPEG.

    The paper's Table A1 (SLIC, appendix A.1): per stage one 3 x 3 convolution and ReLU, widths w, 2w, 4w, 8w and
    16w, max pooling down and bilinear enlargement up, a 1 x 1 convolution and a sigmoid at the end. The quality is
    a fourth input channel, quality / 100. The table's channel counts leave no room for concatenation, so what skips
    brings is added to a decoder stage's result. With width 64 it has 12 539 203 parameters.

    The authors' code is another network: two convolutions in each stage, nearest enlargement, no sigmoid.

    `residual` is our own deviation: the logit of the picture is added before the sigmoid, and the last layer begins
    with zeros. The network then begins as the identity and learns what JPEG changes, where the paper's has to learn
    the whole picture first.
    """

    def __init__(self, width: int = PAPER_WIDTH, *, residual: bool = False) -> None:
        super().__init__()
        self.width, self.residual = width, residual
        widths = [4, *(width << stage for stage in range(_STAGES + 1))]
        self.down = nn.ModuleList(_convolution(a, b) for a, b in pairwise(widths))
        up = widths[:0:-1]
        self.up = nn.ModuleList(_convolution(a, b) for a, b in pairwise(up))
        self.last = nn.Conv2d(width, 3, 1)
        if residual:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Pictures (b, 3, h, w) in [0, 1] of any size and qualities (b) in [1, 100] to pictures in [0, 1]."""
        height, width = x.shape[2:]
        padded = pad_replicate(x, _MULTIPLE)
        level = (quality / 100).to(x.dtype)[:, None, None, None].expand(-1, 1, *padded.shape[2:])
        y = torch.cat((padded, level), dim=1)
        skips: list[Tensor] = []
        for stage, convolution in enumerate(self.down):
            if stage:
                skips.append(y)
                y = F.max_pool2d(y, 2)
            y = F.relu(convolution(y))
        for convolution, skip in zip(self.up, reversed(skips), strict=True):
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            y = F.relu(convolution(y)) + skip
        # Half precision is too coarse for what becomes a picture.
        y = self.last(y).float()
        if self.residual:
            y = y + padded.float().logit(_DARKEST)
        return torch.sigmoid(y)[..., :height, :width]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


@dataclass(frozen=True, slots=True, eq=False)
class UNetJpegWeights:
    """A network that is ready to run, and the SHA-256 of the file that holds it."""

    network: UNetJpeg
    sha256: str


def write_unet_jpeg(network: UNetJpeg, path: Path) -> str:
    """Write the weights atomically in float16, replacing a file that exists; returns the file's SHA-256.

    Raises `ValueError` for weights that are not finite as float16.
    """
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"the weights {name} are not finite as float16")
    about = {"architecture": _ARCHITECTURE, "width": network.width, "residual": network.residual}
    return write(path, to_bytes(tensors, about))


def read_unet_jpeg(path: Path, *, sha256: str = "") -> UNetJpegWeights:
    """Read a weights file; `sha256` is what it must have, empty where that is not known.

    Raises `WeightsError` for a file that is missing, damaged, of something else or of another hash.
    """
    file = read(path, of="UNetJPEG", sha256=sha256)
    width, residual = _options(path, file.about)
    with torch.device("meta"):
        network = UNetJpeg(width, residual=residual)
    check_shapes(path, network, file.tensors)
    network.load_state_dict({name: tensor.float() for name, tensor in file.tensors.items()}, assign=True)
    return UNetJpegWeights(network.eval().requires_grad_(False), file.sha256)


def _options(path: Path, about: Any) -> tuple[int, bool]:
    """Width and `residual` of a file."""
    try:
        if about["architecture"] != _ARCHITECTURE:
            raise ValueError(f"architecture {about['architecture']!r}")
        width, residual = about["width"], about["residual"]
        if type(width) is not int or not 1 <= width <= MAX_WIDTH or type(residual) is not bool:
            allowed = f"1 to {MAX_WIDTH} and true or false are allowed"
            raise ValueError(f"width {width!r}, residual {residual!r}; {allowed}")
        return width, residual
    except (KeyError, TypeError, ValueError) as error:
        problem = f"does not hold the weights of UNetJPEG ({error})"
        raise WeightsError(path, f"{problem}; give a file of miscomp train jpegsim") from error
