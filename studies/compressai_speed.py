"""CompressAI and miscomp side by side in one run, with the same random weights: Markdown tables of times and ratios.

Each runs in a process of its own that is started before and warmed up; the two take turns (A B A B ...), so that
whatever else the machine does meets both alike. Times are from pixels in memory to coded bytes in memory and back.
miscomp's include its container, checksums and checks; CompressAI codes to bare strings. Weights are by formula:
latents spread over many scales, at rates of about 1 bpp.

    python studies/compressai_speed.py --compressai-python ../other/bin/python
    python studies/compressai_speed.py kodim01.png --codecs mbt2018 --repetitions 3 --only theirs
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from compressai_side import ARCHITECTURES, Side, WorkerError, random_weights
from kodak import kodak

from miscomp import images
from miscomp.images import Pixels

DEFAULT = ("bmshj2018-hyperprior", "mbt2018", "cheng2020-anchor")
QUALITY = 3
WORK = ("encode", "decode")
PARTS = {"encode": ("g_a", "h_a", "coding"), "decode": ("coding", "g_s")}
"""`coding` is all else: entropy coder, h_s, context model; of ours the container too."""

Answers = dict[str, dict[str, list[dict[str, Any]]]]
"""By side and by kind of work."""


def measured(sides: list[Side], picture: Path, *, repetitions: int, folder: Path) -> Answers:
    """All sides on one picture, in turn. Raises `WorkerError`."""
    answers: Answers = {side.name: {do: [] for do in WORK} for side in sides}
    for repetition in range(repetitions + 1):
        print(f"repetition {repetition} of {repetitions} (0 warms up)", file=sys.stderr)
        for side in sides:
            for do in WORK:
                coded = folder / f"{side.name}.coded"
                answer = side.ask(do, picture=str(picture), coded=str(coded))
                if repetition:
                    answers[side.name][do].append(answer)
    return answers


def median(answers: list[dict[str, Any]], part: str | None) -> float:
    """Seconds of a part, or in all; NaN for a part that the codec has not."""
    seconds = [one["seconds"] if part is None else one["parts"].get(part, float("nan")) for one in answers]
    return float(statistics.median(seconds))


def cells(answers: Answers, do: str, part: str | None) -> list[str]:
    """A median and its range for each side, and CompressAI's over ours."""
    found, medians = [], {}
    for name, of_side in answers.items():
        medians[name] = median(of_side[do], part)
        if part is None:
            seconds = [one["seconds"] for one in of_side[do]]
            found.append(f"{medians[name]:.3f} ({min(seconds):.3f} - {max(seconds):.3f})")
        else:
            found.append("n/a" if np.isnan(medians[name]) else f"{medians[name]:.3f}")
    if len(medians) == 2:
        ratio = medians["theirs"] / medians["ours"]
        found.append("n/a" if np.isnan(ratio) else f"{ratio:.2f}")
    return found


def table(architecture: str, answers: Answers, pixels: Pixels) -> str:
    """All parts of one architecture."""
    height, width = pixels.shape[:2]
    heads = {"theirs": "CompressAI s", "ours": "miscomp s"}
    columns = [heads[name] for name in answers] + (["CompressAI / miscomp"] if len(answers) == 2 else [])
    count = len(next(iter(answers.values()))["encode"])
    rates = [f"{heads[name][:-2]} {8 * of['encode'][0]['bytes'] / height / width:.3f}" for name, of in answers.items()]
    lines = [
        f"\n{architecture}, quality {QUALITY} {ARCHITECTURES[architecture][QUALITY]}, {width} x {height}, medians of "
        f"{count} (min - max); real bpp: {', '.join(rates)}\n",
        f"| work | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for do in WORK:
        lines.append(f"| {do} | {' | '.join(cells(answers, do, None))} |")
        lines += [f"| {do}: {part} | {' | '.join(cells(answers, do, part))} |" for part in PARTS[do]]
    return "\n".join(lines)


def facts() -> str:
    """The machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"; load average at the start {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    return f"Machine: {names[0] if names else platform.processor() or 'CPU unknown'}, {cores} cores{load}."


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", help="default: the first of kodak in $MISCOMP_DATA")
    parser.add_argument("--compressai-python", default=sys.executable, help="an interpreter that has compressai")
    parser.add_argument("--codecs", nargs="+", choices=ARCHITECTURES, default=DEFAULT, help="default: three")
    parser.add_argument("--repetitions", type=int, default=7, help="default: 7")
    parser.add_argument("--threads", type=int, default=2, help="of torch, in both (default: 2)")
    parser.add_argument("--large-pages-for-both", action="store_true", help="not only for miscomp, which asks for them")
    parser.add_argument("--only", choices=["theirs", "ours"], help="one side alone, without ratios")
    options = parser.parse_args()
    options.picture = options.picture or kodak(parser)[0]
    if options.repetitions < 1:
        parser.error("repetitions must be at least 1")
    return options


def main() -> None:
    """Print the tables on stdout; progress goes to stderr."""
    options = arguments()
    # OpenMP reads it when a worker starts.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    pixels = images.read(options.picture).pixels
    print(facts())
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        folder = Path(scratch)
        np.save(folder / "source.npy", pixels)
        # CompressAI always runs: the names and shapes of the weights are its own.
        both = options.large_pages_for_both
        theirs = running.enter_context(
            Side("theirs", python=options.compressai_python, threads=options.threads, large_pages=both)
        )
        ours = (
            []
            if options.only == "theirs"
            else [running.enter_context(Side("ours", threads=options.threads, large_pages=True))]
        )
        sides = [*([] if options.only == "ours" else [theirs]), *ours]
        print("\n".join(f"- {side.about}" for side in sides), flush=True)
        try:
            for architecture in options.codecs:
                print(architecture, file=sys.stderr)
                weights = random_weights(theirs, architecture, ARCHITECTURES[architecture][QUALITY], folder)
                for side in sides:
                    side.ask("load", architecture=architecture, state=str(weights))
                answers = measured(sides, folder / "source.npy", repetitions=options.repetitions, folder=folder)
                print(table(architecture, answers, pixels), flush=True)
        except WorkerError as error:
            sys.exit(f"compressai_speed: {error}")


if __name__ == "__main__":
    main()
