"""Gaussian entropy models: bits while training, a real range coder afterwards.

While training, a latent gets uniform noise and costs -log2 of the Gaussian's mass in a bin of width 1
(Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018, eq. 6). On disk, the
integer residuals around the predicted mean go through a range coder over quantised Gaussians, whose
standard deviations come from a table, so that both sides agree on them exactly.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SCALE_MIN = 0.05
SCALE_MAX = 256.0
SCALE_TABLE: npt.NDArray[np.float64] = np.exp(np.linspace(math.log(SCALE_MIN), math.log(SCALE_MAX), 64))
"""Standard deviations a stream can name. The field's codecs start at 0.11; there, training noise makes each latent
that is always 0 cost 0.14 bits, which only an estimate ever pays."""

SYMBOL_LIMIT = 2047
"""Residuals are clamped to [-SYMBOL_LIMIT, SYMBOL_LIMIT]; the encoder sees the clamped value too."""

Symbols = npt.NDArray[np.int32]
Indexes = npt.NDArray[np.int64]


def gaussian_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits for a bin of width 1 around `residual` under a zero-mean Gaussian; same shape as the inputs."""
    value = residual.abs()
    root = scale * math.sqrt(2)
    upper = torch.special.erfc((value - 0.5) / root)
    lower = torch.special.erfc((value + 0.5) / root)
    return -torch.log2((0.5 * (upper - lower)).clamp_min(1e-9))


def scale_index(scale: Tensor) -> Tensor:
    """Index of the table entry nearest to `scale` on the logarithmic scale; the ends hold everything beyond them."""
    # Comparing with the logarithmic midpoints is exact; the nearest entry costs the fewest bits.
    borders = torch.as_tensor(np.sqrt(SCALE_TABLE[1:] * SCALE_TABLE[:-1]), dtype=scale.dtype, device=scale.device)
    return torch.bucketize(scale.contiguous(), borders)


def _model() -> Any:
    return constriction.stream.model.QuantizedGaussian(-SYMBOL_LIMIT, SYMBOL_LIMIT)


class SymbolEncoder:
    """Collects integer residuals with their scales. `crc` is the CRC-32 over all symbols in coding order."""

    def __init__(self, crc: int = 0) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self.crc = crc
        """Begins with that of the symbols coded before, where a stream has several payloads."""

    def code(self, symbols: Symbols, indexes: Indexes) -> Symbols:
        """Append residuals (flat) with the scales at `indexes` of the table; returns them."""
        flat = np.ascontiguousarray(symbols, dtype=np.int32)
        self._coder.encode(flat, _model(), np.zeros(flat.shape), SCALE_TABLE[indexes])
        self.crc = zlib.crc32(flat.astype("<i4").tobytes(), self.crc)
        return flat

    def finish(self) -> bytes:
        """The coded bytes, whole words of 4."""
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class SymbolDecoder:
    """Reads back what `SymbolEncoder` wrote; damaged bytes give other symbols, which the checksum shows."""

    def __init__(self, content: bytes, crc: int = 0) -> None:
        """Raises `ValueError` for bytes that are not whole words."""
        if len(content) % 4:
            raise ValueError(f"coded symbols come in words of 4 bytes, got {len(content)} bytes")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(content, dtype="<u4").astype(np.uint32))
        self.crc = crc

    def code(self, indexes: Indexes) -> Symbols:
        """The next residuals, one for each scale index. Raises `ValueError` where the bytes cannot be decoded."""
        try:
            flat = self._coder.decode(_model(), np.zeros(indexes.shape), SCALE_TABLE[indexes])
        except (AssertionError, ValueError) as error:
            raise ValueError(f"the coded symbols are damaged ({error})") from error
        symbols = np.asarray(flat, dtype=np.int32)
        self.crc = zlib.crc32(symbols.astype("<i4").tobytes(), self.crc)
        return symbols
