"""Reading text with PP-OCR models through RapidOCR, at any picture size and offline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from miscomp.detect.recognise import STRIP_HEIGHT, Mark, Recogniser
from miscomp.detect.strips import as_quad, moved, sides, straightened
from miscomp.detect.words import Letter, Line, Quad, Word
from miscomp.errors import MissingExtra
from miscomp.images import Pixels
from miscomp.records import Box

_READABLE = 0.5
_STRIP_WIDTH = STRIP_HEIGHT * 50
_VIEW_PIXELS = 1_200_000
_VIEW_SIDE = 4096
_MOST_ENLARGED = 1.5
_LEAST_SIDE = 64
_LEAST_TEXT = 6
_FULL_ENOUGH = 0.9
_TILE = 1280
_TILE_OVERLAP = 160
_LETTER = 0.65
"""Half a letter's width, with some room, in units of the distance between letters."""
_INSET = 0.12
"""Share of a line's height that the detector leaves free above and below the letters."""
_MODELS = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx", "Cls": "*_cls_*.onnx"}


class TextReader(Protocol):
    """Reads text; the same pixels give the same readings."""

    def lines(self, pixels: Pixels) -> list[Line]:
        """Every line of text in the picture, each place once."""
        ...

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        """The words within `quad`, in reading order, without searching for text; the frame is that of `pixels`."""
        ...


class RapidReader:
    """PP-OCR through RapidOCR, with the models that its package carries; never downloads.

    The picture is searched as a whole (enlarged up to 1.5 times when small, reduced when large), and when
    it had to be reduced also in tiles at full size, so memory does not grow with the picture. Upside-down
    text is not found. Raises `MissingExtra` at the first reading when RapidOCR or a model is missing.
    """

    def __init__(self, *, threads: int = 2) -> None:
        if threads < 1:
            raise ValueError(f"threads must be >= 1, got {threads}")
        self._threads = threads
        self._engine: Any = None
        self._marks: Recogniser | None = None

    def read(self, pixels: Pixels) -> list[Word]:
        """Every word in the picture, from top to bottom."""
        words = [word for line in self.lines(pixels) for word in line.words]
        return sorted(words, key=lambda w: (w.box.y, w.box.x, w.text))

    def lines(self, pixels: Pixels) -> list[Line]:
        """Every line of text with a word of confidence >= 0.5, from top to bottom, each place once."""
        height, width = pixels.shape[:2]
        found: list[tuple[int, Line]] = []
        for number, (view, scale) in enumerate(_views(width, height)):
            for quad in self._search(pixels[view.y : view.bottom, view.x : view.right], scale):
                placed = moved(quad, view.x, view.y)
                line = max((Line(q, self.read_region(pixels, q)) for q in _orientations(placed)), key=_weight)
                words = tuple(word for word in line.words if word.confidence >= _READABLE)
                found += [(number, replace(line, words=words))] if words else []
        return sorted(_without_repeats(found), key=lambda line: (line.box.y, line.box.x, line.quad))

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        """The words within `quad`, in reading order; empty when nothing could be read."""
        strip = straightened(pixels, quad, height=STRIP_HEIGHT, most=_STRIP_WIDTH)
        marks = self._recogniser().read(np.ascontiguousarray(strip[:, :, ::-1]))
        size = (pixels.shape[1], pixels.shape[0])
        return tuple(_word(part, quad, size) for part in _parted(_cells(marks)))

    def _search(self, pixels: Pixels, scale: float) -> list[Quad]:
        height, width = pixels.shape[:2]
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        resized = pixels if scale == 1 else np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        missing = [(0, max(_LEAST_SIDE - side, 0)) for side in resized.shape[:2]]
        padded = np.pad(resized, [*missing, (0, 0)], mode="edge")
        picture = np.ascontiguousarray(padded[:, :, ::-1])
        boxes = self._ready()(picture, use_det=True, use_cls=False, use_rec=False).boxes
        if boxes is None:
            return []
        ratio = np.array([width / size[0], height / size[1]])
        return [as_quad(np.asarray(corners, dtype=np.float64) * ratio) for corners in boxes]

    def _ready(self) -> Any:
        if self._engine is None:
            self._engine = _load_engine(self._threads)
        return self._engine

    def _recogniser(self) -> Recogniser:
        if self._marks is None:
            self._marks = Recogniser(_model_files()["Rec"], threads=self._threads)
        return self._marks


def _model_files() -> dict[str, Path]:
    """The models of RapidOCR's package: without explicit files it would look for a download."""
    try:
        import rapidocr  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtra("rapidocr and onnxruntime", "text", "reading text") from error
    found = {part: sorted((Path(rapidocr.__file__).parent / "models").glob(_MODELS[part])) for part in _MODELS}
    for part, files in found.items():
        if not files:
            lacking = f"rapidocr >= 3 with its own models ({_MODELS[part]} was not found)"
            raise MissingExtra(lacking, "text", "reading text")
    return {part: files[-1] for part, files in found.items()}


def _load_engine(threads: int) -> Any:
    models = _model_files()
    from rapidocr import RapidOCR

    return RapidOCR(
        params={f"{part}.model_path": str(file) for part, file in models.items()}
        | {
            "Global.log_level": "critical",
            "Global.max_side_len": 1 << 20,
            "Global.min_side_len": 1,
            "Global.use_vertical_padding": False,
            "Det.limit_side_len": 32,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _views(width: int, height: int) -> Iterator[tuple[Box, float]]:
    """Parts of a picture to search and their scales: the whole, then tiles at full size if the whole was reduced.

    Words narrower than the overlap are whole in some tile; wider ones are usually large enough for the first view.
    A picture thinner than the smallest letters has no views.
    """
    if min(width, height) < _LEAST_TEXT:
        return
    scale = min(_MOST_ENLARGED, math.sqrt(_VIEW_PIXELS / (width * height)), _VIEW_SIDE / max(width, height))
    yield Box(0, 0, width, height), scale
    if scale >= _FULL_ENOUGH:
        return
    for y in _starts(height):
        for x in _starts(width):
            yield Box(x, y, min(_TILE, width - x), min(_TILE, height - y)), 1.0


def _starts(length: int) -> list[int]:
    """First pixels of tiles that cover `length` evenly with at least the overlap."""
    if length <= _TILE:
        return [0]
    count = math.ceil((length - _TILE_OVERLAP) / (_TILE - _TILE_OVERLAP))
    return [round(k * (length - _TILE) / (count - 1)) for k in range(count)]


def _orientations(quad: Quad) -> list[Quad]:
    """Ways to read a line: a tall one is read downwards or upwards."""
    along, across = sides(quad)
    if across < 1.5 * along:
        return [quad]
    a, b, c, d = quad
    return [(b, c, d, a), (d, a, b, c)]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A mark and its extent along the line, 0 to 1."""

    mark: Mark
    left: float
    right: float


def _cells(marks: Sequence[Mark]) -> list[_Cell]:
    """Each mark reaches halfway to its neighbours, but not further than letters of this line usually do."""
    letters = [mark for mark in marks if not mark.char.isspace()]
    centers = [mark.center for mark in letters]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(centers)), 1.0]
    pitch = float(np.median(np.diff(centers))) if len(centers) > 1 else 1.0
    extent = {
        id(mark): (max(edges[k], mark.center - _LETTER * pitch), min(edges[k + 1], mark.center + _LETTER * pitch))
        for k, mark in enumerate(letters)
    }
    return [_Cell(mark, *extent.get(id(mark), (mark.center, mark.center))) for mark in marks]


def _parted(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """The cells of every word."""
    words: list[list[_Cell]] = [[]]
    for cell in cells:
        if cell.mark.char.isspace():
            words.append([])
        else:
            words[-1].append(cell)
    return [word for word in words if word]


def _word(cells: Sequence[_Cell], quad: Quad, size: tuple[int, int]) -> Word:
    text = "".join(cell.mark.char for cell in cells)
    box = _part_box(quad, cells[0].left, cells[-1].right, size=size)
    confidence = round(float(np.mean([cell.mark.confidence for cell in cells])), 3)
    letters = tuple(
        Letter(c.mark.char, _part_box(quad, c.left, c.right, size=size), c.mark.confidence, c.mark.rivals)
        for c in cells
    )
    return Word(text, box, confidence, letters)


def _part_box(quad: Quad, left: float, right: float, *, size: tuple[int, int]) -> Box:
    """The box around the part of a line from `left` to `right` (0 to 1), clipped to `size` (width, height)."""
    a, b, c, d = np.array(quad)
    a, d = a + (d - a) * _INSET, d + (a - d) * _INSET
    b, c = b + (c - b) * _INSET, c + (b - c) * _INSET
    corners = np.array([a + (b - a) * left, a + (b - a) * right, d + (c - d) * left, d + (c - d) * right])
    x, y = (min(max(int(v), 0), limit - 1) for v, limit in zip(np.floor(corners.min(axis=0)), size, strict=True))
    x1, y1 = (min(int(v), limit) for v, limit in zip(np.ceil(corners.max(axis=0)), size, strict=True))
    return Box(x, y, max(x1 - x, 1), max(y1 - y, 1))


def _without_repeats(found: Sequence[tuple[int, Line]]) -> list[Line]:
    """Each word once, from the line that was read best; `found` has lines with the number of their view.

    Only words of different views can repeat each other: boxes of slanted neighbours overlap as well.
    """
    kept: list[tuple[int, Word]] = []
    result = []
    for view, line in sorted(found, key=_quality):
        others = [word.box for number, word in kept if number != view]
        new = tuple(w for w in line.words if not any(_same_place(w.box, box) for box in others))
        kept += [(view, word) for word in new]
        result += [replace(line, words=new)] if new else []
    return result


def _quality(found: tuple[int, Line]) -> tuple[int, int, Quad]:
    """Sorts the line with most letters first, of equal ones the tightest."""
    line = found[1]
    return (-round(line.weight), line.box.area, line.quad)


def _same_place(a: Box, b: Box) -> bool:
    return 2 * a.intersection(b) >= min(a.area, b.area)


def _weight(line: Line) -> float:
    return line.weight
