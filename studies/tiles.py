"""Large pictures through the codecs of the papers: time, memory, and whether working in blocks leaves seams.

Markdown tables: a picture of 6000 x 4000 pixels through the light codecs; for all of them, 768 x 512 decoded whole and
in forced small blocks; and memory beside what is worked on at once, from three sizes. Each row is a process of its own.

Widths are the published ones, weights are random, by the tests' formulas: times, memory and what a network can see do
not depend on them. How visible a difference is does: what random networks make of a picture is mostly texture.

    python studies/tiles.py
    python studies/tiles.py --parts seams --codecs stf hific
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from kodak import kodak
from mosaic import mosaic
from safetensors.torch import save_file
from torch import Tensor

# The formulas of the random weights are the tests' own.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fakes"))

import tiny_cdc
import tiny_hific
import tiny_stf
from formula_weights import formula_state

from miscomp import images
from miscomp.codecs.blockwise import blocks
from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.catalog import network_from_state
from miscomp.codecs.networks.cheng import Cheng2020Anchor, Cheng2020Attention
from miscomp.codecs.networks.context import JointAutoregressive
from miscomp.codecs.networks.hific import HificWidths
from miscomp.codecs.networks.hyperprior import FactorizedPrior, MeanScaleHyperprior, ScaleHyperprior
from miscomp.codecs.networks.stf import Stf
from miscomp.images import Pixels

State = dict[str, Tensor]

PARTS = ("large", "seams", "memory")
LARGE = (4000, 6000)
LIGHT = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018")
FORCED = 16
"""Latents a side of forced blocks: 256 pixels."""
NEAR = 8
"""Pixels on each side of a border between blocks that count as near it."""
STEPS = {"seams": 2, "memory": 1}
"""Of cdc's decoder; it takes 65 in use. Memory does not depend on them."""
SIDES = (256, 512, 768)
"""Of the square pictures of the memory model; each is one block."""


def by_formula(build: Callable[[], Network]) -> State:
    """A state dict with the layout of CompressAI's."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    return formula_state(shapes)


def stf_state() -> State:
    """At the published widths."""
    with torch.device("meta"):
        wanted = Stf().state_dict()
    return {name: tiny_stf._tensor(name, *tensor.shape) for name, tensor in wanted.items()}


STATES: Mapping[str, Callable[[], State]] = {
    "bmshj2018-factorized": partial(by_formula, lambda: FactorizedPrior(128, 192)),
    "bmshj2018-hyperprior": partial(by_formula, lambda: ScaleHyperprior(128, 192)),
    "mbt2018-mean": partial(by_formula, lambda: MeanScaleHyperprior(128, 192)),
    "mbt2018": partial(by_formula, lambda: JointAutoregressive(192, 192)),
    "cheng2020-anchor": partial(by_formula, lambda: Cheng2020Anchor(128)),
    "cheng2020-attn": partial(by_formula, lambda: Cheng2020Attention(128)),
    "stf": stf_state,
    "hific": lambda: dict(tiny_hific.tiny(widths=HificWidths(), normalised=True).state_dict()),
    "cdc": lambda: tiny_cdc.formula_state(tiny_cdc.shapes_of(64)),
}
"""Widths of quality 3, where they differ between qualities."""


class Coded(NamedTuple):
    """What a process took, and where its results lie."""

    took: dict[str, Any]
    coded: Path
    decoded: Path

    @property
    def x_hat(self) -> Pixels:
        """The decoded picture."""
        pixels: Pixels = np.load(self.decoded)
        return pixels

    def cells(self) -> list[str]:
        """Seconds and peak MB, to encode and to decode."""
        works = (self.took["encode"], self.took["decode"])
        return [f"{work['seconds']:.1f}" for work in works] + [f"{work['peak']:.0f}" for work in works]


class Subject:
    """A codec with weights in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        folder.mkdir()
        self._weights = folder / "weights.safetensors"
        state = STATES[name]()
        self.network = network_from_state(name, state)
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, self._weights)

    def code(
        self, pixels: Pixels, *, steps: int = 0, block: int | None = None, start: Path | None = None, label: str = "one"
    ) -> Coded:
        """Encode and decode in a fresh process. Raises `CalledProcessError`; the process's words are on stderr."""
        print(f"{self.name}: {pixels.shape[1]} x {pixels.shape[0]}, {label}", file=sys.stderr)
        source, coded, decoded = (self._folder / f"{label}.{end}" for end in ("source.npy", "misc", "decoded.npy"))
        np.save(source, pixels)
        script = str(Path(__file__).with_name("tiles_worker.py"))
        command = [sys.executable, script, self.name, *map(str, (self._weights, source, coded, decoded))]
        command += [] if block is None else ["--block", str(block)]
        command += [] if start is None else ["--start", str(start)]
        command += ["--steps", str(steps)] if self.network.seeded else []
        # As miscomp's command line asks for.
        environment = os.environ | {"THP_MEM_ALLOC_ENABLE": "1"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        return Coded(json.loads(done.stdout), coded, decoded)

    def megapixels(self, height: int, width: int, *, block: int | None = None, decoding: bool = True) -> float:
        """Most that is worked on at once."""
        network = self.network
        reach = network.blended or (network.synthesis_reach if decoding else network.analysis_reach)
        multiple = network.stride * network.hyper
        rows, columns = (-(-side // multiple) * network.hyper for side in (height, width))
        found = blocks(rows, columns, most=block or network.block, reach=reach, align=network.align)
        sides = [[part.computed.stop - part.computed.start for part in one] for one in found]
        most: int = max(one[0] * one[1] for one in sides)
        return most * network.stride**2 / 1e6


def borders(subject: Subject, length: int) -> list[int]:
    """Pixels at which forced blocks begin along a side, but for the first."""
    network = subject.network
    found = blocks(length // network.stride, 1, most=FORCED, reach=0, align=network.align)
    return [block.rows.kept.start * network.stride for block in found[1:]]


def jump(pixels: Pixels, rows: list[int], columns: list[int]) -> tuple[float, float]:
    """Mean step between neighbouring pixels across the borders, and everywhere else."""
    across: list[npt.NDArray[np.float64]] = []
    elsewhere: list[npt.NDArray[np.float64]] = []
    for axis, places in enumerate((rows, columns)):
        steps = np.abs(np.diff(pixels.astype(np.float64), axis=axis)).mean(axis=(1 - axis, 2))
        at = [place - 1 for place in places]
        across.append(steps[at])
        elsewhere.append(np.delete(steps, at))
    return float(np.concatenate(across).mean()), float(np.concatenate(elsewhere).mean())


def seam_cells(subject: Subject, whole: Coded, forced: Coded) -> list[str]:
    """Differences between the two pictures, where they lie, and how the steps at borders compare."""
    one, two = whole.x_hat, forced.x_hat
    apart = np.abs(one.astype(np.int64) - two)
    rows, columns = (borders(subject, side) for side in one.shape[:2])
    near = np.zeros(one.shape[:2], dtype=bool)
    for place in rows:
        near[place - NEAR : place + NEAR] = True
    for place in columns:
        near[:, place - NEAR : place + NEAR] = True
    changed = apart.max(axis=2) > 0
    share = f"{100 * near[changed].mean():.1f} ({100 * near.mean():.1f})" if changed.any() else "none"
    steps = ["{:.3f} / {:.3f}".format(*jump(picture, rows, columns)) for picture in (one, two)]
    same = "same" if whole.coded.read_bytes() == forced.coded.read_bytes() else "other"
    return [same, str(apart.max()), f"{apart.mean():.4f}", f"{100 * changed.mean():.3f}", share, *steps]


def large_table(subjects: list[Subject], pictures: list[Pixels]) -> Iterator[str]:
    """A picture of 24 megapixels."""
    height, width = LARGE
    pixels = mosaic(pictures, 1.0001 * (max(height * 4 / 3, width) * max(width * 3 / 4, height)) / 1e6)
    pixels = np.ascontiguousarray(pixels[:height, :width])
    yield from (
        f"\nA mosaic of photographs, {width} x {height} ({width * height / 1e6:.0f} MP); loaded: what the process held "
        "before it encoded:\n",
        "| codec | bpp | at once MP | encode s | decode s | encode peak MB | decode peak MB | loaded MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    )
    for subject in subjects:
        one = subject.code(pixels, label="large")
        cells = [f"{one.took['bpp']:.2f}", f"{subject.megapixels(height, width):.2f}", *one.cells()]
        yield f"| {subject.name} | {' | '.join(cells)} | {one.took['encode']['before']:.0f} |"


def seam_tables(subjects: list[Subject], pixels: Pixels) -> Iterator[str]:
    """One file decoded whole and in forced blocks."""
    height, width = pixels.shape[:2]
    yield from (
        f"\nOne file of {width} x {height} decoded whole and in blocks of {FORCED} x {FORCED} latents "
        f"({16 * FORCED} pixels); largest and mean difference of values 0 to 255; cdc in {STEPS['seams']} steps. File: "
        f"whether encoding in blocks gives the same. Near: within {NEAR} pixels of a border between blocks, beside the "
        "share of all pixels that lie there. Steps: mean difference between neighbouring pixels across a border / "
        "everywhere else.\n",
        "| codec | file | largest | mean | pixels that differ % | of them near % | steps, whole | in blocks |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    )
    costs = [
        "\nWhat they took:\n",
        "| codec | worked on | at once MP | encode s | decode s | encode peak MB | decode peak MB | loaded MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for subject in subjects:
        whole = subject.code(pixels, steps=STEPS["seams"], label="whole", block=max(height, width) // 16)
        forced = subject.code(pixels, steps=STEPS["seams"], label="forced", block=FORCED, start=whole.coded)
        yield f"| {subject.name} | {' | '.join(seam_cells(subject, whole, forced))} |"
        for label, one, block in (("whole", whole, max(height, width)), ("blocks", forced, FORCED)):
            cells = [f"{subject.megapixels(height, width, block=block):.2f}", *one.cells()]
            costs.append(f"| {subject.name} | {label} | {' | '.join(cells)} | {one.took['encode']['before']:.0f} |")
    yield from costs


def memory_table(subjects: list[Subject], picture: Pixels) -> Iterator[str]:
    """Peak memory as a straight line through three sizes."""
    sizes = ", ".join(f"{side} x {side}" for side in SIDES)
    yield from (
        f"\nMemory model: peak MB = base + slope x megapixels worked on at once, least squares through {sizes}; base "
        "is interpreter, libraries and weights. Off: the largest distance of the three from the line. At once: most "
        "that the codec works on by default, its surroundings included, however large the picture is.\n",
        "| codec | work | peaks MB | base MB | slope MB per MP | off MB | at once MP | base + slope x at once MB |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    )
    for subject in subjects:
        found = [
            subject.code(np.ascontiguousarray(picture[:side, :side]), steps=STEPS["memory"], label=f"{side}").took
            for side in SIDES
        ]
        for do in ("encode", "decode"):
            peaks = np.array([one[do]["peak"] for one in found])
            megapixels = np.array([side * side / 1e6 for side in SIDES])
            slope, base = np.polyfit(megapixels, peaks, 1)
            off = np.abs(base + slope * megapixels - peaks).max()
            most = subject.megapixels(*LARGE, decoding=do == "decode")
            cells = [", ".join(f"{peak:.0f}" for peak in peaks), f"{base:.0f}", f"{slope:.0f}", f"{off:.0f}"]
            yield f"| {subject.name} | {do} | {' | '.join(cells)} | {most:.2f} | {base + slope * most:.0f} |"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pictures", type=Path, nargs="*", help="the first is 768 x 512; default: kodak in $MISCOMP_DATA"
    )
    parser.add_argument("--codecs", nargs="+", choices=STATES, default=list(STATES), help="default: all")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    options = parser.parse_args()
    options.pictures = options.pictures or kodak(parser)
    if not Path("/proc/self/clear_refs").exists():
        parser.error("peak memory is counted anew for each work; that needs Linux")
    return options


def main() -> None:
    """Print the tables on stdout; progress goes to stderr."""
    options = arguments()
    # OpenMP reads it when a worker starts.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    pictures = [images.read(path).pixels for path in options.pictures]
    print(f"{options.threads} threads; load average at the start {os.getloadavg()[0]:.2f}. Weights are random.")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [name for name in options.codecs if name in LIGHT or set(options.parts) != {"large"}]
        subjects = [Subject(name, Path(scratch) / name) for name in wanted]
        light = [subject for subject in subjects if subject.name in LIGHT]
        square = mosaic(pictures, 4 / 3 * SIDES[-1] ** 2 / 1e6 * 1.01)
        tables = {
            "large": large_table(light, pictures),
            "seams": seam_tables(subjects, pictures[0]),
            "memory": memory_table(subjects, square),
        }
        for part in options.parts:
            for line in tables[part]:
                print(line, flush=True)


if __name__ == "__main__":
    main()
