"""The two ends of a stream of latents (`miscomp.codecs.networks.base.Port`), and what they write to and read from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.exact import UNIT
from miscomp.codecs.networks.base import residual


class Sink(Protocol):
    """Takes residuals and table indexes, both flat, and returns the residuals that a decoder will see."""

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]: ...


class Source(Protocol):
    """Gives the residuals for table indexes, flat."""

    def code(self, indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]: ...


class EncodingPort:
    """Sends what the encoder has into a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        """Raises `ValueError` without a target, or for one that is not finite."""
        if target is None:
            raise ValueError("an encoder needs latents to code")
        rounded = residual(mean, target)
        if not bool(rounded.isfinite().all()):
            raise ValueError("latents are not finite")
        symbols = rounded.to(torch.int32).flatten().numpy()
        return _placed(self._sink.code(symbols, index.flatten().numpy()), mean)


class DecodingPort:
    """Takes what a stream holds from a source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def code(self, mean: Tensor, index: Tensor, target: Tensor | None) -> Tensor:
        """`target` is none; raises what the source raises."""
        return _placed(self._source.code(index.flatten().numpy()), mean)


def _placed(symbols: npt.NDArray[np.int32], mean: Tensor) -> Tensor:
    return torch.from_numpy(symbols).double().view(mean.shape).mul_(UNIT).add_(mean)
