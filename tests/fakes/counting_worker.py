"""A worker without any codec: what it makes follows from the task and the photograph alone, on every machine."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

from miscomp.corpus.compress.tasks import Coded, Measured, Setup, Task
from miscomp.errors import InputError

WORKER = "counting_worker:CountingWorker"


def _bad(task: Task, _: str) -> None:
    raise InputError(task.source, "cannot be coded")


def _broken(_: Task, __: str) -> None:
    raise ZeroDivisionError("a slip")


def _kill(_: Task, value: str) -> None:
    if not Path(value).exists():
        Path(value).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _tell(_: Task, value: str) -> None:
    import ray

    Path(value, f"{ray.get_runtime_context().get_node_id()}-{os.getpid()}").touch()
    if not Path(value, "hurry").exists():
        time.sleep(0.3)


def _nothing(_: Task, __: str) -> None:
    pass


_ACTIONS = {"bad": _bad, "broken": _broken, "kill": _kill, "tell": _tell}


class CountingWorker:
    """Does what the task's spec asks for.

    `good`; `bad` and `broken` raise; `kill:FILE` kills its process if FILE is not there yet, and makes it;
    `tell:FOLDER` leaves a file there that is named after the node and the process, and takes its time until there is
    a file named `hurry`.
    """

    def __init__(self, setup: Setup) -> None:
        if "unopenable" in setup.specs:
            raise InputError("weights.pt", "is not installed")
        if "dying" in setup.specs:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seed = setup.seed

    def code(self, task: Task, content: bytes) -> Coded:
        what, _, value = task.spec.partition(":")
        _ACTIONS.get(what, _nothing)(task, value)
        stream = hashlib.sha256(f"{self.seed} {task.key} {task.spec}".encode() + content).digest()
        measured = Measured(
            width=4,
            height=3,
            pixel_sha256=stream.hex(),
            quality=None,
            psnr=stream[0] / 7,
            ssim=0.1 + 0.2,
            ms_ssim=None,
            encode_s=0.0,
            decode_s=0.0,
            version="counting",
            weights_sha256="",
            environment="{}",
        )
        return Coded(stream=stream, suffix=".bin", png=content * 3, measured=measured)
