"""What the labelers' page shows: batches, pairs and boxes as they stand."""

from __future__ import annotations

from dataclasses import dataclass

from miscomp.corpus.entries import BatchKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair in a batch of a labeler's; for the server alone, as it tells what the pair is of."""

    labeler: str
    alias: str
    batch: str
    kind: BatchKind
    position: int
    """From 1 on."""
    size: int
    """Pairs of the batch."""
    image_sha1: str
    model: str
    width: int
    height: int
    file: str
    """The reconstruction, from the corpus' folder on; empty where its pixels were removed."""
    file_sha256: str
    original_sha256: str
    """Of the PNG files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """A batch of a labeler's, and how far it is."""

    batch: str
    kind: BatchKind
    size: int
    done: int
    """Pairs that the labeler said to be done with."""
    active_s: float
    """Seconds of work in it."""
    median_s: float | None
    """Seconds of work per pair that is done, the median; none before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemState:
    """A pair in the list of a batch."""

    alias: str
    position: int
    width: int
    height: int
    done: bool
    boxes: int
    """That stand, of this labeler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxState:
    """A box of the labeler's own that stands."""

    event: str
    """What a change or deletion of it replaces."""
    x: int
    y: int
    w: int
    h: int
    category: str
    symbol: bool
    changed: str
    relevant: str
    suspicion: str
    expected: str
    """Answers as messages have them: empty, `no`, `unsure` or `yes`."""
    note: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagState:
    """The labeler's last word on the whole picture."""

    multi: bool
    multi_kind: str
    overall: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionState:
    """What a detector found, where labelers are shown that."""

    event: str
    x: int
    y: int
    w: int
    h: int
    category: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """Everything that the labelers' page shows of a pair."""

    alias: str
    batch: str
    kind: BatchKind
    position: int
    size: int
    width: int
    height: int
    done: bool
    instances: int | None
    """Of several alike, so many are drawn; none: all, as in agreement batches."""
    boxes: tuple[BoxState, ...]
    """In the order in which they were drawn."""
    flag: FlagState | None
    suggestions: tuple[SuggestionState, ...] = ()
    """Empty unless the settings switch them on."""
