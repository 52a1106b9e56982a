"""Between pixels and tensors: the only conversions, so that every stage agrees on range, order and rounding."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miscomp.colour import Pixels


def to_tensor(pixels: Pixels) -> Tensor:
    """(height, width, 3) uint8 to (1, 3, height, width) float32 in [0, 1]; always a copy."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}")
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(channels_first)[None].div_(255)


def to_pixels(x: Tensor) -> Pixels:
    """(1, 3, height, width) to (height, width, 3) uint8: clamped to [0, 1], times 255, rounded half to even.

    Raises `ValueError` for another shape and for values that are not finite.
    """
    if x.ndim != 4 or x.shape[:2] != (1, 3) or 0 in x.shape or not x.is_floating_point():
        raise ValueError(f"a float tensor of shape (1, 3, height, width) is needed, got {x.dtype} {tuple(x.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the tensor holds values that are not finite")
    # In float32 at least: half precision cannot hold every level times 255 exactly.
    levels = x.detach()[0].to(torch.promote_types(x.dtype, torch.float32)).clamp(0, 1).mul(255).round()
    return np.ascontiguousarray(levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy())


def pad_replicate(x: Tensor, multiple: int) -> Tensor:
    """Pad (n, c, height, width) right and bottom to multiples of `multiple` by repeating the last column and row."""
    if x.ndim != 4 or 0 in x.shape or multiple < 1:
        raise ValueError(f"a tensor (n, c, h, w) without zeros and multiple >= 1 are needed, got {tuple(x.shape)}")
    right, bottom = -x.shape[3] % multiple, -x.shape[2] % multiple
    if not right and not bottom:
        return x
    return F.pad(x, (0, right, 0, bottom), mode="replicate")


def eight_bit(x: Tensor) -> Tensor:
    """x in [0, 1] as 8 bits hold it; the gradient passes where nothing was clamped."""
    clamped = x.clamp(0, 1)
    return clamped + ((clamped * 255).round() / 255 - clamped).detach()
