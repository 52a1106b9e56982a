"""How many labelled miscompressions of a real GAN codec the detector hits, beside a difference baseline.

Run: MISCOMP_DATA=... python studies/hific_hits.py
A label is hit by a finding that contains its centre or overlaps it by IoU >= 0.1 and is at most 16 times as large.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from miscomp.audit import audit_pair
from miscomp.detect.base import DetectSettings
from miscomp.images import Pixels, read
from miscomp.records import Box, is_hit

TOP = 20


def baseline(original: Pixels, reconstruction: Pixels, *, sigma: float = 4.0, percentile: float = 99.0) -> list[Box]:
    """Boxes of the connected areas where the blurred mean absolute difference is largest, strongest first."""
    difference = np.abs(original.astype(np.float32) - reconstruction).mean(2)
    smooth = ndimage.gaussian_filter(difference, sigma)
    labelled, _ = ndimage.label(smooth > np.percentile(smooth, percentile))
    areas = ndimage.find_objects(labelled)
    strength = ndimage.maximum(smooth, labelled, range(1, len(areas) + 1))
    order = np.argsort(-np.asarray(strength), kind="stable")
    return [Box(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in (areas[i] for i in order)]


def main() -> None:
    """Print a line per label and the totals."""
    folder = Path(os.environ["MISCOMP_DATA"]) / "pairs" / "hific"
    original = read(folder / "originals" / "clocktower.webp")
    reconstruction = read(folder / "reconstructions" / "clocktower.webp")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        labels = [(Box(*(int(row[k]) for k in "xywh")), row["note"]) for row in csv.DictReader(file)]
    for text in (False, True):
        found = audit_pair(
            original.pixels,
            reconstruction.pixels,
            filename="clocktower.webp",
            image_sha1=original.image_sha1,
            model="given",
            settings=DetectSettings(text=text),
        )
        boxes = [finding.annotation.box for finding in found.findings[:TOP]]
        _report(f"detector, text {'on' if text else 'off'}", boxes, labels)
    _report("blurred absolute difference", baseline(original.pixels, reconstruction.pixels)[:TOP], labels)


def _report(name: str, boxes: list[Box], labels: list[tuple[Box, str]]) -> None:
    hits = 0
    print(f"{name}: best {len(boxes)} boxes")
    for label, note in labels:
        ranks = [rank for rank, box in enumerate(boxes, 1) if is_hit(box, label)]
        hits += bool(ranks)
        print(f"  {'hit at rank ' + str(ranks[0]) if ranks else 'missed':15}  {note}")
    print(f"  {hits} of {len(labels)} labels hit")


if __name__ == "__main__":
    main()
