"""The source of text with a reader that follows a script; the oracle is the script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scripted import ScriptedReader, line

from miscomp.detect import text
from miscomp.detect.base import PairInHand
from miscomp.detect.cells import measure
from miscomp.detect.change import change_maps
from miscomp.detect.words import Line
from miscomp.detect.written import TextSource
from miscomp.records import Box

BEFORE = np.full((60, 200, 3), 200, np.uint8)
AFTER = np.full((60, 200, 3), 190, np.uint8)
SIGN = Box(20, 20, 80, 20)


def source(before: Sequence[Line], after: Sequence[Line]) -> tuple[TextSource, PairInHand]:
    cells = measure(BEFORE, AFTER)
    pair = PairInHand(original=BEFORE, reconstruction=AFTER, cells=cells, change=change_maps(cells))
    return TextSource(ScriptedReader({200: list(before), 190: list(after)})), pair


def test_a_changed_word_is_a_sure_proposal_with_both_readings() -> None:
    found, pair = source([line("EXIT", SIGN)], [line("EDIT", SIGN)])
    (proposal,) = found(pair)
    assert (proposal.source, proposal.symbol, proposal.relevant) == ("text", True, 1.0)
    assert (proposal.numbers["before"], proposal.numbers["after"]) == ("EXIT", "EDIT")
    assert proposal.numbers["letters_differing"] == 1.0
    assert proposal.changed is not None and 0.5 <= proposal.changed <= 1
    assert '"EXIT" may have become "EDIT"' in proposal.changed_words
    assert proposal.box.iou(SIGN) > 0.5


def test_words_that_read_alike_are_no_proposal_but_are_known() -> None:
    found, pair = source([line("EXIT", SIGN)], [line("EXIT", SIGN)])
    assert found(pair) == []
    assert found.reads_alike(SIGN) and found.is_written(SIGN) == "EXIT"
    assert found.reads_alike(Box(30, 22, 20, 16))
    far = Box(150, 20, 30, 20)
    assert not found.reads_alike(far) and found.is_written(far) == ""


def test_a_region_is_written_on_from_a_third_of_itself_or_of_a_word_on() -> None:
    found, pair = source([line("EXIT", SIGN)], [line("EXIT", SIGN)])
    found(pair)
    assert found.is_written(Box(20, 20, 30, 20)) == "EXIT"
    assert found.is_written(Box(80, 20, 60, 20)) == "EXIT"
    assert found.is_written(Box(82, 20, 60, 20)) == ""


def test_words_that_changed_do_not_read_alike_and_both_readings_are_told() -> None:
    found, pair = source([line("EXIT", SIGN)], [line("EDIT", SIGN)])
    found(pair)
    assert not found.reads_alike(SIGN)
    assert found.is_written(SIGN) == "EXIT EDIT"


def test_before_reading_nothing_is_known() -> None:
    found, _ = source([line("EXIT", SIGN)], [line("EXIT", SIGN)])
    assert found.is_written(SIGN) == "" and not found.reads_alike(SIGN) and found.lines_skipped == 0


def test_lines_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line("EXIT", Box(20, y, 80, 8)) for y in (2, 14, 26, 38)]
    found, pair = source(lines, lines[:3])
    compare = text.text_changes
    monkeypatch.setattr("miscomp.detect.written.text_changes", lambda a, b, reader: compare(a, b, reader, max_lines=2))
    found(pair)
    assert found.lines_skipped == 3
