"""The driver is killed with signal 9 at random moments, and the result is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import corpus_worker
import pytest
from corpora import add_picture, picture, small_config
from corpus_worker import attempts

import miscomp
from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.incoming import UNFINISHED
from miscomp.corpus.compress.local_engine import LocalEngine
from miscomp.corpus.compress.plan import CompressOptions
from miscomp.corpus.compress.run import compress_corpus
from miscomp.corpus.corpus import INCOMING, Corpus, create_corpus
from miscomp.corpus.entries import Environment, Reconstruction
from miscomp.corpus.schema import fetch

FAKES = Path(__file__).parents[2] / "fakes"
KILLS = 3


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "script.json").write_text(json.dumps({"*": ["sleep0.02"]}))
    monkeypatch.setenv(corpus_worker.VARIABLE, str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(miscomp.__file__).parents[1]), str(FAKES)]))
    monkeypatch.syspath_prepend(str(FAKES))
    return folder


def make(folder: Path) -> Corpus:
    corpus = create_corpus(folder, small_config())
    for number in range(6):
        add_picture(corpus, picture(number, width=48, height=48), name=f"{number}.png")
    return corpus


def start(corpus: Corpus) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(FAKES / "corpus_driver.py"), str(corpus.folder), "2"])


def wait_for(script: Path, begun: int) -> None:
    for _ in range(3000):
        if len(attempts(script)) >= begun:
            return
        time.sleep(0.01)
    raise AssertionError("the workers do not begin")


def whole(corpus: Corpus) -> set[str]:
    """Keys of all results that need not be made again."""
    incoming = corpus.folder / INCOMING
    folders = {one.name for one in incoming.iterdir() if not one.name.startswith(UNFINISHED)}
    with corpus.reading() as connection:
        return folders | {f"{one.model}-{one.image_sha1}" for one in fetch(connection, Reconstruction)}


def wait_for_workers(script: Path) -> None:
    """Until no process writes to the log any more: with their driver gone the workers must end."""
    before = -1
    for _ in range(100):
        time.sleep(0.15)
        before, begun = len(attempts(script)), before
        if before == begun:
            return
    raise AssertionError("workers go on without their driver")


def state(corpus: Corpus) -> tuple[object, ...]:
    with corpus.reading() as connection:
        rows = [
            tuple(
                getattr(one, name) for name in Reconstruction.__slots__ if name not in ("encode_s", "decode_s", "made")
            )
            for one in fetch(connection, Reconstruction)
        ]
        environments = fetch(connection, Environment)
    made = {
        path.relative_to(corpus.folder): path.read_bytes()
        for top in ("streams", "reconstructions", INCOMING)
        for path in (corpus.folder / top).rglob("*")
        if path.is_file()
    }
    return rows, environments, made


def test_a_killed_driver_loses_nothing_and_does_nothing_twice(tmp_path: Path, script: Path) -> None:
    corpus, calm = make(tmp_path / "killed"), make(tmp_path / "calm")
    compress_corpus(calm, LocalEngine(EngineOptions(jobs=1)), CompressOptions(worker=corpus_worker.NAME))
    (script / "log.txt").unlink()
    rng = random.Random(7)
    done: set[str] = set()
    for _ in range(KILLS):
        begun = len(attempts(script))
        process = start(corpus)
        wait_for(script, begun + rng.randint(1, 6))
        time.sleep(rng.random() * 0.03)
        process.kill()
        process.wait()
        wait_for_workers(script)
        assert not done & set(attempts(script)[begun:])
        done = whole(corpus)
    begun = len(attempts(script))
    assert 0 < len(done) < 24 and start(corpus).wait() == 0
    assert not done & set(attempts(script)[begun:])
    assert state(corpus) == state(calm)
    assert list((corpus.folder / INCOMING).iterdir()) == []
