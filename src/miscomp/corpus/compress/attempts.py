"""One attempt at a task, the same in every engine: what a codec does wrong is a reason, never an exception."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from miscomp.corpus.compress.incoming import place_outcome
from miscomp.corpus.compress.tasks import Coded, Outcome, Setup, Task, Worker
from miscomp.errors import InputError, MiscompError
from miscomp.pairs import shown
from miscomp.registry import load

_log = logging.getLogger(__name__)


def open_worker(setup: Setup) -> Worker:
    """What codes tasks in this process. Raises what its codecs raise that cannot be opened."""
    worker: Worker = load(setup.worker)(setup)
    return worker


def code(worker: Worker, task: Task, content: bytes) -> Coded | str:
    """The result, or why there is none."""
    try:
        return worker.code(task, content)
    except (MiscompError, MemoryError, OSError) as error:
        return explain(error, task)
    except Exception as error:  # one picture must not stop the others, whatever is wrong with it or with us
        _log.exception("%s, %s", shown(task.source), task.model)
        return f"{type(error).__name__}: {error}; this is a fault in miscomp, please report it"


def attempt(worker: Worker, task: Task, incoming: Path) -> Outcome:
    """Read a task's photograph, code it and place the result."""
    begin = time.perf_counter()
    try:
        made = code(worker, task, task.source.read_bytes())
    except (OSError, MemoryError) as error:
        made = explain(error, task)
    seconds = time.perf_counter() - begin
    if isinstance(made, str):
        return Outcome(task=task, reason=made, seconds=seconds)
    return place_outcome(incoming, task, made, seconds=seconds)


def explain(error: BaseException, task: Task) -> str:
    """An error in words that tell no folder of this machine."""
    if isinstance(error, InputError):
        return error.problem if error.where == str(task.source) else f"{shown(Path(error.where))}: {error.problem}"
    if isinstance(error, MemoryError):
        return "needs more memory than there is; use fewer --jobs or a smaller picture"
    if isinstance(error, OSError) and error.filename == str(task.source):
        return f"the photograph cannot be read: {error.strerror}; see: miscomp corpus verify"
    return str(error)
