"""The rows and pictures of one photograph's pairs, kept as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from miscomp.images import Picture, Pixels, pixel_sha256, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim
from miscomp.pairs import hash_file
from miscomp.pairset import original_path, reconstruction_path
from miscomp.plant.request import PLANTER_VERSION
from miscomp.records import Annotation, Box, ImageRow, Plant, display_id
from miscomp.taxonomy import Category, Origin

LABELER = "plant"


@dataclass
class Rows:
    """Everything written about one photograph so far."""

    folder: Path
    photograph: str
    """Its file name."""
    images: list[ImageRow] = field(default_factory=list)
    labels: list[Annotation] = field(default_factory=list)
    negatives: list[Annotation] = field(default_factory=list)
    unreadable: list[Annotation] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def original(self, pixels: Pixels, filename: str) -> Picture:
        """Write an original; its hash in the tables is that of the file written here."""
        path = original_path(self.folder, filename)
        self._write(path, pixels)
        return Picture(pixels, path, hash_file(path)[0], pixel_sha256(pixels), path.stat().st_size)

    def beside(self, original: Picture, pixels: Pixels) -> Picture:
        """A changed picture that goes to the codecs in the original's place and is not kept."""
        return Picture(pixels, original.path, original.image_sha1, pixel_sha256(pixels), original.size_bytes)

    @contextmanager
    def pair(
        self, original: Picture, pixels: Pixels, *, model: str, source: str, bpp: float | None = None
    ) -> Iterator[PairRows]:
        """Write a reconstruction, take the rows of its labels, and measure it against the original."""
        filename = original.path.name
        self._write(reconstruction_path(self.folder, model, filename), pixels)
        before = len(self.labels)
        yield PairRows(self, original, model)
        self.images.append(
            ImageRow(
                filename=filename,
                image_sha1=original.image_sha1,
                model=model,
                width=original.width,
                height=original.height,
                source=source,
                bpp=bpp,
                psnr=psnr_pixels(original.pixels, pixels),
                ssim=ssim(original.pixels, pixels),
                ms_ssim=ms_ssim(original.pixels, pixels),
                annotations=len(self.labels) - before,
            )
        )

    def sheet(self, pixels: Pixels, stem: str) -> None:
        """Write the sheet that shows what was planted."""
        self._write(self.folder / "sheets" / f"{stem}.png", pixels)

    def _write(self, path: Path, pixels: Pixels) -> None:
        path.parent.mkdir(exist_ok=True)
        write_png(path, pixels)
        self.files.append(path.relative_to(self.folder).as_posix())


@dataclass(frozen=True)
class PairRows:
    """What is known about one pair's places."""

    rows: Rows
    original: Picture
    model: str

    def label(self, box: Box, *, kind: str, strength: float, seed: int, category: str, symbol: bool, note: str) -> None:
        """A place that lost its meaning."""
        self.rows.labels.append(self._annotation(box, category=category, symbol=symbol, note=note))
        self._plant(box, kind, strength, seed, label=True)

    def negative(self, box: Box, *, kind: str, strength: float, seed: int, note: str = "") -> None:
        """A place that changed and kept its meaning."""
        self.rows.negatives.append(self._annotation(box, note=note))
        self._plant(box, kind, strength, seed, label=False)

    def known(
        self,
        box: Box,
        outcome: Literal["label", "negative", "unreadable"],
        *,
        kind: str,
        seed: int,
        note: str,
    ) -> None:
        """A known word after coding; nothing graded it, so its strength is 1."""
        if outcome == "label":
            self.label(box, kind=kind, strength=1.0, seed=seed, category=Category.SHAPE.value, symbol=True, note=note)
        elif outcome == "negative":
            self.negative(box, kind=kind, strength=1.0, seed=seed, note=note)
        else:
            self.rows.unreadable.append(self._annotation(box, note=note))
            self._plant(box, kind, 1.0, seed, label=False)

    def _annotation(self, box: Box, *, category: str = "", symbol: bool = False, note: str = "") -> Annotation:
        return Annotation(
            id=display_id(self.original.image_sha1, self.model, box),
            filename=self.original.path.name,
            image_sha1=self.original.image_sha1,
            model=self.model,
            x=box.x,
            y=box.y,
            w=box.w,
            h=box.h,
            labeler=LABELER,
            origin=Origin.TRUTH.value,
            version=PLANTER_VERSION,
            category=category,
            symbol=symbol,
            note=note,
        )

    def _plant(self, box: Box, kind: str, strength: float, seed: int, *, label: bool) -> None:
        self.rows.plants.append(
            Plant(
                id=display_id(self.original.image_sha1, self.model, box),
                kind=kind,
                strength=strength,
                seed=seed,
                source=self.rows.photograph,
                image_sha1=self.original.image_sha1,
                model=self.model,
                label=label,
            )
        )
