"""Frequency tables of the range coder, fitted to what trained networks leave to code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.blocks import one_thread
from miscomp.codecs.frequencies import SYMBOL_LIMIT, Counts, Frequencies, fitted_frequencies, gaussian_frequencies
from miscomp.codecs.gaussian import SCALE_TABLE
from miscomp.codecs.lucid_integer import STEPS, IntegerEntropy
from miscomp.codecs.lucid_latents import LatentCoder
from miscomp.codecs.lucid_model import LucidModel
from miscomp.training.crops import CropSource


class _Histogram:
    """Counts residuals by scale instead of coding them."""

    def __init__(self) -> None:
        self._coded = gaussian_frequencies().coded
        self.counts: Counts = np.zeros((len(SCALE_TABLE), SYMBOL_LIMIT + 1), dtype=np.int64)

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Take residuals as the range coder would."""
        np.add.at(self.counts, (indexes, np.abs(symbols)), 1)
        return np.where(self._coded[indexes], symbols, 0).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Fit:
    """What tables are fitted to: `batches` batches of a source from number `first` on."""

    source: CropSource
    first: int
    batches: int

    def frequencies(self, model: LucidModel) -> Frequencies:
        """Tables of what a model, on the CPU and in float32, leaves to code in these batches."""
        networks = IntegerEntropy(IntegerEntropy.state_of(model.entropy), model.config.groups)
        coder, histogram = LatentCoder(networks), _Histogram()
        # One thread, so that the same checkpoint gives the same tables however many cores there are.
        with one_thread(), torch.inference_mode():
            for step in range(self.first, self.first + self.batches):
                _code(model, coder, self.source.batch(step), histogram)
        return fitted_frequencies(histogram.counts)


def _code(model: LucidModel, coder: LatentCoder, batch: tuple[Tensor, Tensor], histogram: _Histogram) -> None:
    """Take what is coded of a batch into the histogram."""
    x, quality = batch
    steps = (quality * (STEPS - 1)).round()
    quality = steps / (STEPS - 1)
    y = model.g_a(x, quality) * model.gain(quality)
    z = model.summarise(y)
    for index in range(len(x)):
        one = slice(index, index + 1)
        local = steps[index, 0].numpy().astype(np.uint8)
        groups = coder.active_groups(y[one])
        coder.encode(y[one], z[one], local, histogram, groups=groups)
