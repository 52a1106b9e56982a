"""Transforms of `stf`: stages of attention inside windows, between which tokens are merged or split, four to one.

Zou, Song and Zhang, "The devil is in the details: window-based attention for image compression", CVPR 2022, after
Liu et al., "Swin transformer: hierarchical vision transformer using shifted windows", ICCV 2021. Grids of tokens are
(b, h, w, c). The tensors' names are those of the published code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

WINDOW = 4
"""Tokens a side that attend to each other; every second block moves the windows by half of it."""

_SHIFT = WINDOW // 2
_MLP_RATIO = 4
_AT_ONCE = 2**16
"""Numbers of a grid that a block's layers work on at a time, which takes some twelve times as much memory in between:
with all of a large grid it would be most of the peak, and none of it in a core's cache."""

_APART = -100.0
"""Added where two tokens of one window lie at opposite sides of the picture."""


def _relative_index() -> npt.NDArray[np.int64]:
    """Row of the bias table for each pair of a window's positions (WINDOW^2, WINDOW^2)."""
    rows, columns = np.divmod(np.arange(WINDOW * WINDOW), WINDOW)
    down = rows[:, None] - rows + WINDOW - 1
    right = columns[:, None] - columns + WINDOW - 1
    index: npt.NDArray[np.int64] = down * (2 * WINDOW - 1) + right
    return index


def _windows(x: Tensor) -> Tensor:
    """(b, h, w, c) as windows (b, windows, WINDOW^2, c); h and w are multiples of WINDOW."""
    b, h, w, c = x.shape
    cells = x.view(b, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c).transpose(2, 3)
    return cells.reshape(b, -1, WINDOW * WINDOW, c)


def _placed(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `_windows`."""
    b, _, _, c = windows.shape
    cells = windows.view(b, height // WINDOW, width // WINDOW, WINDOW, WINDOW, c).transpose(2, 3)
    return cells.reshape(b, height, width, c)


def border_mask(height: int, width: int, device: torch.device) -> Tensor:
    """What shifted windows add to their scores: (windows, 1, WINDOW^2, WINDOW^2).

    Shifting is cyclic, so that windows at the lower and right border hold tokens of both sides. `height` and `width`
    are multiples of WINDOW.
    """
    zones = [
        (torch.arange(length, device=device) >= length - WINDOW).int()
        + (torch.arange(length, device=device) >= length - _SHIFT)
        for length in (height, width)
    ]
    zone = _windows((zones[0][:, None] * 3 + zones[1])[None, :, :, None])[0, :, :, 0]
    return (zone[:, None] != zone[:, :, None]).float().mul_(_APART)[:, None]


class WindowAttention(nn.Module):
    """Attention of several heads inside each window, with a learned bias for each relative position."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Same shape as the input (b, windows, WINDOW^2, c); `mask` as `border_mask` gives it."""
        b, n, tokens, c = x.shape
        qkv = self.qkv(x).view(b, n, tokens, 3, self.heads, c // self.heads).permute(3, 0, 1, 4, 2, 5)
        query, key, value = qkv.unbind()
        bias = self.relative_position_bias_table[torch.from_numpy(_relative_index())].permute(2, 0, 1)
        scores = (query * (c // self.heads) ** -0.5) @ key.transpose(-2, -1) + bias
        if mask is not None:
            scores = scores + mask
        out: Tensor = self.proj((scores.softmax(-1) @ value).transpose(2, 3).reshape(b, n, tokens, c))
        return out


class Mlp(nn.Module):
    """Each token by itself."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, _MLP_RATIO * dim)
        self.fc2 = nn.Linear(_MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        out: Tensor = self.fc2(nn.functional.gelu(self.fc1(x)))
        return out


class AttentionBlock(nn.Module):
    """x + attention(x), then x + mlp(x), each behind a normalisation of the tokens."""

    def __init__(self, dim: int, heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.shift = _SHIFT if shifted else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Same shape as the input. Sides that are no multiples of WINDOW are filled with zeros, which are attended."""
        # Nothing here is given a name for longer than it is needed: at half the size each grid is 50 MB a megapixel.
        down, right = x.shape[1] + -x.shape[1] % WINDOW, x.shape[2] + -x.shape[2] % WINDOW
        attended = _placed(self._attended(_windows(self._framed(x)), mask), down, right)
        if self.shift:
            attended = attended.roll((self.shift, self.shift), (1, 2))
        x = x + attended[:, : x.shape[1], : x.shape[2]]
        del attended
        return self._mixed(x)

    def _framed(self, x: Tensor) -> Tensor:
        """Normalised tokens with this block's windows beginning at the grid's corner."""
        normed: Tensor = self.norm1(x)
        down, right = -x.shape[1] % WINDOW, -x.shape[2] % WINDOW
        if down or right:
            normed = nn.functional.pad(normed, (0, 0, 0, right, 0, down))
        return normed.roll((-self.shift, -self.shift), (1, 2)) if self.shift else normed

    def _attended(self, windows: Tensor, mask: Tensor) -> Tensor:
        count = max(_AT_ONCE // windows[0, 0].numel(), 1)
        masks = mask.split(count) if self.shift else [None] * -(-windows.shape[1] // count)
        return torch.cat([self.attn(*part) for part in zip(windows.split(count, 1), masks, strict=True)], 1)

    def _mixed(self, x: Tensor) -> Tensor:
        tokens = x.flatten(1, 2)
        parts = tokens.split(max(_AT_ONCE // tokens.shape[2], 1), 1)
        return torch.cat([part + self.mlp(self.norm2(part)) for part in parts], 1).view(x.shape)


class Merge(nn.Module):
    """2 x 2 tokens become one of twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, w, c) to (b, h / 2, w / 2, 2 c)."""
        b, h, w, c = x.shape
        # The published order of the four: down the left column, then down the right one.
        near = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).reshape(b, h // 2, w // 2, 4 * c)
        out: Tensor = self.reduction(self.norm(near))
        return out


class Split(nn.Module):
    """One token becomes 2 x 2 of half the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, w, c) to (b, 2 h, 2 w, c / 2)."""
        b, h, w, c = x.shape
        parts = self.reduction(self.norm(x)).view(b, h, w, c // 2, 2, 2)
        out: Tensor = parts.permute(0, 1, 4, 2, 5, 3).reshape(b, 2 * h, 2 * w, c // 2)
        return out


class Stage(nn.Module):
    """Blocks at one resolution, windows moved in every second, then a change of the resolution, or none."""

    def __init__(self, dim: int, depth: int, heads: int, *, downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AttentionBlock(dim, heads, shifted=index % 2 == 1) for index in range(depth))
        self.downsample = downsample
        """Named as published, where it splits too."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, h, w, c) to what follows."""
        _, h, w, _ = x.shape
        mask = border_mask(h + -h % WINDOW, w + -w % WINDOW, x.device).to(x.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """2 x 2 pixels become a token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 2, 2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, h, w) to (b, h / 2, w / 2, c)."""
        out: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return out


def seen_beyond(depth: int, beyond: int) -> int:
    """Tokens beyond a region that a stage can see, for what lies up to `beyond` tokens outside the region.

    The region begins and ends where windows that are not shifted do.
    """
    for index in reversed(range(depth)):
        shift = _SHIFT if index % 2 else 0
        beyond = -(-(beyond - shift) // WINDOW) * WINDOW + shift
    return beyond
