"""How well `miscomp secure locate` finds what was put into pictures of slic: IoU with the known masks.

Run: MISCOMP_DATA=... python studies/slic_locate.py -o FOLDER [PHOTOS ...] [--each 5] [--weights W --calibration C]
Photographs (default: Kodak) are coded; then a part of 3 to 20 % is replaced by a splice of another photograph, an
inpainting, or a redrawn version of the uncoded original. Every second forgery is saved as PNG, the others as JPEG 90.
Writes forgeries.csv (a row for each), summary.json and the first overlays; prints mean IoU with 95 % bootstrap
intervals over photographs. A forgery that is not found counts as an IoU of 0. Kodak is for measuring only: the
calibration must come from other photographs.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from kodak import kodak

from miscomp.benchmark.bootstrap import draws, figure
from miscomp.images import Pixels, list_images, read, write_png
from miscomp.secure.calibration import Calibration, read_calibration, weights_sha256
from miscomp.secure.codec import SecureCodec, open_secure, through
from miscomp.secure.forgeries import KINDS, Mask, inpaint, redraw, region, splice
from miscomp.secure.locate import iou, locate, overlay

HOW = ("splice", "inpaint", "redraw")
LEAST, MOST = 0.03, 0.2
BANDS = ((0.03, 0.06), (0.06, 0.12), (0.12, 0.2))
RESAMPLES = 2000
SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One forgery and what was found in it."""

    photograph: str
    number: int
    kind: str
    region: str
    share: float
    """Of the picture, in truth."""
    format: str
    answer: str
    places: int
    found_share: float
    iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Forgeries of one sort."""

    n: int
    photographs: int
    found: int
    """Those in which anything that is foreign was found."""
    mean: float
    interval: list[float] | None


def main() -> None:
    """Make forgeries, locate them, compare with the masks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="*", type=Path, help="default: kodak in $MISCOMP_DATA")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--each", type=int, default=5, help="forgeries of each photograph")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--calibration", type=Path)
    options = parser.parse_args()
    files = [file for path in options.photographs for file in list_images(path)] or kodak(parser)
    if len(files) < 2 or options.each < 1:
        parser.error("two or more photographs are needed, and one or more forgeries of each")
    secure, calibration = open_secure(options.weights), read_calibration(options.calibration)
    print(calibration.problem(secure) or f"{secure.label}, calibrated")
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for turn, file in enumerate(files):
        donor = read(files[(turn + 1) % len(files)]).pixels
        rows += _of_photograph(file, donor, secure, calibration, options, turn)
        _write(options.output / "forgeries.csv", rows)
        print(f"{turn + 1} of {len(files)}: mean IoU so far {np.mean([row.iou for row in rows]):.3f}", flush=True)
    summary = _summary(rows)
    record = {
        "codec": secure.label,
        "weights_sha256": weights_sha256(secure),
        "mean_iou": {name: asdict(one) for name, one in summary.items()},
    }
    (options.output / "summary.json").write_text(json.dumps(record, indent=1) + "\n")
    for name, one in summary.items():
        ends = "no interval" if one.interval is None else " to ".join(f"{end:.3f}" for end in one.interval)
        print(f"{name:>14}: mean IoU {one.mean:.3f} ({ends}), found {one.found} of {one.n}")


def _of_photograph(
    file: Path,
    donor: Pixels,
    secure: SecureCodec,
    calibration: Calibration,
    options: argparse.Namespace,
    turn: int,
) -> list[Forgery]:
    original = read(file).pixels
    coded = secure.again(original)
    rows = []
    for each in range(options.each):
        number = turn * options.each + each
        rng = np.random.default_rng((options.seed, number))
        share = math.exp(rng.uniform(math.log(LEAST), math.log(MOST)))
        kind, shape = HOW[number % len(HOW)], KINDS[number // len(HOW) % len(KINDS)]
        seed = int(rng.integers(2**31))
        mask = region(*coded.shape[:2], share=share, seed=seed, kind=shape)
        forged = _forge(kind, coded, original, donor, mask, seed)
        saved = ("png", "jpeg")[number % 2]
        if saved == "jpeg":
            forged = through("jpeg", forged, 90)
        found = locate(forged, secure, calibration)
        if number < SHOWN:
            write_png(
                options.output / f"{number:03d}-{kind}-{saved}.png", _beside(forged, mask, overlay(forged, found))
            )
        rows.append(
            Forgery(
                photograph=file.name,
                number=number,
                kind=kind,
                region=shape,
                share=float(mask.mean()),
                format=saved,
                answer=found.verdict.answer,
                places=len(found.places),
                found_share=float(found.mask.mean()),
                iou=iou(found.mask, mask),
            )
        )
    return rows


def _forge(kind: str, coded: Pixels, original: Pixels, donor: Pixels, mask: Mask, seed: int) -> Pixels:
    if kind == "splice":
        return splice(coded, donor, mask)
    return inpaint(coded, mask, seed=seed) if kind == "inpaint" else redraw(coded, mask, original, seed=seed)


def _beside(forged: Pixels, mask: Mask, shown: Pixels) -> Pixels:
    truth = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    return np.ascontiguousarray(np.concatenate([forged, truth, shown], 1))


def _summary(rows: Sequence[Forgery]) -> dict[str, Group]:
    groups = {"all": list(rows)}
    groups |= {kind: [row for row in rows if row.kind == kind] for kind in HOW}
    groups |= {name: [row for row in rows if row.format == name] for name in ("png", "jpeg")}
    for low, high in BANDS:
        groups[f"{low:.0%} to {high:.0%}"] = [row for row in rows if low <= row.share < high]
    return {name: _mean(group) for name, group in groups.items() if group}


def _mean(rows: Sequence[Forgery]) -> Group:
    """Mean IoU over forgeries, resampled by photograph."""
    names = sorted({row.photograph for row in rows})
    sums = np.array([sum(row.iou for row in rows if row.photograph == name) for name in names])
    numbers = np.array([sum(row.photograph == name for row in rows) for name in names])
    counts = draws(len(names), RESAMPLES, np.random.default_rng(0))
    interval = figure((counts @ sums) / (counts @ numbers), len(names)).interval
    return Group(
        n=len(rows),
        photographs=len(names),
        found=sum(row.iou > 0 for row in rows),
        mean=float(sums.sum() / len(rows)),
        interval=None if interval is None else [end for end in interval if end is not None],
    )


def _write(path: Path, rows: Sequence[Forgery]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Forgery)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
