"""A small imitation of the published SCLIC release, made from what its paper states; nobody saw the real files.

Two tables that merge by file name and model, and folders of pictures by model; its pictures are ramps.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora import picture, png

from miscomp.records import Box, display_id

SPELLED = {"03L": "HiFiC lo", "05L": "CDC 2048", "06L": "6L", "06H": "JPEG-AI 0.75bpp"}
"""The models of the imitation, and how its tables spell them."""
WIDTH, HEIGHT = 64, 48
BOXES = (Box(4, 6, 20, 10), Box(30, 8, 12, 30))
"""In every image at the low rate; the last one of the high rate too, where the picture is flagged."""

IMAGE_HEADER = (
    *("Filename", "Width", "Height", "Source Dataset", "Compression Model", "BPP", "PSNR", "SSIM", "MS-SSIM"),
    *("Number of annotations", "Multi-miscompressions"),
)
BOX_HEADER = ("ID", "Filename", "Compression Model", "X", "Y", "Width", "Height")


@dataclass(frozen=True, slots=True)
class Release:
    """Where the imitation lies and what it holds."""

    folder: Path
    sha1s: tuple[str, ...]
    images: list[list[str]]
    boxes: list[list[str]]

    @property
    def image_table(self) -> Path:
        return self.folder / "sclic_images.csv"

    @property
    def box_table(self) -> Path:
        return self.folder / "sclic_annotations.csv"

    def write(
        self,
        *,
        image_header: Sequence[str] = IMAGE_HEADER,
        box_header: Sequence[str] = BOX_HEADER,
        delimiter: str = ",",
    ) -> None:
        """Write both tables as they stand now."""
        for path, header, rows in (
            (self.image_table, image_header, self.images),
            (self.box_table, box_header, self.boxes),
        ):
            write_rows(path, [header, *rows], delimiter=delimiter)


def write_rows(path: Path, rows: Iterable[Sequence[str]], *, delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def imitation(folder: Path, *, images: int = 3, pictures: bool = False) -> Release:
    """Make it. With pictures, `06L` and `06H` have compressed files too, as `05L`, a diffusion codec, has not."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = [png(picture(seed, width=WIDTH, height=HEIGHT)) for seed in range(images)]
    release = Release(folder, tuple(hashlib.sha1(one, usedforsecurity=False).hexdigest() for one in contents), [], [])
    for number, (sha1, content) in enumerate(zip(release.sha1s, contents, strict=True)):
        if pictures:
            _put(folder / "uncompressed" / sha1[:2] / f"{sha1}.png", content)
        for place, (model, spelled) in enumerate(SPELLED.items()):
            boxes = BOXES[-1:] if model == "06H" else BOXES
            stream = bytes(300 + number) if model in ("06L", "06H") else b""
            bpp = 8 * (300 + number) / (WIDTH * HEIGHT)
            flag = "1" if model == "06H" else "0"
            release.images.append(
                [
                    *(f"{sha1}.png", str(WIDTH), str(HEIGHT), "RAISE", spelled),
                    *(repr(bpp), "28.5", "0.91", "0.97", str(len(boxes)), flag),
                ]
            )
            for box in boxes:
                name = display_id(sha1, model, box).replace("-06L-", "-6L-")
                cells = [str(box.x), str(box.y), f"{box.w}.0", str(box.h)]
                release.boxes.append([name, f"{sha1}.png", spelled, *cells])
            if pictures:
                made = png(picture(100 * number + place + 1, width=WIDTH, height=HEIGHT))
                _put(folder / spelled / "reconstructed" / sha1[:2] / f"{sha1}.png", made)
                if stream:
                    _put(folder / spelled / "compressed" / sha1[:2] / f"{sha1}.bits", stream)
    release.write()
    return release


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
