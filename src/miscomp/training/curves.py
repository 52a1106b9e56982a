"""A run's curves as a picture: every figure of the log over the steps, with the validations as points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from miscomp.images import write_png
from miscomp.training.runlog import Row

_WIDTH, _PANEL = 900, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 24, 40, 34
_FINE = 2
"""Drawn this many times as large and scaled down, which smooths the lines."""
_INK, _GREY, _PAPER = (30, 30, 34), (221, 221, 217), (255, 255, 255)
_TRAIN, _VALID = (31, 111, 178), (200, 80, 0)
_TITLES = {"loss": "loss", "estimated_bpp": "estimated bits per pixel", "psnr_db": "PSNR in dB"}
_NO_FIGURES = ("step", "quality", "skipped", "seconds_per_step")

Points = list[tuple[float, float]]


def write_curves(path: Path, log: Sequence[Row], valid: Sequence[Row]) -> None:
    """Draw one panel for each figure of the log; no file where nothing is logged yet."""
    names = [name for name in dict.fromkeys(name for row in log for name in row) if name not in _NO_FIGURES]
    if not names:
        return
    size = (_WIDTH * _FINE, _PANEL * _FINE * len(names))
    image = Image.new("RGB", size, _PAPER)
    for number, name in enumerate(names):
        train, judged = points(log, name), points(valid, name)
        if train or judged:
            title = _TITLES.get(name, name.replace("_", " "))
            _Panel(ImageDraw.Draw(image), number * _PANEL, _range_of(train, judged)).draw(title, train, judged)
    small = image.resize((_WIDTH, _PANEL * len(names)), Image.Resampling.LANCZOS)
    write_png(path, np.asarray(small))


def points(rows: Sequence[Row], name: str) -> Points:
    """Step and figure; the mean over rows of one step, without what is missing or not finite."""
    by_step: dict[float, list[float]] = {}
    for row in rows:
        try:
            step, value = float(row["step"]), float(row.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(value):
            by_step.setdefault(step, []).append(value)
    return [(step, sum(values) / len(values)) for step, values in sorted(by_step.items())]


@dataclass(frozen=True, slots=True)
class Range:
    """What a panel's axes span."""

    last: float
    low: float
    high: float


def _range_of(train: Points, judged: Points) -> Range:
    """From step 0 to the last; values without the outermost 2 % of the log, which the start of a run fills."""
    values = np.array([value for _, value in train] or [value for _, value in judged])
    low, high = np.quantile(values, [0.02, 0.98]) if len(values) >= 50 else (values.min(), values.max())
    low, high = min(low, *(v for _, v in judged), low), max(high, *(v for _, v in judged), high)
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    return Range(max(step for step, _ in [*train, *judged]), float(low - room), float(high + room))


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from `low` to `high`: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / count
    scale = 10.0 ** math.floor(math.log10(raw))
    gap = scale * next(factor for factor in (1, 2, 5, 10) if factor * scale >= raw * 0.999)
    first, last = math.ceil(low / gap - 1e-9), math.floor(high / gap + 1e-9)
    return [round(index * gap, 12) for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One figure's axes, at `top` pixels of the small picture."""

    pen: ImageDraw.ImageDraw
    top: int
    span: Range

    def draw(self, title: str, train: Points, judged: Points) -> None:
        self._axes(title)
        self._legend(bool(train), bool(judged))
        line = [self._at(*point) for point in train]
        if len(line) > 1:
            self.pen.line(line, fill=_TRAIN, width=2 * _FINE, joint="curve")
        for x, y in line if len(line) == 1 else []:
            self._dot(x, y, _TRAIN)
        dots = [self._at(*point) for point in judged]
        if len(dots) > 1:
            self.pen.line(dots, fill=_VALID, width=_FINE)
        for x, y in dots:
            self._dot(x, y, _VALID)

    def _at(self, step: float, value: float) -> tuple[float, float]:
        """Where a point lies; what is beyond the range lies on its border."""
        share = (min(max(value, self.span.low), self.span.high) - self.span.low) / (self.span.high - self.span.low)
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / max(self.span.last, 1)
        y = self.top + _PANEL - _BOTTOM - (_PANEL - _TOP - _BOTTOM) * share
        return x * _FINE, y * _FINE

    def _axes(self, title: str) -> None:
        small = ImageFont.load_default(13 * _FINE)
        self.pen.text((_LEFT * _FINE, (self.top + 10) * _FINE), title, _INK, ImageFont.load_default(16 * _FINE))
        for value in ticks(self.span.low, self.span.high, 5):
            (left, y), (right, _) = self._at(0, value), self._at(self.span.last, value)
            self.pen.line([(left, y), (right, y)], fill=_GREY, width=_FINE)
            self.pen.text((left - 8 * _FINE, y), f"{value:g}", _INK, small, anchor="rm")
        for step in ticks(0, max(self.span.last, 1), 6):
            x, y = self._at(step, self.span.low)
            self.pen.line([(x, y), (x, y + 5 * _FINE)], fill=_INK, width=_FINE)
            self.pen.text((x, y + 8 * _FINE), f"{step:,g}" if step < 1e6 else f"{step / 1e6:g} M", _INK, small, "mt")
        x, y = self._at(0, self.span.low)
        self.pen.text((x - 8 * _FINE, y + 8 * _FINE), "step", _INK, small, "rt")
        corners = [self._at(0, self.span.high), self._at(0, self.span.low), self._at(self.span.last, self.span.low)]
        self.pen.line(corners, fill=_INK, width=_FINE)

    def _legend(self, train: bool, judged: bool) -> None:
        right, y = float((_WIDTH - _RIGHT) * _FINE), (self.top + 20) * _FINE
        font = ImageFont.load_default(13 * _FINE)
        shown = [("validation, mean of qualities", _VALID)] * judged + [("training", _TRAIN)] * train
        for text, colour in shown:
            self.pen.text((right, y), text, _INK, font, anchor="rm")
            right -= self.pen.textlength(text, font) + 14 * _FINE
            self._dot(right + 5 * _FINE, y, colour)
            right -= 14 * _FINE

    def _dot(self, x: float, y: float, colour: tuple[int, int, int]) -> None:
        radius = 3.5 * _FINE
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
