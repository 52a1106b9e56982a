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

    def __call__(self, pair: PairInHand) -> list[Proposal]:
        """One proposal for every word change, surest first."""
        self._found = text_changes(pair.original, pair.reconstruction, self._reader)
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
        if self._found is None:
            return False
        alike = [
            w.box
            for w in self._found.original
            if any(w.text == other.text and w.box.iou(other.box) >= 0.3 for other in self._found.reconstruction)
        ]
        return 2 * sum(box.intersection(word) for word in alike) >= box.area
