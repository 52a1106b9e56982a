"""The recogniser of a PP-OCR package, asked directly: its letters with their places and their runners-up.

The network gives a probability for every character it knows at every eighth column of a strip of text, and
one for "no character" (connectionist temporal classification, Graves et al. 2006). RapidOCR hands on
the best path only; what else a letter might have been is needed to weigh a difference of two readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miscomp.errors import MissingExtra

STRIP_HEIGHT = 48
"""Pixels that a strip must be high."""
_LEAST_WIDTH = 160
"""Narrower strips are filled up with grey."""
_RIVALS = 5
_LEAST_PROBABILITY = 0.01


@dataclass(frozen=True, slots=True)
class Mark:
    """One character of a strip; spaces are marks too."""

    char: str
    center: float
    """Along the strip, 0 to 1."""
    confidence: float
    rivals: tuple[tuple[str, float], ...]
    """Up to five other characters with their probabilities (>= 0.01), the likeliest first."""


class Recogniser:
    """Reads strips; the same strip gives the same marks. Raises `MissingExtra` without onnxruntime."""

    def __init__(self, model: Path, *, threads: int) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError as error:
            raise MissingExtra("onnxruntime", "text", "reading text") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        characters = self._session.get_modelmeta().custom_metadata_map.get("character", "").splitlines()
        if not characters:
            raise MissingExtra(f"a model that lists its characters ({model.name} does not)", "text", "reading text")
        self._characters = ["", *characters, " "]
        self._input = self._session.get_inputs()[0].name

    def read(self, strip: NDArray[np.uint8]) -> tuple[Mark, ...]:
        """The characters of a strip (48, width, 3), blue first; empty when nothing could be read."""
        height, width = strip.shape[:2]
        if height != STRIP_HEIGHT:
            raise ValueError(f"a strip must be {STRIP_HEIGHT} pixels high, got {height}")
        padded = np.zeros((1, 3, height, max(width, _LEAST_WIDTH)), np.float32)
        padded[0, :, :, :width] = strip.transpose(2, 0, 1) / np.float32(127.5) - 1
        (answer,) = self._session.run(None, {self._input: padded})
        return self._decoded(answer[0], columns=answer.shape[1] * width / padded.shape[3])

    def _decoded(self, probabilities: NDArray[np.float32], *, columns: float) -> tuple[Mark, ...]:
        """The best path: runs of one character, without "no character" (index 0)."""
        best = probabilities.argmax(axis=1)
        starts = [0, *(k + 1 for k, (a, b) in enumerate(pairwise(best.tolist())) if a != b), len(best)]
        marks = []
        for start, stop in pairwise(starts):
            index = int(best[start])
            if index:
                center = min((start + stop) / 2 / columns, 1.0)
                marks.append(self._mark(probabilities[start:stop].max(axis=0), index, center))
        return tuple(marks)

    def _mark(self, probabilities: NDArray[np.float32], index: int, center: float) -> Mark:
        likely = np.flatnonzero(probabilities >= _LEAST_PROBABILITY)
        others = sorted((-float(probabilities[k]), self._characters[k]) for k in likely.tolist() if k and k != index)
        rivals = tuple((char, round(-value, 4)) for value, char in others[:_RIVALS])
        return Mark(self._characters[index], center, round(float(probabilities[index]), 5), rivals)
