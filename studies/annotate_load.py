"""How the labelers' tool bears twenty labelers at once: seconds from saying something to its being on the disk.

`make`: a corpus of rows without pixels, batches for every labeler, an account for each. `library`: every labeler is a
thread that saves through the library. `http`: the same through a server that runs already, each labeler with a session
of its own. Eight of ten events are new boxes, one changes the last box, one is a visit. Every event that was
acknowledged is looked for in the database afterwards. `--pause` has them think before each event; without it each
says the next as soon as the last is answered, which nobody can.

    python studies/annotate_load.py make CORPUS --labelers 20
    python studies/annotate_load.py library CORPUS --each 1000
    miscomp annotate CORPUS --no-browser
    python studies/annotate_load.py http CORPUS http://127.0.0.1:8377 --each 1000 --pause 0.5
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from miscomp.annotate.accounts import add_account
from miscomp.annotate.people import everything
from miscomp.annotate.save import save
from miscomp.annotate.times import server_time
from miscomp.annotate.work import batches_of, items_of
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import Corpus, create_corpus, open_corpus
from miscomp.corpus.entries import LabelEvent, Reconstruction, Role, SourceImage, Visit, new_uuid, now
from miscomp.corpus.schema import add, fetch
from miscomp.errors import InputError

SIDE = 4096
"""Pixels a side of the pictures that are no pictures: room for many boxes."""
PASSWORD = "a password for load tests"
Send = Callable[[dict[str, Any]], str]
"""Says something and gives the outcome; `error` where there was no answer."""


@dataclass
class Measured:
    """What the labelers met with; lists are appended to by all of them."""

    seconds: list[float] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)


def make(folder: Path, *, labelers: int, pairs: int, database: str) -> None:
    """Make the corpus: `pairs` pairs for each labeler."""
    names = [f"labeler-{number}" for number in range(1, labelers + 1)]
    models = tuple(Model(model=f"{number:02d}L", codec=f"C{number}", spec="jpeg@q10") for number in range(1, 9))
    batches = {"labelers": names, "batch_size": pairs, "agreement_batches": 0}
    settings: dict[str, Any] = {"models": [one.model_dump() for one in models], "batches": batches}
    corpus = create_corpus(folder, Config.model_validate({**settings, "database": {"url": database}}))
    images = -(-labelers * pairs // len(models))
    with corpus.writing() as connection:
        for number in range(images):
            sha1 = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
            add(connection, [_image(sha1), *(_reconstruction(sha1, one.model) for one in models)])
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, names)
    for name in names:
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)
    print(f"{images * len(models)} pairs for {labelers} labelers; each logs in as labeler-N with: {PASSWORD}")


def _image(sha1: str) -> SourceImage:
    texts = dict.fromkeys(("sha256", "pixel_sha256", "origin_sha256"), sha1) | dict.fromkeys(("licence", "split"), "")
    sides = dict.fromkeys(("width", "height", "origin_width", "origin_height"), SIDE)
    return SourceImage(image_sha1=sha1, name=f"{sha1}.png", source="load", size_bytes=1, added=now(), **texts, **sides)  # type: ignore[arg-type]


def _reconstruction(sha1: str, model: str) -> Reconstruction:
    numbers = dict.fromkeys(("quality", "bpp", "psnr", "ssim", "ms_ssim", "encode_s", "decode_s"))
    texts = dict.fromkeys(("stream_file", "stream_sha256", "sha256", "pixel_sha256", "weights_sha256"), "")
    about = {"image_sha1": sha1, "model": model, "file": "none", "version": "load", "environment": ""}
    return Reconstruction(stream_bytes=0, width=SIDE, height=SIDE, **about, **numbers, **texts)  # type: ignore[arg-type]


def said(aliases: Sequence[str], count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """What a labeler says: each box is another."""
    last: dict[str, Any] = {}
    for number in range(count):
        turn = number % 10
        if turn == 9:
            times = {"open_ms": 20_000, "active_ms": 15_000, "finished": rng.random() < 0.5}
            yield {"kind": "visit", "uuid": new_uuid(), "alias": rng.choice(aliases), **times}
        elif turn == 8 and last:
            yield {**last, "uuid": new_uuid(), "action": "change", "replaces": last["uuid"], "note": "moved"}
        else:
            sides = {"x": number % SIDE, "y": number // SIDE, "w": rng.randint(5, 99), "h": rng.randint(5, 99)}
            about = {"kind": "box", "uuid": new_uuid(), "alias": rng.choice(aliases), "action": "add"}
            last = {**about, **sides, "changed": "yes", "relevant": "unsure"}
            yield last


def drive(
    senders: Mapping[str, Send], aliases: Mapping[str, Sequence[str]], *, each: int, pause: float, seed: int
) -> Measured:
    """Have all labelers talk at once; `pause`: seconds of thought before each event, on average (exponential).

    The same boxes again are refused: another run on the same corpus needs another seed.
    """
    measured = Measured()
    barrier = threading.Barrier(len(senders))

    def work(name: str) -> None:
        rng, thought = random.Random(f"{seed} {name}"), random.Random(f"{seed} {name} thinks")
        barrier.wait()
        for message in said(aliases[name], each, rng):
            if pause > 0:
                time.sleep(thought.expovariate(1 / pause))
            begun = time.perf_counter()
            outcome = senders[name](message)
            measured.seconds.append(time.perf_counter() - begun)
            measured.outcomes.append(outcome)
            if outcome == "stored":
                measured.acknowledged.append(message["uuid"])

    threads = [threading.Thread(target=work, args=(name,)) for name in senders]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return measured


def by_library(corpus: Corpus, names: Sequence[str]) -> dict[str, Send]:
    """Senders without a server."""

    def sender(name: str) -> Send:
        person = everything(name)

        def send(message: dict[str, Any]) -> str:
            try:
                return save(corpus, person, [message], time=server_time())[0].outcome.value
            except InputError as error:
                print(error, file=sys.stderr)
                return "error"

        return send

    return {name: sender(name) for name in names}


def by_http(address: str, names: Sequence[str]) -> dict[str, Send]:
    """Senders with a session and a connection each, which cost this process as little as can be."""

    def sender(name: str) -> Send:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
        headers = {"Content-Type": "application/json"}

        def ask(method: str, path: str, value: object = None) -> tuple[HTTPResponse, Any]:
            connection.request(method, path, json.dumps(value).encode(), headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            if answer.status != 200:
                raise HTTPException(f"{answer.status} {told}")
            return answer, told

        answer, _ = ask("POST", "/api/login", {"name": name, "password": PASSWORD})
        headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        headers["X-Miscomp-CSRF"] = ask("GET", "/api/me")[1]["csrf"]

        def send(message: dict[str, Any]) -> str:
            try:
                return str(ask("POST", "/api/save", {"events": [message]})[1]["replies"][0]["outcome"])
            except (HTTPException, OSError, ValueError) as error:
                connection.close()
                print(error, file=sys.stderr)
                return "error"

        return send

    return {name: sender(name) for name in names}


def aliases_of(corpus: Corpus, names: Sequence[str]) -> dict[str, list[str]]:
    """The pairs of every labeler."""
    with corpus.reading() as connection:
        return {
            name: [
                item.alias
                for batch in batches_of(connection, name)
                for item in items_of(connection, batch.batch, name) or []
            ]
            for name in names
        }


def report(corpus: Corpus, measured: Measured, *, wall: float) -> int:
    """Print the figures; 1 where something failed or was lost."""
    with corpus.reading() as connection:
        found = Counter(one.uuid for one in fetch(connection, LabelEvent))
        found.update(one.uuid for one in fetch(connection, Visit))
    lost = [one for one in measured.acknowledged if one not in found]
    twice = [one for one, number in found.items() if number > 1]
    failed = Counter(one for one in measured.outcomes if one != "stored")
    order = sorted(measured.seconds)
    at = {share: 1000 * order[min(int(len(order) * share), len(order) - 1)] for share in (0.5, 0.95, 0.99)}
    print(f"saves: {len(order)} in {wall:.1f} s ({len(order) / wall:.0f} a second)")
    print(f"milliseconds of a save: median {at[0.5]:.1f}, p95 {at[0.95]:.1f}, p99 {at[0.99]:.1f}, ", end="")
    print(f"longest {1000 * order[-1]:.1f}")
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"not stored: {sum(failed.values())} {dict(failed) or ''}; lost: {len(lost)}; stored twice: {len(twice)}")
    return int(bool(failed or lost or twice))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "library", "http"))
    parser.add_argument("corpus", type=Path)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8377", help="of the server")
    parser.add_argument("--labelers", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=25, help="of every labeler")
    parser.add_argument("--each", type=int, default=1000, help="events of every labeler")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each event, on average")
    parser.add_argument("--database", default="", help="URL; empty: SQLite in the corpus' folder")
    parser.add_argument("--seed", type=int, default=0, help="of the boxes; each run on a corpus needs its own")
    given = parser.parse_args()
    if given.what == "make":
        return make(given.corpus, labelers=given.labelers, pairs=given.pairs, database=given.database)
    corpus = open_corpus(given.corpus, serving=True)
    names = [f"labeler-{number}" for number in range(1, given.labelers + 1)]
    senders = by_http(given.address, names) if given.what == "http" else by_library(corpus, names)
    aliases, begun, busy = aliases_of(corpus, names), time.perf_counter(), time.process_time()
    measured = drive(senders, aliases, each=given.each, pause=given.pause, seed=given.seed)
    wall, busy = time.perf_counter() - begun, time.process_time() - busy
    print(f"processor time of this process: {1000 * busy / len(measured.seconds):.2f} ms a save")
    sys.exit(report(corpus, measured, wall=wall))


if __name__ == "__main__":
    main()
