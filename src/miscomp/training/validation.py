"""Validation: a network judged at fixed qualities on fixed crops of pictures that it does not learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from miscomp.codecs.quality_map import BLOCK
from miscomp.errors import UsageError
from miscomp.images import Picture, Pixels, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.tensors import to_pixels, to_tensor
from miscomp.training.losses import Loss
from miscomp.training.sheet import Shown, draw_sheet

QUALITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHOWN_QUALITIES = (0.0, 0.5, 1.0)
LARGEST_CROP = 512
SHOWN_CROP = 320
SHOWN_PICTURES = 4
_MULTIPLE = 64


class Reconstruction(Protocol):
    """What a codec's network gives for images (b, 3, h, w)."""

    x_hat: Tensor
    bits: Tensor


class Validation:
    """Centre crops of pictures, each at every quality; figures in float32, noise from fixed seeds."""

    def __init__(
        self, pictures: Sequence[Picture], loss: Loss, folder: Path, *, count: int, judged_by: str = ""
    ) -> None:
        """At most `count` pictures, spread evenly; raises `UsageError` where none has 64 x 64 pixels.

        `folder` gets `validation.png` each time. `judged_by` names what else the loss depends on: values of another are
        not compared with.
        """
        usable = [picture for picture in pictures if min(picture.height, picture.width) >= _MULTIPLE]
        if not usable:
            raise UsageError(
                f"validation needs pictures of at least {_MULTIPLE} x {_MULTIPLE} pixels, none of {len(pictures)} is"
            )
        chosen = spread(usable, count)
        self._loss = loss
        self._folder = folder
        self._crops = [centre(picture.pixels, LARGEST_CROP) for picture in chosen]
        self._shown = [centre(picture.pixels, SHOWN_CROP) for picture in spread(chosen, SHOWN_PICTURES)]
        hashes = "".join(picture.pixel_sha256 for picture in chosen)
        self.identity = hashlib.sha256(f"{QUALITIES} {LARGEST_CROP} {judged_by} {hashes}".encode("ascii")).hexdigest()

    def __len__(self) -> int:
        """Pictures that are used."""
        return len(self._crops)

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        """For each quality, means over the crops of what the loss gives; then the pictures to look at."""
        rows = []
        for quality in QUALITIES:
            sums: dict[str, float] = {}
            for number, crop in enumerate(self._crops):
                x, level, noise = _prepare(model, crop, quality, seed=number)
                value, figures = self._loss(model, x, level, noise)
                for name, figure in {"loss": float(value), **figures}.items():
                    sums[name] = sums.get(name, 0.0) + figure
            rows.append({"quality": quality, **{name: total / len(self._crops) for name, total in sums.items()}})
        self._show(model, step)
        return rows

    def _show(self, model: nn.Module, step: int) -> None:
        """Draw crops beside their reconstructions."""
        lines = []
        for number, crop in enumerate(self._shown):
            line = [Shown(crop, "original")]
            for quality in SHOWN_QUALITIES:
                x, level, noise = _prepare(model, crop, quality, seed=number)
                out = cast(Reconstruction, model(x, level, noise))
                pixels, bpp = to_pixels(out.x_hat.nan_to_num()), float(out.bits.sum()) / (crop.shape[0] * crop.shape[1])
                label = f"quality {quality:g}: {bpp:.3f} bpp (estimated), {psnr_pixels(crop, pixels):.2f} dB"
                line.append(Shown(pixels, label))
            lines.append(line)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_png(self._folder / "validation.png", draw_sheet(f"after step {step}", lines))


def spread(items: Sequence[Picture], count: int) -> list[Picture]:
    """At most `count` items, evenly spaced, the first one among them."""
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def centre(pixels: Pixels, largest: int) -> Pixels:
    """The middle of a picture: sides that are multiples of 64, at most `largest`."""
    height, width = (min(side, largest) // _MULTIPLE * _MULTIPLE for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _prepare(model: nn.Module, crop: Pixels, quality: float, *, seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """A crop as a batch of one, its quality map, and the noise that goes with it, on the model's device."""
    device = next(model.parameters()).device
    x = to_tensor(crop).to(device)
    level = torch.full((1, 1, x.shape[2] // BLOCK, x.shape[3] // BLOCK), quality, device=device)
    return x, level, torch.Generator(device).manual_seed(seed)
