"""Convolutions that are faster on a CPU and round otherwise, for pictures and not for estimates.

3 x 3 convolutions in a quarter of the multiplications: Winograd's minimal filtering F(4 x 4, 3 x 3). A tile of 6 x 6
inputs and the kernel are each brought to 36 numbers, whose products brought back are 4 x 4 outputs (Lavin and Gray,
"Fast algorithms for convolutional neural networks", CVPR 2016). Rounding is some ten times that of the plain sum, about
1e-5 of the values: far below a step of 8-bit pixels, but not below what two programs' estimates are compared to. So
it works inside `fast_convolutions` only.

Tiles are worked on a row at a time, small enough for the cache, each in one thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product

import torch
from torch import Tensor, nn

from miscomp.codecs.blocks import in_parallel, one_thread

_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_KERNEL = (
    torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
# Both directions of a tile at once: 36 numbers of a tile times a matrix.
_TILE_IN = torch.kron(_INPUT, _INPUT).float()
_TILE_OUT = torch.kron(_OUTPUT, _OUTPUT).float()

_FEWEST_CHANNELS = 48
"""Below, bringing tiles there and back costs more than it saves."""
_FEWEST_TILES = 96
_FEW_OUTPUTS = 16

_fast: ContextVar[bool] = ContextVar("fast", default=False)


@contextmanager
def fast_convolutions() -> Iterator[None]:
    """Let `Conv3x3` round otherwise than a plain convolution does, for speed."""
    token = _fast.set(True)
    try:
        yield
    finally:
        _fast.reset(token)


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution that keeps the size; the tensors' names are those of `nn.Conv2d`."""

    shuffled = False
    """Whether each four channels of the result become the four pixels that stand for an input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, 1, 1)
        self._tiled: tuple[int, Tensor] | None = None

    def forward(self, x: Tensor, *, slope: float | None = None, add: Tensor | None = None) -> Tensor:
        """(b, outputs, h, w): the convolution, a leaky ReLU of that slope, a tensor that is added, in this order."""
        if self._suits(x):
            return self._by_tiles(x, slope, add)
        out = super().forward(x)
        free = not torch.is_grad_enabled()
        out = out if slope is None else nn.functional.leaky_relu(out, slope, inplace=free)
        out = nn.functional.pixel_shuffle(out, 2) if self.shuffled else out
        if add is None:
            return out
        return out.add_(add) if free else out + add

    def _suits(self, x: Tensor) -> bool:
        few = min(self.in_channels, self.out_channels) < _FEWEST_CHANNELS
        height, width = x.shape[2:]
        if few or height % 4 or width % 4 or height * width < 16 * _FEWEST_TILES or not _fast.get():
            return False
        return not torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32

    def _by_tiles(self, x: Tensor, slope: float | None, add: Tensor | None) -> Tensor:
        batch, _, height, width = x.shape
        times = 2 if self.shuffled else 1
        outputs = self.out_channels // times**2
        shape = (batch, outputs, height * times, width * times)
        out = torch.empty(shape, memory_format=torch.channels_last)
        # Rows and columns of inputs, the pixels of each, channels.
        grid = (batch, height, times, width, times, outputs)
        targets = out.permute(0, 2, 3, 1).view(grid)
        added = None if add is None else add.permute(0, 2, 3, 1).reshape(grid)
        kernel, bias = self._kernel(), self._bias()
        for index in range(batch):

            def store(top: int, found: Tensor, index: int = index) -> None:
                rows = found if slope is None else nn.functional.leaky_relu_(found, slope)
                rows = rows.view(4, width, times, times, outputs).transpose(1, 2)
                target = targets[index, top : top + 4]
                if added is None:
                    target.copy_(rows)
                else:
                    torch.add(rows, added[index, top : top + 4], out=target)

            _convolved(x[index].permute(1, 2, 0), kernel, bias, store=store)
        return out

    def _kernel(self) -> Tensor:
        """The kernel's 36 numbers (36, inputs, outputs); made anew when the weights are others."""
        # By their bytes, which takes a hundredth of the convolution: nothing else tells every way to change a tensor.
        found = zlib.crc32(self.weight.detach().contiguous().numpy().data)
        if self._tiled is None or self._tiled[0] != found:
            weight = self.weight.detach().double()[self._order()]
            numbers = torch.einsum("ai,oxij,bj->abxo", _KERNEL, weight, _KERNEL)
            self._tiled = (found, numbers.flatten(0, 1).float().contiguous())
        return self._tiled[1]

    def _bias(self) -> Tensor:
        return torch.zeros(self.out_channels) if self.bias is None else self.bias.detach()[self._order()]

    def _order(self) -> Tensor:
        """Outputs that become pixels are ordered by pixel, so that each pixel's channels lie side by side."""
        order = torch.arange(self.out_channels)
        return order.view(-1, 4).T.flatten() if self.shuffled else order


class SubpixelConv3x3(Conv3x3):
    """To twice the size: a 3 x 3 convolution to four times the channels, which become pixels."""

    shuffled = True


class Deconv5x5(nn.ConvTranspose2d):
    """A transposed 5 x 5 convolution to twice the size; the tensors' names are those of `nn.ConvTranspose2d`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, 2, 2, 1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(b, outputs, 2 h, 2 w)."""
        if self.out_channels >= _FEW_OUTPUTS or torch.is_grad_enabled() or not _fast.get():
            return super().forward(x, output_size)
        # For three outputs, torch's transposed convolution takes twice as long as a plain one to the four pixels that
        # stand for each input, though that multiplies by zeros.
        return nn.functional.pixel_shuffle(nn.functional.conv2d(x, *self._pixels(), padding=1), 2)

    def _pixels(self) -> tuple[Tensor, Tensor | None]:
        """Kernel (4 outputs, inputs, 3, 3) and bias of a convolution to each output's four pixels."""
        kernel = self.weight.new_zeros(self.out_channels, 2, 2, self.in_channels, 3, 3)
        weight = self.weight.transpose(0, 1)
        for row, column in product((0, 1), (0, 1)):
            # An even pixel sees the inputs before, at and after it by taps 4, 2 and 0; an odd one the last two by 3, 1.
            taps = [[4, 2, 0] if odd == 0 else [3, 1] for odd in (row, column)]
            kernel[:, row, column, :, row:, column:] = weight[:, :, taps[0]][:, :, :, taps[1]]
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return kernel.flatten(0, 2), bias


def _convolved(x: Tensor, kernel: Tensor, bias: Tensor, *, store: Callable[[int, Tensor], None]) -> None:
    """Convolve x (h, w, c), whose sides are multiples of 4.

    `store` is called with the number of the first of four rows and the rows, (4, w, outputs) of its own to write on.
    """
    height, width, inputs = x.shape
    across = width // 4

    def row(top: int) -> None:
        # Six rows with a border of zeros, small enough to stay in the cache.
        rows = torch.zeros(6, width + 2, inputs)
        first, last = max(top - 1, 0), min(top + 5, height)
        rows[first - top + 1 : last - top + 1, 1:-1] = x[first:last]
        tiles = rows.unfold(1, 6, 4).permute(0, 3, 1, 2).reshape(36, across * inputs)
        products = torch.bmm((_TILE_IN @ tiles).view(36, across, inputs), kernel)
        found = (_TILE_OUT @ products.view(36, -1)).view(4, 4, across, -1).transpose(1, 2)
        result = torch.empty(4, across, 4, len(bias))
        store(top, torch.add(found, bias, out=result).view(4, width, -1))

    with one_thread():
        in_parallel(row, range(0, height, 4))
