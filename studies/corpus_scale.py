"""How `miscomp corpus compress` bears size and violence.

`scale`: SCLIC's 1,563 pictures and 8 models each, 12,504 tasks, planned, coded by a worker that only pretends to, and
taken in by the real driver and engine, then batched: seconds, and the driver's memory at most. `kills`: a corpus of
photographs with a network and two classical codecs at two rates, whose driver is killed with signal 9 at random
moments and compared with a run that nobody disturbed.

    python studies/corpus_scale.py scale --jobs 2
    python studies/corpus_scale.py kills PHOTOGRAPHS --kills 20 --pictures 24
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.incoming import UNFINISHED
from miscomp.corpus.compress.local_engine import LocalEngine
from miscomp.corpus.compress.plan import CompressOptions
from miscomp.corpus.compress.run import compress_corpus
from miscomp.corpus.compress.tasks import Coded, Measured, Setup, Task
from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import INCOMING, Corpus, create_corpus, open_corpus
from miscomp.corpus.entries import Batch, BatchItem, Reconstruction, SourceImage, now
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import add, count, fetch

IMAGES = 1563
HALVES = (("C1", "C3", "C5", "C6"), ("C2", "C3", "C4", "C6"))
SIDE = 32
"""Pixels a side of the pictures that are no pictures."""


class Pretender:
    """A worker that makes up its results."""

    def __init__(self, setup: Setup) -> None:
        self._png = b"\x89PNG" + bytes(2000)

    def code(self, task: Task, content: bytes) -> Coded:
        """A result that depends on the task alone."""
        digest = hashlib.sha256(task.key.encode()).digest()
        return Coded(
            stream=digest * 8,
            suffix=".misc",
            png=self._png + digest,
            measured=Measured(
                width=SIDE,
                height=SIDE,
                pixel_sha256=digest.hex(),
                quality=1.0,
                psnr=30.0,
                ssim=0.9,
                ms_ssim=None,
                encode_s=0.0,
                decode_s=0.0,
                version="pretended",
                weights_sha256="",
                environment="{}",
            ),
        )


def scale(jobs: int) -> None:
    """Plan, compress and batch in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = _many(Path(folder) / "corpus")
        before = _peak_mb()
        begin = time.perf_counter()
        engine = LocalEngine(EngineOptions(jobs=jobs))
        planned: list[float] = []
        report = compress_corpus(
            corpus,
            engine,
            CompressOptions(worker="corpus_scale:Pretender"),
            announce=lambda plan: planned.append(time.perf_counter() - begin),
        )
        compressed = time.perf_counter()
        batches, items = _batch(corpus)
        end = time.perf_counter()
        print(f"tasks done: {report.done}, failed: {len(report.failed)}, complete: {report.complete}")
        print(f"plan: {planned[0]:.1f} s; all tasks, from plan to last row, {jobs} jobs: {compressed - begin:.1f} s")
        print(f"batches: {batches} with {items} items in {end - compressed:.1f} s")
        print(f"peak memory of the driver: {_peak_mb():.0f} MB (before the run {before:.0f} MB)")


def _many(folder: Path) -> Corpus:
    models = tuple(
        Model(model=f"{number:02d}{letter}", codec=f"C{number}", spec=f"jpeg@q{number + 10 * (letter == 'H')}")
        for number in range(1, 7)
        for letter in "LH"
    )
    corpus = create_corpus(folder, Config(models=models, halves=HALVES))
    rows = []
    for number in range(IMAGES):
        content = b"\x89PNG" + number.to_bytes(4)
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        path = corpus.original(sha1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        rows.append(
            SourceImage(
                image_sha1=sha1,
                sha256=sha256,
                pixel_sha256=sha256,
                width=SIDE,
                height=SIDE,
                size_bytes=2000,
                name=f"{number}.png",
                origin_sha256=sha256,
                origin_width=SIDE,
                origin_height=SIDE,
                source="pretended",
                licence="CC0-1.0",
                split="test",
                added=now(),
            )
        )
    with corpus.writing() as connection:
        add(connection, rows)
    return corpus


def _batch(corpus: Corpus) -> tuple[int, int]:
    from miscomp.corpus.batches.planning import assign, make_batches

    with corpus.writing() as connection:
        make_batches(connection, corpus.config)
        assign(connection, corpus.config, corpus.config.batches.labelers)
    with corpus.reading() as connection:
        return count(connection, Batch), count(connection, BatchItem)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def kills(photographs: Path, number: int, pictures: int, seed: int) -> None:
    """Kill the driver again and again; at the end compare with a run that was left alone."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "photographs"
        chosen.mkdir()
        for path in sorted(photographs.glob("*.png"))[:pictures]:
            shutil.copy(path, chosen)
        rough, calm = (_real(Path(folder) / name, chosen) for name in ("rough", "calm"))
        rng = random.Random(seed)
        whole: dict[str, tuple[int, int]] = {}
        again = 0
        begin = time.perf_counter()
        for attempt in range(number):
            process = _start(rough)
            if attempt % 4:  # while it works; else at any moment from its start
                _wait_for_work(rough, process)
            time.sleep(rng.uniform(0.0, 4.0))
            early = process.poll() is not None
            process.kill()
            process.wait()
            time.sleep(0.5)
            found = _whole(rough)
            again += sum(found.get(key) != one for key, one in whole.items())
            whole = found
            print(
                f"kill {attempt + 1}: {len(whole)} results whole{' (all was done before)' if early else ''}", flush=True
            )
        _start(rough).wait()
        seconds = time.perf_counter() - begin
        found = _whole(rough)
        again += sum(found.get(key) != one for key, one in whole.items())
        begin = time.perf_counter()
        _start(calm).wait()
        undisturbed = time.perf_counter() - begin
        equal = _state(rough) == _state(calm)
        print(f"{len(found)} tasks; lost or done twice of what was whole at a kill: {again}; equal to calm: {equal}")
        print(f"seconds: {seconds:.0f} with {number} kills, {undisturbed:.0f} undisturbed")
        left = [one.name for one in (rough / INCOMING).iterdir()]
        print(f"left in incoming: {left or 'nothing'}")


def _real(folder: Path, photographs: Path) -> Path:
    corpus = create_corpus(folder, PROFILES["builtin"].config())
    command = [sys.executable, "-m", "miscomp", "corpus", "add", str(folder), str(photographs)]
    corpus.engine.dispose()
    subprocess.run([*command, "--source", "study", "--licence", "CC0-1.0"], check=True, capture_output=True)
    return folder


def _start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "miscomp", "corpus", "compress", str(folder), "--jobs", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for_work(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until another result is whole, or the driver has ended."""
    before = _results(folder)
    while _results(folder) == before and process.poll() is None:
        time.sleep(0.05)


def _results(folder: Path) -> int:
    inside = sum(not one.parent.name.startswith(UNFINISHED) for one in (folder / INCOMING).glob("*/stream"))
    return inside + len(list(folder.glob("streams/*/*/*")))


def _whole(folder: Path) -> dict[str, tuple[int, int]]:
    """Key to inode and time of the compressed file: another one was made anew; a rename keeps both."""
    corpus = open_corpus(folder)
    with corpus.reading() as connection:
        rows = fetch(connection, Reconstruction)
    found = {f"{one.model}-{one.image_sha1}": corpus.file(one.stream_file) for one in rows}
    incoming = folder / INCOMING
    for one in incoming.iterdir() if incoming.is_dir() else []:
        if one.name.startswith(UNFINISHED) or one.name in found:
            continue
        inside = one / "stream"
        moved = list(folder.glob(f"streams/{one.name.rpartition('-')[0]}/*/{one.name.rpartition('-')[2]}.*"))
        found[one.name] = inside if inside.exists() else moved[0]
    corpus.engine.dispose()
    return {key: (path.stat().st_ino, path.stat().st_mtime_ns) for key, path in found.items()}


def _state(folder: Path) -> tuple[Any, ...]:
    """All rows without times, and all files."""
    corpus = open_corpus(folder)
    with corpus.reading() as connection:
        rows = fetch(connection, Reconstruction)
    names = [name for name in Reconstruction.__slots__ if name not in ("encode_s", "decode_s", "made")]
    values = [tuple(getattr(one, name) for name in names) for one in rows]
    hashes = {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest()
        for top in ("streams", "reconstructions")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }
    return values, hashes


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("scale").add_argument("--jobs", type=int, default=2)
    killed = parts.add_parser("kills")
    killed.add_argument("photographs", type=Path)
    killed.add_argument("--kills", type=int, default=20)
    killed.add_argument("--pictures", type=int, default=24)
    killed.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.part == "scale":
        scale(asked.jobs)
    else:
        kills(asked.photographs, asked.kills, asked.pictures, asked.seed)


if __name__ == "__main__":
    main()
