"""The range coder: integer residuals to bytes and back, under the tables that ship with the weights.

constriction does the coding. Its categorical model turns weights into frequencies in floating point; given weights
that are whole numbers and add up to what it has to share out, that is exact, so the tables are what is coded with.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from miscomp.codecs.frequencies import SYMBOL_LIMIT, TOTAL, Counts, Frequencies

Symbols = npt.NDArray[np.int32]
Indexes = npt.NDArray[np.int64]

_SLACK_BITS = 256.0
"""By which a stream may be longer than its symbols need: whole words, and the coder's last state."""
_MOST_LOSS = 0.01
"""Share of the bits that the coder may lose to rounding; measured are a thousandth."""


class CodingTables:
    """The frequencies as models of the range coder."""

    def __init__(self, frequencies: Frequencies, own: Sequence[Counts] = ()) -> None:
        """Tables of the scales, followed by those of a codec's own channels (2 * SYMBOL_LIMIT + 1 each), if any."""
        self._scales, self._own = frequencies, own
        self.coded: npt.NDArray[np.bool_] = np.concatenate([frequencies.coded, np.ones(len(own), dtype=bool)])
        """Which tables are coded at all; the residuals of the others count as 0."""
        self._models = {int(index): self._model(int(index)) for index in np.flatnonzero(self.coded)}

    def model(self, index: int) -> Any:
        """The model of a table that is coded."""
        return self._models[index]

    def _whole(self, index: int) -> Counts:
        scales = len(self._scales.coded)
        return self._scales.whole(index) if index < scales else self._own[index - scales]

    def _model(self, index: int) -> Any:
        # The coder gives every symbol 1 and shares out the rest in proportion, by a factor that is 1 here.
        weights = (self._whole(index) - 1).astype(np.float64)
        return constriction.stream.model.Categorical(weights, perfect=False)

    def cost(self, symbols: Symbols, indexes: Indexes) -> float:
        """Bits that the tables give to residuals (flat)."""
        coded = self.coded[indexes]
        return float(self._costs[indexes[coded], symbols[coded] + SYMBOL_LIMIT].sum())

    @cached_property
    def _costs(self) -> npt.NDArray[np.float64]:
        """Bits of each residual under each table."""
        costs = np.zeros((len(self.coded), 2 * SYMBOL_LIMIT + 1), dtype=np.float64)
        for index in np.flatnonzero(self.coded):
            costs[index] = np.log2(TOTAL / self._whole(int(index)))
        return costs

    def runs(self, indexes: Indexes) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
        """Each table that is coded and where it stands, rising: equal ones are coded in one go."""
        # Narrow numbers are sorted by their digits, which takes a tenth of the time.
        order = np.argsort(indexes.astype(np.uint8 if len(self.coded) <= 256 else np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(indexes, minlength=len(self.coded)))
        for index in np.flatnonzero(np.diff(ends, prepend=0)):
            if self.coded[index]:
                start = ends[index - 1] if index else 0
                yield int(index), order[start : ends[index]]


class SymbolEncoder:
    """Collects integer residuals with their scales. `crc` is the CRC-32 over all symbols in coding order."""

    def __init__(self, tables: CodingTables) -> None:
        self._tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()
        self.crc = 0

    def code(self, symbols: Symbols, indexes: Indexes) -> Symbols:
        """Append residuals (flat) with the scales at `indexes` of the table; returns what the decoder will see."""
        coded = np.where(self._tables.coded[indexes], symbols, 0).astype(np.int32)
        for index, where in self._tables.runs(indexes):
            self._coder.encode(coded[where] + np.int32(SYMBOL_LIMIT), self._tables.model(index))
        self.crc = zlib.crc32(coded.astype("<i2").tobytes(), self.crc)
        return coded

    def finish(self) -> bytes:
        """The coded bytes, whole words of 4."""
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class SymbolCounter:
    """Counts the bits that the tables give to residuals, without coding them: the estimated rate."""

    def __init__(self, tables: CodingTables) -> None:
        self._tables = tables
        self.bits = 0.0

    def code(self, symbols: Symbols, indexes: Indexes) -> Symbols:
        """Count residuals (flat) with the scales at `indexes`; returns what a decoder would see."""
        coded = np.where(self._tables.coded[indexes], symbols, 0).astype(np.int32)
        self.bits += self._tables.cost(coded, indexes)
        return coded


class SymbolDecoder:
    """Reads back what `SymbolEncoder` wrote; damaged bytes give other symbols, which the checksum shows."""

    def __init__(self, tables: CodingTables, content: bytes) -> None:
        """Raises `ValueError` for bytes that are not whole words."""
        if len(content) % 4:
            raise ValueError(f"coded symbols come in words of 4 bytes, got {len(content)} bytes")
        self._tables = tables
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(content, dtype="<u4").astype(np.uint32))
        self._held, self._taken = 8.0 * len(content), 0.0
        self.crc = 0

    def code(self, indexes: Indexes) -> Symbols:
        """The next residuals, one for each scale index.

        Raises `ValueError` where the bytes cannot be decoded, and as soon as the residuals need more bits than there
        are: past the end the coder would go on with others that no one wrote.
        """
        symbols = np.zeros(indexes.shape, dtype=np.int32)
        try:
            for index, where in self._tables.runs(indexes):
                symbols[where] = self._coder.decode(self._tables.model(index), len(where)) - SYMBOL_LIMIT
        except (AssertionError, ValueError) as error:
            raise ValueError(f"the coded symbols are damaged ({error})") from error
        self._taken += self._tables.cost(symbols, indexes)
        if self._taken > self._held + _SLACK_BITS:
            raise ValueError("the coded symbols are damaged (they end early)")
        self.crc = zlib.crc32(symbols.astype("<i2").tobytes(), self.crc)
        return symbols

    def finish(self) -> None:
        """Raise `ValueError` for bytes that hold more than what was taken from them."""
        if self._held > self._taken * (1 + _MOST_LOSS) + _SLACK_BITS:
            raise ValueError("the coded symbols are followed by foreign bytes")
