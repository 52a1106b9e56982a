"""Training crops: random, reproducible from (seed, step) alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.quality_map import BLOCK
from miscomp.errors import UsageError
from miscomp.images import Pixels

Offsets = npt.NDArray[np.float64]


def random_offsets(rng: np.random.Generator, side: int) -> Offsets:
    """Offsets of the quality, (side, side): none in half of the draws; else a rectangle, or every block its own.

    A rectangle stands for an object that somebody wants better or worse than its surroundings.
    """
    kind = rng.random()
    offsets: Offsets = np.zeros((side, side))
    if kind < 0.35:
        (top, bottom), (left, right) = (np.sort(rng.choice(side + 1, 2, replace=False)) for _ in range(2))
        offsets[top:bottom, left:right] = rng.uniform(-0.6, 0.6)
    elif kind < 0.5:
        offsets += rng.uniform(-0.6, 0.6, (side, side))
    return offsets


class CropSource:
    """Draws batches of flipped square crops, half of them scaled down by 2 (box filter) where the photograph allows it.

    The scaling removes the traces that the photographs' own JPEG compression left, and shows the networks
    finer detail per pixel.
    """

    def __init__(self, photographs: Sequence[Pixels], *, crop: int, batch_size: int, seed: int) -> None:
        """Photographs with a side below `crop` are left out; raises `UsageError` where none is left."""
        self._photographs = [p for p in photographs if min(p.shape[:2]) >= crop]
        if not self._photographs:
            raise UsageError(
                f"training needs photographs of at least {crop} x {crop} pixels, none of {len(photographs)} is; "
                "give larger ones or a smaller crop"
            )
        self._crop = crop
        self._batch_size = batch_size
        self._seed = seed
        sizes = np.array([p.shape[0] * p.shape[1] for p in self._photographs], dtype=np.float64)
        self._weights = sizes / sizes.sum()

    def __len__(self) -> int:
        """Photographs large enough to be used."""
        return len(self._photographs)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (b, 3, crop, crop) in [0, 1] and qualities (b, 1, crop / 16, crop / 16) for this step.

        Qualities are stratified over [0, 1]; in half of the images they differ from block to block.
        """
        rng = np.random.default_rng((self._seed, step))
        x = np.stack([self._one(rng) for _ in range(self._batch_size)])
        strata = rng.permutation(self._batch_size)
        base = (strata + rng.random(self._batch_size)) / self._batch_size
        side = self._crop // BLOCK
        quality = np.stack([np.clip(value + random_offsets(rng, side), 0, 1) for value in base])
        return torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(quality).float()[:, None]

    def _one(self, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        photo = self._photographs[rng.choice(len(self._photographs), p=self._weights)]
        halve = rng.random() < 0.5 and min(photo.shape[:2]) >= 2 * self._crop
        side = 2 * self._crop if halve else self._crop
        top = rng.integers(photo.shape[0] - side + 1)
        left = rng.integers(photo.shape[1] - side + 1)
        crop = photo[top : top + side, left : left + side].astype(np.float32) / 255
        if halve:
            crop = crop.reshape(self._crop, 2, self._crop, 2, 3).mean((1, 3))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return np.ascontiguousarray(crop)
