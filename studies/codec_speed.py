"""How fast codecs are and how much memory they take, side by side in one run: Markdown tables.

Times are those of real bytes in memory, entropy coding included, without reading and writing files. Each codec runs
in a process of its own that is started before and warmed up; the codecs take turns (A B C A B C ...), so that
whatever else the machine does meets all alike. Memory is the peak of a fresh process that encodes or decodes one
picture: interpreter, libraries and pixels included.

The catalogue's codecs run as the catalogue sets them, at the quality that comes closest to --bpp on the first
picture; avif-plain and jpeg-xl-plain at the same qualities with Pillow's and the plugin's defaults, as many threads as
these like. hyperprior is CompressAI's bmshj2018-hyperprior at quality 3, or a stand-in with the same layers where
compressai cannot be imported.

    python studies/codec_speed.py --compressai-python ../other/bin/python
    python studies/codec_speed.py kodim01.png --megapixels 0 --codecs lucid jpeg --repetitions 2
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from kodak import kodak
from mosaic import mosaic
from PIL import features

from miscomp import images
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.rate import encode_at_bpp
from miscomp.errors import MiscompError
from miscomp.images import Pixels

NAMES = ("lucid", "jpeg-xl", "jpeg-xl-plain", "avif", "avif-plain", "webp", "jpeg", "hyperprior")
PLAIN = {"jpeg-xl-plain": "jpeg-xl", "avif-plain": "avif"}
LIBRARIES = ("miscomp", "torch", "numpy", "pillow", "pillow-jxl-plugin", "constriction", "compressai")


class WorkerError(Exception):
    """A codec's process ended; its own words are on stderr."""


class Setting(NamedTuple):
    """A codec's process as it is started."""

    name: str
    quality: float
    python: str
    weights: Path | None

    def command(self) -> list[str]:
        """The process's arguments."""
        worker = str(Path(__file__).with_name("codec_worker.py"))
        weights = [] if self.weights is None else ["--weights", str(self.weights)]
        return [self.python, worker, self.name, repr(self.quality), *weights]


class Worker:
    """A running codec; ends with the `with` block."""

    def __init__(self, setting: Setting) -> None:
        self._process = subprocess.Popen(setting.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._name = setting.name
        self.about: str = ""

    def __enter__(self) -> Worker:
        self.about = self._answer()["about"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Closing its input is what ends it.
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def ask(self, do: str, pixels: Path, coded: Path) -> dict[str, Any]:
        """Encode or decode once; the worker's answer. Raises `WorkerError`."""
        if self._process.stdin is None:
            raise WorkerError(f"{self._name} takes no requests")
        try:
            print(json.dumps({"do": do, "pixels": str(pixels), "coded": str(coded)}), file=self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self._name} ended early") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise WorkerError(f"{self._name} ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Measured:
    """What one codec took for one picture."""

    def __init__(self) -> None:
        self.seconds: Mapping[str, list[float]] = {"encode": [], "decode": []}
        self.peak_mb: dict[str, float] = {}
        self.bpp = 0.0

    def row(self, name: str, pixels: int) -> str:
        """A row of the table."""
        cells = ["n/a" if name == "hyperprior" else f"{self.bpp:.3f}"]
        for seconds in self.seconds.values():
            middle = statistics.median(seconds)
            cells += [f"{middle:.3f} ({min(seconds):.3f} - {max(seconds):.3f})", f"{pixels / 1e6 / middle:.2f}"]
        cells += [f"{self.peak_mb[do]:.0f}" if do in self.peak_mb else "failed" for do in self.seconds]
        return f"| {name} | {' | '.join(cells)} |"


def chosen(name: str, pixels: Pixels, bpp: float, options: argparse.Namespace) -> Setting:
    """The quality that comes closest to the rate on the first picture."""
    weights: Path | None = options.weights if name == "lucid" else None
    if name == "hyperprior":
        return Setting(name, 3, str(options.compressai_python or sys.executable), None)
    of = PLAIN.get(name, name)
    codec = Lucid(weights) if weights else open_codec(of)
    encoded = encode_at_bpp(codec, CODECS[of], pixels, bpp)
    if encoded.note:
        print(f"{name}: {encoded.note}", file=sys.stderr)
    return Setting(name, encoded.quality, sys.executable, weights)


def timed(settings: list[Setting], pixels: Pixels, *, repetitions: int, folder: Path) -> dict[str, Measured]:
    """All codecs on one picture, in turn; a codec that fails is left out, its words are on stderr."""
    source = folder / "source.npy"
    np.save(source, pixels)
    measured: dict[str, Measured] = {}
    with ExitStack() as running:
        workers: dict[str, Worker] = {}
        for setting in settings:
            try:
                workers[setting.name] = running.enter_context(Worker(setting))
                measured[setting.name] = Measured()
            except WorkerError as error:
                print(error, file=sys.stderr)
        for repetition in range(repetitions + 1):
            print(f"repetition {repetition} of {repetitions} (0 warms up)", file=sys.stderr)
            for name in list(workers):
                try:
                    for do, seconds in measured[name].seconds.items():
                        answer = workers[name].ask(do, source, folder / f"{name}.coded")
                        measured[name].bpp = 8 * answer["bytes"] / answer["pixels"]
                        if repetition:
                            seconds.append(answer["seconds"])
                except WorkerError as error:
                    print(error, file=sys.stderr)
                    del workers[name], measured[name]
    return measured


def peaks(setting: Setting, pixels: Pixels, folder: Path) -> dict[str, float]:
    """Peak memory in MB (10^6 bytes) to encode and to decode, each in a fresh process."""
    source, coded = folder / "source.npy", folder / "memory.coded"
    np.save(source, pixels)
    found: dict[str, float] = {}
    for do in ("encode", "decode"):
        try:
            with Worker(setting) as worker:
                found[do] = worker.ask(do, source, coded)["peak_bytes"] / 1e6
        except WorkerError as error:
            print(f"{error} (memory)", file=sys.stderr)
            break
    return found


def facts() -> str:
    """The machine and what runs on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{library} absent")
    coders = [f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "avif") if features.check(name)]
    load = f"; load average at the start {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Machine: {names[0] if names else platform.processor() or 'CPU unknown'}, {cores} cores, "
        f"{platform.system()}{load}.\nVersions: {', '.join(versions)}; in Pillow: {', '.join(coders)}."
    )


def time_table(title: str, settings: list[Setting], pixels: Pixels, *, repetitions: int, folder: Path) -> str:
    """Times and memory on one picture."""
    measured = timed(settings, pixels, repetitions=repetitions, folder=folder)
    for setting in settings:
        if setting.name in measured:
            measured[setting.name].peak_mb = peaks(setting, pixels, folder)
    height, width = pixels.shape[:2]
    times = f"median of {repetitions} (min - max)"
    lines = [
        f"\n{title}, {width} x {height} ({width * height / 1e6:.2f} MP), {times}:\n",
        "| codec | real bpp | encode s | encode MP/s | decode s | decode MP/s | encode peak MB | decode peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(one.row(name, width * height) for name, one in measured.items()),
    ]
    return "\n".join(lines)


def memory_table(settings: list[Setting], pixels: Pixels, folder: Path) -> str:
    """Memory alone."""
    lines = [
        f"\nPeak memory, {pixels.shape[1]} x {pixels.shape[0]} ({pixels.size / 3e6:.2f} MP), a process for each:\n",
        "| codec | encode MB | decode MB |",
        "|---|---:|---:|",
    ]
    for setting in settings:
        found = peaks(setting, pixels, folder)
        cells = [f"{found[do]:.0f}" if do in found else "failed" for do in ("encode", "decode")]
        lines.append(f"| {setting.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", help="the first is timed; default: kodak in $MISCOMP_DATA")
    parser.add_argument("--weights", type=Path, help="lucid's weights; default: the shipped ones")
    parser.add_argument("--bpp", type=float, default=0.3, help="rate on the first picture (default: 0.3)")
    parser.add_argument("--codecs", nargs="+", choices=NAMES, default=NAMES, help="default: all")
    parser.add_argument("--repetitions", type=int, default=15, help="on the picture itself (default: 15)")
    parser.add_argument("--megapixels", type=float, default=12, help="size of the mosaic, 0 for none (default: 12)")
    parser.add_argument("--large-repetitions", type=int, default=5, help="on the mosaic (default: 5)")
    parser.add_argument("--memory-megapixels", type=float, default=0, help="also peak memory at this size, such as 48")
    parser.add_argument("--memory-codecs", nargs="+", choices=NAMES, default=["lucid"], help="of which codecs")
    parser.add_argument("--compressai-python", type=Path, help="an interpreter that has compressai; default: this one")
    options = parser.parse_args()
    options.pictures = options.pictures or kodak(parser)
    if min(options.repetitions, options.large_repetitions) < 1:
        parser.error("repetitions must be at least 1")
    if options.megapixels < 0 or options.memory_megapixels < 0:
        parser.error("megapixels must be 0 or more")
    return options


def main() -> None:
    """Print the tables on stdout; progress goes to stderr."""
    options = arguments()
    try:
        pictures = [images.read(path).pixels for path in options.pictures]
        settings = [
            chosen(name, pictures[0], options.bpp, options)
            for name in dict.fromkeys([*options.codecs, *(options.memory_codecs if options.memory_megapixels else [])])
        ]
    except MiscompError as error:
        sys.exit(f"codec_speed: {error}")
    print(facts() + "\n")
    for setting in settings:
        try:
            with Worker(setting) as worker:
                print(f"- {setting.name}: {worker.about}", flush=True)
        except WorkerError as error:
            print(f"- {setting.name}: cannot run ({error})", flush=True)
    compared = [setting for setting in settings if setting.name in options.codecs]
    with tempfile.TemporaryDirectory() as scratch:
        folder, (title, small) = Path(scratch), (options.pictures[0].name, pictures[0])
        print(time_table(title, compared, small, repetitions=options.repetitions, folder=folder), flush=True)
        if options.megapixels:
            large = mosaic(pictures, options.megapixels)
            title = f"Mosaic of {len(pictures)} pictures"
            print(time_table(title, compared, large, repetitions=options.large_repetitions, folder=folder), flush=True)
        if options.memory_megapixels:
            watched = [setting for setting in settings if setting.name in options.memory_codecs]
            print(memory_table(watched, mosaic(pictures, options.memory_megapixels), folder), flush=True)


if __name__ == "__main__":
    main()
