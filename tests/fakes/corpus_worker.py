"""A worker without a codec: results follow from the task alone, and chosen tasks fail, sleep or end their process.

The folder in the environment variable `CORPUS_WORKER` tells it what to do (`script.json`: by task's key a list of what
each attempt does) and holds what it did (`log.txt`: a line for each attempt).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from miscomp.corpus.compress.tasks import Coded, Measured, Setup, Task
from miscomp.errors import InputError
from miscomp.images import decode, encode_png, pixel_sha256

VARIABLE = "CORPUS_WORKER"
NAME = "corpus_worker:Scripted"


class Scripted:
    """Darkens pictures."""

    def __init__(self, setup: Setup) -> None:
        self._folder = Path(os.environ[VARIABLE])
        script = self._folder / "script.json"
        self._script: Mapping[str, list[str]] = json.loads(script.read_text()) if script.exists() else {}

    def code(self, task: Task, content: bytes) -> Coded:
        before = attempts(self._folder).count(task.key)
        log = os.open(self._folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{task.key}\n".encode())
        os.close(log)
        steps = self._script.get(task.key) or self._script.get("*") or []
        if before < len(steps) or "*" not in self._script:
            self._act(steps[before] if before < len(steps) else "", task)
        else:
            self._act(steps[-1], task)
        return coded(task, content)

    def _act(self, step: str, task: Task) -> None:
        if step == "fail":
            raise InputError(task.source, "this attempt is to fail")
        if step == "fault":
            raise ZeroDivisionError("a fault of ours")
        if step == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if step.startswith("sleep"):
            time.sleep(float(step.removeprefix("sleep")))


class Unable:
    """A worker that cannot make itself ready."""

    def __init__(self, setup: Setup) -> None:
        raise RuntimeError("no memory for the weights")


def attempts(folder: Path) -> list[str]:
    """Keys of the tasks that were begun, in order."""
    log = folder / "log.txt"
    return log.read_text().split() if log.exists() else []


def coded(task: Task, content: bytes) -> Coded:
    """What is made of a task."""
    original, _ = decode(content, task.source)
    made = original // 2
    digest = hashlib.sha256(task.key.encode()).digest()
    return Coded(
        stream=digest * 4,
        suffix=".misc",
        png=encode_png(made),
        measured=Measured(
            width=original.shape[1],
            height=original.shape[0],
            pixel_sha256=pixel_sha256(made),
            quality=float(digest[0]),
            psnr=float("inf") if digest[1] % 2 else 30 + digest[1] / 256,
            ssim=digest[2] / 256,
            ms_ssim=None,
            encode_s=0.5,
            decode_s=0.25,
            version=VERSION,
            weights_sha256="",
            environment='{"device": "none"}',
        ),
    )


VERSION = "scripted 1"
