"""The records that pass between the stages: frozen, torch-free, checked when they are made.

Table records (`Annotation`, `ImageRow`, `View`, `ModelRow`) have one field per CSV column, in the
column's order; `miscomp.tables` writes and reads them. Text fields are untrusted.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from miscomp.taxonomy import Category, MultiKind, Origin, split_categories

_SHA1 = re.compile(r"[0-9a-f]{40}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)

GIVEN = "given"
"""Model name of a reconstruction that came as a file."""


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """Pixels [x, x + w) x [y, y + h) in the reconstruction's frame; whole numbers, never empty."""

    x: int
    y: int
    w: int
    h: int

    def __post_init__(self) -> None:
        for value in (self.x, self.y, self.w, self.h):
            if type(value) is not int:
                raise ValueError(f"a box needs whole numbers, got {value!r} in {self}")
        if self.x < 0 or self.y < 0 or self.w < 1 or self.h < 1:
            raise ValueError(f"a box needs x, y >= 0 and w, h >= 1, got {self}")

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.w * self.h

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.x + self.w

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.h

    @property
    def center(self) -> tuple[float, float]:
        """Centre as (x, y) in pixels."""
        return (self.x + self.w / 2, self.y + self.h / 2)

    def check_inside(self, width: int, height: int) -> None:
        """Raise `ValueError` unless the box lies inside an image of `width` x `height` pixels."""
        if self.right > width or self.bottom > height:
            raise ValueError(f"{self} reaches outside the image of {width} x {height} pixels")

    def contains(self, x: float, y: float) -> bool:
        """Whether the point (x, y) lies inside (half-open)."""
        return self.x <= x < self.right and self.y <= y < self.bottom

    def intersection(self, other: Box) -> int:
        """Pixels that both boxes cover."""
        w = min(self.right, other.right) - max(self.x, other.x)
        h = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(w, 0) * max(h, 0)

    def union_box(self, other: Box) -> Box:
        """Smallest box that covers both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        both = self.intersection(other)
        return both / (self.area + other.area - both)

    def grown(self, margin: int, width: int, height: int) -> Box:
        """The box with `margin` pixels more on every side, clipped to the image."""
        x, y = max(self.x - margin, 0), max(self.y - margin, 0)
        return Box(x, y, min(self.right + margin, width) - x, min(self.bottom + margin, height) - y)

    @property
    def hash8(self) -> str:
        """First 8 hex digits of the SHA-1 over ASCII `x,y,w,h`; not unique across images."""
        return hashlib.sha1(f"{self.x},{self.y},{self.w},{self.h}".encode("ascii"), usedforsecurity=False).hexdigest()[
            :8
        ]


def is_hit(finding: Box, label: Box) -> bool:
    """Whether a finding contains a label's centre or has IoU >= 0.1 with it, and is at most 16 times as large."""
    if finding.area > 16 * label.area:
        return False
    return finding.contains(*label.center) or finding.iou(label) >= 0.1


def display_id(image_sha1: str, model: str, box: Box) -> str:
    """SCLIC's annotation id `imagehash8-model-boxhash8`; the key is (image_sha1, model, labeler, id)."""
    return f"{image_sha1[:8]}-{model}-{box.hash8}"


def _check_sha1(image_sha1: str) -> None:
    if not _SHA1.fullmatch(image_sha1):
        raise ValueError(f"image_sha1 needs 40 lower-case hex digits, got {image_sha1!r}")


def _check_name(name: str, value: str) -> None:
    if not value:
        raise ValueError(f"{name} must not be empty")


def _check_unit(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


def _check_time(name: str, value: str) -> None:
    if value and not _TIME.fullmatch(value):
        raise ValueError(f"{name} must be ISO-8601 in UTC such as 2025-10-27T09:30:00Z, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One box around one (candidate) miscompression, drawn by a person or found by a detector.

    `score` and the four decision nodes lie in [0, 1]; for `changed` and `relevant` more speaks for a
    miscompression, for `suspicion` and `expected` more speaks against one. People answer 0 (no), 0.5 (unsure)
    or 1 (yes), or leave them empty.
    """

    id: str
    filename: str
    """The original's file name as given to an audit, its SHA-1 name in a corpus."""
    image_sha1: str
    """SHA-1 of the original's file, 40 hex digits."""
    model: str
    """Codec and rate (`lucid@0.25bpp`, `03L` in a corpus), or `given`."""
    x: int
    y: int
    w: int
    h: int
    labeler: str
    origin: str
    version: str = ""
    category: str = ""
    """Upper case, the main one first: `SHAPE+AMPLITUDE`; empty when none was given."""
    symbol: bool = False
    multi: bool = False
    multi_kind: str = ""
    score: float | None = None
    changed: float | None = None
    relevant: float | None = None
    suspicion: float | None = None
    expected: float | None = None
    note: str = ""
    time: str = ""
    """ISO-8601 UTC; empty for detectors, so that the same input gives the same bytes."""

    def __post_init__(self) -> None:
        _check_sha1(self.image_sha1)
        for name in ("id", "filename", "model", "labeler"):
            _check_name(name, getattr(self, name))
        Box(self.x, self.y, self.w, self.h)
        if self.origin not in tuple(Origin):
            raise ValueError(f"origin must be one of {', '.join(Origin)}, got {self.origin!r}")
        if self.multi_kind and self.multi_kind not in tuple(MultiKind):
            raise ValueError(f"multi_kind must be empty or one of {', '.join(MultiKind)}, got {self.multi_kind!r}")
        split_categories(self.category)
        for name in ("score", "changed", "relevant", "suspicion", "expected"):
            _check_unit(name, getattr(self, name))
        _check_time("time", self.time)

    @property
    def box(self) -> Box:
        """The annotated pixels."""
        return Box(self.x, self.y, self.w, self.h)

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories, the main one first."""
        return split_categories(self.category)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One reconstruction of one image: its size, rate and quality (SCLIC's second table).

    `bpp` is real: 8 * bytes on disk / pixels, `None` where no file is known. `psnr` is in dB, for this
    image alone; identical images give `inf`. `annotations` counts the rows of `annotations.csv`.
    """

    filename: str
    image_sha1: str
    model: str
    width: int
    height: int
    source: str = ""
    bpp: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    annotations: int = 0
    multi: bool = False

    def __post_init__(self) -> None:
        _check_sha1(self.image_sha1)
        for name in ("filename", "model"):
            _check_name(name, getattr(self, name))
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image needs width, height >= 1, got {self.width} x {self.height}")
        if self.bpp is not None and not (self.bpp > 0 and math.isfinite(self.bpp)):
            raise ValueError(f"bpp must be positive, got {self.bpp}")
        if self.psnr is not None and not self.psnr >= 0:
            raise ValueError(f"psnr must be >= 0 dB, got {self.psnr}")
        for name in ("ssim", "ms_ssim"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ValueError(f"{name} must lie in [-1, 1], got {value}")
        if self.annotations < 0:
            raise ValueError(f"annotations must be >= 0, got {self.annotations}")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Who has seen which reconstruction, and when; without it empty units cannot be counted."""

    filename: str
    image_sha1: str
    model: str
    labeler: str
    batch: str = ""
    opened: str = ""
    closed: str = ""

    def __post_init__(self) -> None:
        _check_sha1(self.image_sha1)
        for name in ("filename", "model", "labeler"):
            _check_name(name, getattr(self, name))
        _check_time("opened", self.opened)
        _check_time("closed", self.closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A codec at a setting. `target_bpp` is what was asked for, never what was reached."""

    model: str
    codec: str
    setting: str = ""
    target_bpp: float | None = None
    weights_sha256: str = ""
    seed: int | None = None
    version: str = ""

    def __post_init__(self) -> None:
        for name in ("model", "codec"):
            _check_name(name, getattr(self, name))
        if self.target_bpp is not None and not (self.target_bpp > 0 and math.isfinite(self.target_bpp)):
            raise ValueError(f"target_bpp must be positive, got {self.target_bpp}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What was planted behind one row of `annotations.csv` or `negatives.csv`.

    The two share (image_sha1, model, id).
    """

    id: str
    kind: str
    strength: float
    """(0, 1]; 1 is plainest."""
    seed: int
    source: str
    """File name of the photograph that it was made from."""
    image_sha1: str
    model: str
    label: bool
    """Whether it is a miscompression; else a hard negative, or a word that a codec left unreadable."""

    def __post_init__(self) -> None:
        _check_sha1(self.image_sha1)
        for name in ("id", "model", "kind", "source"):
            _check_name(name, getattr(self, name))
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength must lie above 0 and be at most 1, got {self.strength}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What answered one question about a finding: a value in [0, 1], plain words, and the numbers behind them."""

    value: float
    words: str
    numbers: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_unit("value", self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A detector's annotation with the evidence per decision node (SCLIC Figure 3) and for its category."""

    annotation: Annotation
    changed: Evidence
    relevant: Evidence
    suspicion: Evidence
    expected: Evidence
    category: Evidence
    found_by: str
    """Which source proposed the region: `change`, `text`, `object` ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """Everything an audit says about one reconstruction of one image. Files are relative to the audit's folder."""

    row: ImageRow
    findings: tuple[Finding, ...]
    original_file: str
    """Lossless RGB picture of the original, as audited."""
    reconstruction_file: str
    """Lossless RGB picture of the reconstruction."""
    change_file: str
    """Grey picture of the change map (0 none, 255 certainly changed), at the pair's size or smaller."""
    stream_file: str = ""
    """The codec's own file, where the audit made it."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An input that could not be audited, and why."""

    name: str
    reason: str
