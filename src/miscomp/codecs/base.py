"""What every codec offers: real bytes out, pixels back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from miscomp.images import Pixels

MAX_MEGAPIXELS = 200.0
"""Largest picture that is decoded unless the caller says otherwise."""


class Codec(Protocol):
    """One codec, ready to run: its weights are loaded. The same input gives the same bytes."""

    @property
    def name(self) -> str:
        """The registry row's name."""
        ...

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        """Return the whole file, as it is written to disk; `quality` is on the row's scale, higher is better.

        Raises `UsageError` for a quality outside the row's range or a size the format cannot hold.
        """
        ...

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Return the picture. Raises `StreamError` for anything but an intact file of this codec."""
        ...


@runtime_checkable
class NamesVersion(Protocol):
    """A codec that a program of its own runs."""

    def version(self) -> str:
        """What codes, in words for tables."""
        ...


@runtime_checkable
class TakesSeed(Protocol):
    """A codec whose decoder draws random numbers; the seed is part of the file."""

    def with_seed(self, seed: int) -> Codec:
        """The same codec, encoding files with this seed, 0 to 2^64 - 1."""
        ...


@runtime_checkable
class HasCheckpoints(Protocol):
    """A codec with weights of its own for each quality, which its user may have or not."""

    def prepare(self, quality: float | None) -> None:
        """Load what a quality needs, or see that every quality's is there for none. Raises `WeightsError`."""
        ...

    def weights_sha256(self, quality: float | None) -> str:
        """SHA-256 of the file with the weights of a quality, 64 hex digits; for none, of every quality's together.

        Raises `WeightsError`.
        """
        ...


@runtime_checkable
class EstimatesBits(Protocol):
    """A codec that knows how likely it thought what it coded."""

    def estimate_bits(self, pixels: Pixels, quality: float) -> float:
        """Bits that the codec's own probabilities give to what `compress` codes, without container."""
        ...
