"""Between pixels and latents of lucid, block by block (`miscomp.codecs.blocks`)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from miscomp.codecs.blocks import Block, cut, in_parallel
from miscomp.codecs.lucid_entropy import HYPER
from miscomp.codecs.lucid_latents import Steps
from miscomp.codecs.lucid_model import PATCH, STRIDE, LucidModel
from miscomp.codecs.quality_map import QUALITY_STEPS
from miscomp.codecs.tiles import padded
from miscomp.errors import UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.tensors import to_pixels, to_tensor

ANALYSIS_HALO = 5
"""Latents that g_a sees beyond a block: 1 for each 16 pixels of its convolutions' reach of 72."""

SYNTHESIS_HALO = 4
"""Latents that g_s sees beyond a block: its convolutions reach 60 pixels."""

_STRIP = 32
"""Rows of latents that h_a takes at a time; whole hyper-latents."""


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """On a GPU, convolutions in full float32 and by kernels that repeat themselves, as on a CPU."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises the second
        raise UsageError(f"torch has no device {name!r} here ({str(error).partition(chr(10))[0]}); use cpu") from error
    return device


class Transforms:
    """The networks that work on pixels, on one device."""

    def __init__(self, model: LucidModel, device: str) -> None:
        self._device = _device(device)
        # A copy where it moves: the caller's weights stay where they are.
        self._model = model if self._device.type == "cpu" else copy.deepcopy(model).to(self._device)

    @torch.inference_mode()
    @exact_convolutions()
    def analyse(self, pixels: Pixels, steps: Steps) -> tuple[Tensor, Tensor]:
        """y (1, latent, h, w) after the gain and z, on the CPU, for local qualities `steps` (h, w), 0 to 255.

        Raises `WeightsError` for weights that overflow.
        """
        model, (rows, columns) = self._model, steps.shape
        whole = padded(pixels, STRIDE)
        y = torch.empty(1, model.config.latent, rows, columns, memory_format=torch.channels_last)

        def analyse(block: Block) -> None:
            top, left = block.rows.times(PATCH), block.columns.times(PATCH)
            x = to_tensor(whole[top.computed, left.computed]).to(self._device)
            quality = self._quality(steps, block)
            part = model.g_a(x.contiguous(memory_format=torch.channels_last), quality) * model.gain(quality)
            y[:, :, block.rows.kept, block.columns.kept] = part[:, :, block.rows.inner, block.columns.inner].cpu()

        in_parallel(analyse, cut(rows, columns, halo=ANALYSIS_HALO))
        z = self._summarised(y)
        _check_finite(y, z)
        return y, z

    @torch.inference_mode()
    @exact_convolutions()
    def synthesise(self, y_hat: Tensor, steps: Steps, height: int, width: int) -> Pixels:
        """Pixels (height, width, 3) of latents (1, c, h, w) before the inverse gain; c may leave out trailing ones.

        Raises `WeightsError` for weights that overflow.
        """
        model = self._model
        padded: Pixels = np.empty((steps.shape[0] * PATCH, steps.shape[1] * PATCH, 3), dtype=np.uint8)

        def synthesise(block: Block) -> None:
            part = y_hat[:, :, block.rows.computed, block.columns.computed].to(self._device)
            quality = self._quality(steps, block)
            part = part * model.inverse_gain(quality)[:, : part.shape[1]]
            x_hat = model.g_s(part.contiguous(memory_format=torch.channels_last), quality)
            _check_finite(x_hat)
            top, left = block.rows.times(PATCH), block.columns.times(PATCH)
            padded[top.kept, left.kept] = to_pixels(x_hat[:, :, top.inner, left.inner])

        in_parallel(synthesise, cut(*steps.shape, halo=SYNTHESIS_HALO))
        return np.ascontiguousarray(padded[:height, :width])

    def _summarised(self, y: Tensor) -> Tensor:
        """z of y, in strips of rows: h_a sees three latents above those that a hyper-latent covers, and none below."""
        rows = y.shape[2]
        z = torch.empty(1, self._model.config.hyper, rows // HYPER, y.shape[3] // HYPER)

        def summarise(top: int) -> None:
            above = HYPER if top else 0
            strip = self._model.summarise(y[:, :, top - above : top + _STRIP].to(self._device)).cpu()
            z[:, :, top // HYPER : (top + _STRIP) // HYPER] = strip[:, :, above // HYPER :]

        in_parallel(summarise, range(0, rows, _STRIP))
        return z

    def _quality(self, steps: Steps, block: Block) -> Tensor:
        """The local qualities of what is computed, as the networks take them."""
        part = steps[block.rows.computed, block.columns.computed].astype(np.float32) / QUALITY_STEPS
        return torch.from_numpy(part)[None, None].to(self._device)


def _check_finite(*results: Tensor) -> None:
    if not all(bool(torch.isfinite(result).all()) for result in results):
        raise WeightsError("lucid's weights", "give values that are not finite; they are broken, use others")
