"""What detectors suggest: small structures where there are some, each picture once, and never a decision."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from screened import bare_corpus

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Decision, Suggestion
from miscomp.corpus.schema import fetch
from miscomp.corpus.screening import suggest as suggesting
from miscomp.corpus.screening.suggest import Seen, Suggester, detail, open_suggesters, suggest
from miscomp.errors import MissingExtra, UnknownName, UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.records import Box


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return bare_corpus(tmp_path / "corpus", images=3)


class Counting:
    """Sees one box in every picture, and counts its looks."""

    def __init__(self, stop_at: int = 99) -> None:
        self.looks = 0
        self._stop_at = stop_at

    def __call__(self, pixels: Pixels) -> Seen:
        if self.looks == self._stop_at:
            raise KeyboardInterrupt
        self.looks += 1
        return float(pixels.shape[1]), [Box(1, 2, 3, 4)]

    def suggester(self, version: str = "1", kind: str = "text") -> Suggester:
        return Suggester(kind, "counting", version, self)


def stored(corpus: Corpus) -> list[Suggestion]:
    with corpus.reading() as connection:
        return fetch(connection, Suggestion)


def test_detail_is_the_share_of_cells_with_small_structures() -> None:
    pixels = np.full((160, 320, 3), 120, dtype=np.uint8)
    assert detail(pixels) == (0.0, [])
    pixels[32:96, 64:192] = np.random.default_rng(0).integers(0, 255, (64, 128, 1))
    share, boxes = detail(pixels)
    # Oracle: 4 x 8 of 10 x 20 cells were filled with noise.
    assert share == pytest.approx(32 / 200) and boxes == [Box(64, 32, 128, 64)]


def test_ramps_and_single_edges_are_no_detail_but_bars_and_text_are() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 320, dtype=np.uint8)[None, :, None], (160, 320, 3)).copy()
    edge = np.zeros((160, 320, 3), dtype=np.uint8)
    edge[:, 150:] = 255
    slope = np.zeros((160, 320, 3), dtype=np.uint8)
    cv2.fillPoly(slope, [np.array([[0, 0], [160, 160], [320, 0]])], (255, 255, 255))
    fence = np.full((160, 320, 3), 200, dtype=np.uint8)
    fence[:, ::6] = fence[:, 1::6] = fence[:, 2::6] = 60
    text = np.full((160, 320, 3), 240, dtype=np.uint8)
    for y in range(14, 160, 14):
        cv2.putText(text, "small letters in rows of text", (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (10, 10, 10))
    assert detail(ramp)[0] == detail(edge)[0] == detail(slope)[0] == 0
    assert detail(fence)[0] == 1 and detail(text)[0] >= 0.5


@pytest.mark.parametrize("shape", [(1, 1), (15, 400), (400, 15), (17, 33)])
def test_detail_takes_pictures_of_any_size(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    share, boxes = detail(pixels)
    assert share == (1.0 if min(shape) >= 16 else 0.0)
    for box in boxes:
        box.check_inside(shape[1], shape[0])


def test_every_picture_is_looked_at_once_and_again_by_another_version(corpus: Corpus) -> None:
    look = Counting()
    assert suggest(corpus, [look.suggester()]).made == {"text": 3}
    again = suggest(corpus, [look.suggester()])
    assert (again.made, again.kept, look.looks) == ({"text": 0}, 3, 3)
    assert suggest(corpus, [look.suggester("2")]).made == {"text": 3}
    rows = stored(corpus)
    assert [(one.version, one.value, json.loads(one.regions)) for one in rows] == [("2", 96.0, [[1, 2, 3, 4]])] * 3
    with corpus.reading() as connection:
        assert fetch(connection, Decision) == []


def test_a_run_that_was_cut_off_is_gone_on_with(corpus: Corpus) -> None:
    look = Counting(stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        suggest(corpus, [look.suggester()])
    assert len(stored(corpus)) == 2
    rest = suggest(corpus, [Counting().suggester(), Counting().suggester(kind="face")])
    assert (rest.made, rest.kept) == ({"text": 1, "face": 3}, 2)


def test_a_picture_that_cannot_be_read_is_listed_and_the_others_are_looked_at(corpus: Corpus) -> None:
    next(corpus.folder.glob("originals/*/*.png")).write_bytes(b"no picture")
    told: list[tuple[int, int]] = []
    done = suggest(corpus, [Counting().suggester()], progress=lambda now, total: told.append((now, total)))
    assert done.made == {"text": 2} and len(done.failures) == 1
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_detectors_are_opened_by_name_once_each() -> None:
    assert [one.kind for one in open_suggesters(["detail", "detail"])] == ["detail"]
    with pytest.raises(UnknownName, match="'txt'; known: detail, faces, text"):
        open_suggesters(["detail", "txt"])
    with pytest.raises(UsageError, match="name a detector"):
        open_suggesters([])


def test_faces_need_weights_and_weights_need_faces(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the weights of a detector"):
        open_suggesters(["faces"])
    with pytest.raises(WeightsError, match="is no file"):
        open_suggesters(["faces"], faces=str(tmp_path / "none.pth"))
    with pytest.raises(UsageError, match="of use to --suggest faces only"):
        open_suggesters(["detail"], faces="w.pth")


def test_faces_are_counted_and_their_boxes_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from miscomp.detect import faces
    from miscomp.detect.face_finder import Face

    class Finder:
        identity = "stand-in@00000000"

        def faces(self, pixels: Pixels, *, least: float = 0.85) -> list[Face]:
            point = (5.0, 5.0)
            return [Face(Box(2, 3, 10, 11), 0.9, (point, point, point, point, point))]

    monkeypatch.setattr(faces, "open_faces", lambda weights: faces.FaceSource(Finder()))
    (one,) = open_suggesters(["faces"], faces="w.pth")
    assert (one.kind, one.version) == ("face", "stand-in@00000000")
    assert one.look(np.zeros((32, 32, 3), dtype=np.uint8)) == (1.0, [Box(2, 3, 10, 11)])


def test_a_missing_reader_is_named_before_the_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    with pytest.raises(MissingExtra, match=r"miscomp\[text\]"):
        open_suggesters(["text"])


def test_words_are_counted_and_their_boxes_kept() -> None:
    pytest.importorskip("rapidocr")
    pixels = np.full((120, 400, 3), 255, dtype=np.uint8)
    cv2.putText(pixels, "STREET 42", (40, 75), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 3)
    (one,) = open_suggesters(["text"])
    value, boxes = one.look(pixels)
    assert value == len(boxes) >= 1
    assert all(box.x >= 30 and box.right <= 380 for box in boxes)


def test_the_names_on_the_command_line_are_those_of_the_stored_kinds() -> None:
    assert list(suggesting.SUGGESTERS) == ["text", "faces", "detail"]
