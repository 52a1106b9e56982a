"""Quality maps: offsets to a picture's quality, one per 16 x 16 block, and their bytes in a stream.

Qualities are steps of 1/255 and a map's offsets multiples of four steps, from -64 (-1) to 64 (+1). A stream
holds them entropy coded, in integer arithmetic alone, so that they are the same everywhere: a row says whether
it repeats the one above; in one that does not, each offset is predicted from three neighbours (the median edge
detector of JPEG-LS: Weinberger, Seroussi and Sapiro, IEEE Trans. Image Processing 9 (8), 2000), and what
remains is written in bits whose odds adapt to what was coded before in like surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.errors import ImageError, InputError, UsageError
from miscomp.images import IMAGE_SUFFIXES, read

BLOCK = 16
"""Pixels a side that one offset is for."""

OFFSET_STEP = 4
"""Quality steps in a unit of offset."""

MAX_OFFSET = 64
"""Units; as many steps as there are qualities."""

QUALITY_STEPS = 255
"""Steps from the lowest quality to the highest."""

FloatArray: TypeAlias = npt.NDArray[np.float64]
Offsets: TypeAlias = npt.NDArray[np.int8]
"""Rows x columns of blocks, in units of `OFFSET_STEP`, from -64 to 64."""

_MIDDLE = 128

_BITS = 48
_MASK = (1 << _BITS) - 1
_TOP = _BITS - 8
_LONG_MEMORY = 1000

_ACTIVITY = (0, 1, 2, 2, 3, 3, 3, *[4] * 6, *[5] * 12, *[6] * (6 * MAX_OFFSET - 24))
"""Class of a sum of three differences between neighbours."""
_SHAPES = 4 * 27 * 3
_LENGTHS = 8

# Where the contexts of each kind of bit begin.
_ROW = 0
_ZERO = _ROW + 2
_SIGN = _ZERO + _SHAPES
_LENGTH = _SIGN + _SHAPES
_DIGIT = _LENGTH + 7 * _LENGTHS
_CONTEXTS = _DIGIT + 2 ** (_LENGTHS - 1)


def block_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a map for a picture of that many pixels."""
    return -(-height // BLOCK), -(-width // BLOCK)


def quantise(offsets: npt.ArrayLike, *, height: int, width: int) -> Offsets:
    """Round offsets in [-1, 1] to units of 4/255. Raises `UsageError` for any others and for another shape."""
    array = np.asarray(offsets)
    if problem := _problem(array, height, width):
        raise UsageError(f"the quality map {problem}")
    return np.rint(array.astype(np.float64) * QUALITY_STEPS / OFFSET_STEP).astype(np.int8)


def local_steps(base: int, offsets: Offsets | None, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Quality steps 0 to 255 on a grid of latents that is at least as large as the map, whose edge is repeated."""
    if offsets is None:
        return np.full((rows, columns), base, np.uint8)
    steps = np.clip(base + OFFSET_STEP * offsets.astype(np.int16), 0, QUALITY_STEPS).astype(np.uint8)
    return np.pad(steps, ((0, rows - steps.shape[0]), (0, columns - steps.shape[1])), mode="edge")


def encode(offsets: Offsets) -> bytes:
    """The map's bytes, without its shape. A map has exactly one form; one of zeros, and no other, is empty."""
    if offsets.ndim != 2 or 0 in offsets.shape or np.abs(offsets.astype(np.int16)).max() > MAX_OFFSET:
        raise ValueError(f"a map has rows and columns of numbers from -{MAX_OFFSET} to {MAX_OFFSET}")
    coder = _Coder()
    _code_map(coder, offsets.tolist())
    return coder.finish()


def decode(content: bytes, rows: int, columns: int) -> Offsets:
    """The map of that shape. Raises `ValueError` for bytes that `encode` does not make; time grows with the shape."""
    coder = _Coder(content)
    offsets = _code_map(coder, [[0] * columns] * rows)
    if coder.finish() != content:
        raise ValueError(f"its quality map of {len(content)} bytes does not fit {rows} x {columns} blocks")
    return np.array(offsets, np.int8)


def map_for(maps: Path, picture: Path) -> Path:
    """The map of a picture: `maps` itself, or the file in that folder with the picture's name but for the suffix.

    Raises `InputError` for a folder that has none, or several.
    """
    if not maps.is_dir():
        return maps
    suffixes = {*IMAGE_SUFFIXES, ".npy"}
    found = sorted(p.name for p in maps.iterdir() if p.stem == picture.stem and p.suffix.lower() in suffixes)
    if len(found) != 1:
        has = f"several maps for {picture.name} ({', '.join(found)})" if found else f"no map for {picture.name}"
        raise InputError(maps, f"holds {has}; one {picture.stem}.png, .npy or other image is needed")
    return maps / found[0]


def read_map(path: Path, *, height: int, width: int, max_megapixels: float = MAX_MEGAPIXELS) -> FloatArray:
    """Read a map for a picture of `height` x `width` pixels: offsets in [-1, 1], one per block.

    From a grey picture of any size: black is -1, 128 is 0, white is +1, linear between; it is stretched over the
    picture and averaged in each block, or taken as it is where it has one pixel per block. From a `.npy` file:
    such offsets themselves. Raises `InputError` naming the file.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path, height, width)
    grey: npt.NDArray[np.uint8] | FloatArray = _read_grey(path, max_megapixels)
    if grey.shape != block_grid(height, width):
        grey = _average(_average(grey, height).T, width).T
    return np.interp(grey, (0, _MIDDLE, 255), (-1, 0, 1)).astype(np.float64)


def _problem(array: npt.NDArray[np.generic], height: int, width: int) -> str:
    """What keeps an array from being a map, in words; empty where nothing does."""
    rows, columns = block_grid(height, width)
    if array.shape != (rows, columns):
        need = f"{width} x {height} pixels need ({rows}, {columns}), one number per {BLOCK} x {BLOCK} block"
        return f"has the shape {array.shape}; {need}"
    if array.dtype.kind != "f":
        return f"has values of type {array.dtype}; floating-point numbers from -1 to 1 are needed"
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        return "has values that are no finite numbers; offsets from -1 to 1 are needed"
    if np.abs(values).max() > 1:
        return f"has values from {values.min():.6g} to {values.max():.6g}; offsets from -1 to 1 are needed"
    return ""


def _read_array(path: Path, height: int, width: int) -> FloatArray:
    if not path.is_file():
        raise InputError(path, "is no file; a .npy file or a grey image is needed")
    try:
        # Mapped, because a header may claim any size; unlike numpy.load, this never unpickles or unzips.
        array: npt.NDArray[np.generic] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a hostile header provokes
        # Of several lines, those behind the first advise to trust the file.
        problem = str(error).partition("\n")[0]
        raise InputError(path, f"is no .npy file that can be read ({problem}); write it with numpy.save") from error
    if problem := _problem(array, height, width):
        raise InputError(path, problem)
    return np.array(array, np.float64)


def _read_grey(path: Path, max_megapixels: float) -> npt.NDArray[np.uint8]:
    picture = read(path, max_megapixels=max_megapixels)
    advice = "save the map as plain grey, without transparency or colour profile"
    # Fewer bits are harmless; all else that reading changes would shift the greys and so the quality.
    for warning in picture.warnings:
        if "reduced to 8 bits" not in warning:
            raise ImageError(path, f"{warning}, which changes a quality map; {advice}")
    grey: npt.NDArray[np.uint8] = picture.pixels[..., 0]
    if any((grey != picture.pixels[..., channel]).any() for channel in (1, 2)):
        raise ImageError(path, f"has colours; {advice}")
    return grey


def _average(values: npt.NDArray[np.uint8] | FloatArray, length: int) -> FloatArray:
    """Mean along the first axis over blocks of a picture `length` pixels long, over which the axis is stretched."""
    size = len(values)
    edges = np.minimum(np.arange(0, length + BLOCK, BLOCK), length) * size / length
    means = []
    for start, stop in pairwise(edges.tolist()):
        first, last = int(start), min(-int(-stop // 1), size) - 1
        if first == last:
            means.append(values[first].astype(np.float64))
            continue
        inner = values[first + 1 : last].sum(axis=0, dtype=np.float64)
        means.append((inner + (first + 1 - start) * values[first] + (stop - last) * values[last]) / (stop - start))
    return np.stack(means)


class _Coder:
    """An adaptive binary arithmetic coder; a decoder is an encoder that takes its bits from what was encoded.

    The odds of a context are those of the bits it has seen, where older ones count less.
    """

    __slots__ = ("_high", "_low", "_ones", "_output", "_source", "_value", "_zeros")

    def __init__(self, content: bytes | None = None) -> None:
        self._zeros = [1] * _CONTEXTS
        self._ones = [1] * _CONTEXTS
        self._low = 0
        self._high = _MASK
        self._output = bytearray()
        self._source: Iterator[int] = iter(content or b"")
        self._value = -1 if content is None else int.from_bytes(next(self._source, 0) for _ in range(_BITS // 8))

    def bit(self, context: int, wanted: bool) -> bool:
        """Encode `wanted` and return it, or decode a bit and return that."""
        zeros = self._zeros[context]
        total = zeros + self._ones[context]
        middle = self._low + (self._high - self._low) * zeros // total
        one = wanted if self._value < 0 else self._value > middle
        if one:
            self._low = middle + 1
            self._ones[context] += 2
        else:
            self._high = middle
            self._zeros[context] = zeros + 2
        if total > _LONG_MEMORY:
            self._zeros[context] = self._zeros[context] + 1 >> 1
            self._ones[context] = self._ones[context] + 1 >> 1
        while not (self._low ^ self._high) >> _TOP:
            self._output.append(self._low >> _TOP)
            self._low = self._low << 8 & _MASK
            self._high = self._high << 8 & _MASK | 0xFF
            if self._value >= 0:
                self._value = self._value << 8 & _MASK | next(self._source, 0)
        return one

    def finish(self) -> bytes:
        """The shortest bytes that stand for all bits so far; a decoder takes zeros for those behind the end."""
        for size in range(_BITS // 8 + 1):
            shift = _BITS - 8 * size
            tail = self._high >> shift
            if tail << shift >= self._low:
                break
        return (bytes(self._output) + tail.to_bytes(size, "big")).rstrip(b"\0")


def _code_map(coder: _Coder, wanted: list[list[int]]) -> list[list[int]]:
    """Encode the rows and return them, or decode as many; raises `ValueError` where an offset is out of range."""
    rows: list[list[int]] = []
    above = [0] * len(wanted[0])
    changed = False
    for want in wanted:
        changed = coder.bit(_ROW + changed, want != above)
        row = _code_row(coder, want, above) if changed else above
        if changed and row == above:
            raise ValueError("its quality map repeats a row in a form that no encoder writes")
        rows.append(row)
        above = row
    return rows


def _code_row(coder: _Coder, wanted: list[int], above: list[int]) -> list[int]:
    row: list[int] = []
    left = corner = above[0]
    residual = 0
    for want, up, ahead in zip(wanted, above, above[1:] + above[-1:], strict=True):
        low, high = (left, up) if left < up else (up, left)
        expected = min(max(left + up - corner, low), high)
        activity = _ACTIVITY[abs(left - corner) + abs(up - corner) + abs(ahead - up)]
        # Where contours run, the signs of the differences tell which way, and the last surprise whether they go on.
        signs = 9 * _sign(left - corner) + 3 * _sign(up - corner) + _sign(ahead - up) + 13
        shape = 3 * (27 * (activity // 2) + signs) + _sign(residual) + 1
        residual = _code_residual(coder, want - expected, activity, shape)
        left, corner = expected + residual, up
        if not -MAX_OFFSET <= left <= MAX_OFFSET:
            raise ValueError(f"its quality map holds an offset of {left} units, the limit is {MAX_OFFSET}")
        row.append(left)
    return row


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _code_residual(coder: _Coder, wanted: int, activity: int, shape: int) -> int:
    """Whether it is other than 0, then its sign, how many binary digits it has, and those behind the first."""
    if not coder.bit(_ZERO + shape, wanted != 0):
        return 0
    negative = coder.bit(_SIGN + shape, wanted < 0)
    size = abs(wanted)
    length = 1
    while length < _LENGTHS and coder.bit(_LENGTH + _LENGTHS * activity + length, size >> length > 0):
        length += 1
    digits = 1
    for place in range(length - 2, -1, -1):
        digits = 2 * digits + coder.bit(_DIGIT + digits, size >> place & 1 == 1)
    return -digits if negative else digits
