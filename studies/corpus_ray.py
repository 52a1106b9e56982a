"""One corpus compressed by local processes and by a Ray cluster: are its tables the same, and what does Ray cost?

The cluster is real and runs on this machine: nodes of one CPU each, joined before the clock starts, as a lab's would
be; the local engine has as many jobs. Both run `miscomp corpus compress` in a process of its own, in turn. Seconds are
wall seconds of that command: starting Python and the workers and opening the codecs are in them. It is run twice, for
one task alone, which is mostly the start, and for all others.

    python studies/corpus_ray.py
    python studies/corpus_ray.py PHOTOGRAPHS --images 6 --profile builtin --nodes 2 --repetitions 1
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from kodak import kodak

from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.ray_cluster import import_ray
from miscomp.corpus.corpus import RECONSTRUCTIONS, STREAMS, open_corpus
from miscomp.corpus.entries import Environment, Reconstruction
from miscomp.corpus.labels import image_rows, model_rows
from miscomp.corpus.schema import fetch
from miscomp.images import list_images

OF_THE_CLOCK = ("encode_s", "decode_s", "made")
"""Columns that no two runs have alike."""


class State(NamedTuple):
    """What a corpus came to, without times."""

    images: list[Any]
    models: list[Any]
    reconstructions: list[Any]
    environments: list[Any]
    files: dict[str, str]


def state(folder: Path) -> State:
    """All tables and the hash of every file."""
    with open_corpus(folder).reading() as connection:
        names = [field.name for field in fields(Reconstruction) if field.name not in OF_THE_CLOCK]
        rows = fetch(connection, Reconstruction)
        return State(
            images=image_rows(connection, []),
            models=model_rows(connection),
            reconstructions=[tuple(getattr(row, name) for name in names) for row in rows],
            environments=fetch(connection, Environment),
            files={
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for top in (STREAMS, RECONSTRUCTIONS)
                for path in sorted((folder / top).rglob("*.*"))
            },
        )


def miscomp(*arguments: str) -> float:
    """Run a command of the corpus; the seconds it took."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "miscomp", "corpus", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """The address of a cluster of nodes of one CPU each."""
    import_ray(EngineOptions(address="auto"))
    from ray.cluster_utils import Cluster

    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(nodes - 1):
            made.add_node(num_cpus=1)
        yield str(made.address)
    finally:
        made.shutdown()


def run(empty: Path, place: Path, engine: list[str]) -> tuple[float, float, State]:
    """Compress a copy of the empty corpus: seconds of one task alone, of all others, and the result."""
    shutil.copytree(empty, place)
    one = miscomp("compress", str(place), *engine, "--limit", "1")
    others = miscomp("compress", str(place), *engine)
    return one, others, state(place)


def compare(pictures: list[Path], profile: str, nodes: int, repetitions: int) -> bool:
    """Run both in turn and print what was found; whether all results are the same."""
    with tempfile.TemporaryDirectory() as folder, cluster(nodes) as address:
        chosen, empty = Path(folder, "pictures"), Path(folder, "empty")
        chosen.mkdir()
        for path in pictures:
            shutil.copy(path, chosen)
        miscomp("init", str(empty), "--profile", profile)
        miscomp("add", str(empty), str(chosen), "--source", "study", "--licence", "CC0-1.0")
        engines = {
            "local": ["--jobs", str(nodes)],
            "ray": ["--engine", "ray", "--address", address],
        }
        found: dict[str, list[tuple[float, float, State]]] = {name: [] for name in engines}
        for turn in range(repetitions):
            for name, options in engines.items():
                found[name].append(run(empty, Path(folder, f"{name}{turn}"), options))
        tell(found, len(pictures), nodes)
        return len({repr(result) for runs in found.values() for _, _, result in runs}) == 1


def tell(found: dict[str, list[tuple[float, float, State]]], pictures: int, nodes: int) -> None:
    """Print the table of times and how the results compare."""
    first = found["local"][0][2]
    tasks, runs = len(first.reconstructions), len(found["local"])
    print(
        f"{pictures} pictures, {tasks} tasks, {nodes} workers each, median of {runs} run(s), {os.cpu_count()} cores\n"
    )
    print("| engine | one task alone (s) | the other tasks (s) |\n|---|---|---|")
    times = {
        name: [statistics.median(column) for column in list(zip(*runs, strict=True))[:2]]
        for name, runs in found.items()
    }
    for name, (one, others) in times.items():
        print(f"| {name} | {one:.1f} | {others:.1f} |")
    print(f"| ray / local | {times['ray'][0] / times['local'][0]:.2f} | {times['ray'][1] / times['local'][1]:.2f} |\n")
    for part in State._fields:
        same = all(getattr(result, part) == getattr(first, part) for runs in found.values() for *_, result in runs)
        print(f"{part}: {len(getattr(first, part))}, {'identical' if same else 'DIFFERENT'} in all runs")


def main() -> int:
    """Parse options and compare; 1 where the results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="of photographs; else $MISCOMP_DATA/kodak")
    parser.add_argument("--images", type=int, help="only the first so many")
    parser.add_argument("--profile", default="builtin", help="codecs, as in `miscomp corpus init`")
    parser.add_argument("--nodes", type=int, default=2, help="of the cluster, one CPU each; also the local jobs")
    parser.add_argument("--repetitions", type=int, default=1)
    asked = parser.parse_args()
    pictures = list_images(asked.folder) if asked.folder else kodak(parser)
    return 0 if compare(pictures[: asked.images], asked.profile, asked.nodes, asked.repetitions) else 1


if __name__ == "__main__":
    sys.exit(main())
