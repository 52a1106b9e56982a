"""Decision node 2, source `text`: words that may have been lost, changed, or may have appeared."""

from __future__ import annotations

from miscomp.detect.base import PairInHand, Proposal
from miscomp.detect.reader import TextReader
from miscomp.detect.text import TextChanges, text_changes
from miscomp.records import Box


class TextSource:
    """Reads both pictures and proposes the words whose readings differ; remembers where text stands."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._found: TextChanges | None = None
        self._alike: tuple[Box, ...] = ()

    def __call__(self, pair: PairInHand) -> list[Proposal]:
        """One proposal for every word change, surest first."""
        self._found = text_changes(pair.original, pair.reconstruction, self._reader)
        self._alike = _reading_alike(self._found)
        return [
            Proposal(
                box=change.box,
                relevant=1.0,
                source="text",
                words="it is text, and text carries meaning",
                symbol=True,
                changed=change.confidence,
                changed_words=change.words,
                strength=change.confidence,
                numbers={
                    "before": change.before,
                    "after": change.after,
                    "letters_differing": float(change.distance),
                    "reading_confidence": change.confidence,
                },
            )
            for change in self._found.changes
        ]

    @property
    def lines_skipped(self) -> int:
        """Lines of text that the last pair had beyond those compared."""
        return self._found.lines_skipped if self._found else 0

    def is_written(self, box: Box) -> str:
        """The text that stands in a region according to either reading; empty when there is none.

        Counts when words cover a third of the region, or the region a third of a word.
        """
        if self._found is None:
            return ""
        words = {
            w.text: None
            for w in (*self._found.original, *self._found.reconstruction)
            if 3 * box.intersection(w.box) >= min(box.area, w.box.area)
        }
        return " ".join(words)

    def reads_alike(self, box: Box) -> bool:
        """Whether words that are read surely, and alike, in both pictures cover at least half of a region."""
        return 2 * sum(box.intersection(word) for word in self._alike) >= box.area


def _reading_alike(found: TextChanges) -> tuple[Box, ...]:
    """Where the original's words stand that the reconstruction has too, at about the same place."""
    places: dict[str, list[Box]] = {}
    for word in found.reconstruction:
        places.setdefault(word.text, []).append(word.box)
    return tuple(
        word.box for word in found.original if any(word.box.iou(box) >= 0.3 for box in places.get(word.text, ()))
    )
