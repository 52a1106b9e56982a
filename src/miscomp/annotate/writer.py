"""Saves of many people in one transaction: whoever comes first writes for all who wait.

A transaction that survives a power cut waits for the disk, and databases that keep writers apart make them try again
and again. So there is one writer of this process at a time, and what comes while it writes goes into the next
transaction, together. There is no thread of its own: nothing is to be started or stopped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from miscomp.corpus.corpus import Corpus
from miscomp.errors import InputError

Said = TypeVar("Said")
Result = TypeVar("Result")
Store: TypeAlias = Callable[[Connection, Sequence[Said]], Sequence[Result]]

MOST = 400
"""Events of a transaction; one job alone may have more."""


class _Job:
    """What one thread wants written."""

    def __init__(self, store: Store[Any, Any], said: Any, weight: int) -> None:
        self.store = store
        self.said = said
        self.weight = weight
        self.woken = threading.Event()
        """It is written, or it is this thread's turn to write."""
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class _Queue:
    """The jobs that wait for one database."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: deque[_Job] = deque()
        self.busy = False

    def join(self, job: _Job) -> None:
        """Stand in line; it is this job's turn where nobody writes."""
        with self.lock:
            self.waiting.append(job)
            if not self.busy:
                self.busy = True
                job.woken.set()

    def take(self) -> list[_Job]:
        """The jobs of the next transaction in the order in which they came; the writer's own is the first."""
        with self.lock:
            taken = [self.waiting.popleft()]
            weight = taken[0].weight
            while self.waiting and weight + self.waiting[0].weight <= MOST:
                weight += self.waiting[0].weight
                taken.append(self.waiting.popleft())
        return taken

    def leave(self, taken: list[_Job]) -> None:
        """Tell whose jobs are done, and whose turn it is."""
        with self.lock:
            self.busy = bool(self.waiting)
            if self.waiting:
                self.waiting[0].woken.set()
        for job in taken:
            job.done = True
            job.woken.set()


_QUEUES: WeakKeyDictionary[Engine, _Queue] = WeakKeyDictionary()
_MAKING = threading.Lock()


def write_together(corpus: Corpus, store: Store[Said, Result], said: Said, *, weight: int) -> Result:
    """Store what was said in a transaction that other threads may share, and return when it is on the disk.

    `store` gets all that was said to be stored by it, and gives a result for each. `weight` is how many events it is.
    It may be called again, where one of several could not be stored: then for each alone. Its own errors are raised
    here, and nothing of what was said is stored then. Raises `InputError` where the database cannot be used.
    """
    with _MAKING:
        queue = _QUEUES.setdefault(corpus.engine, _Queue())
    job = _Job(store, said, weight)
    queue.join(job)
    job.woken.wait()
    if not job.done:
        taken = queue.take()
        try:
            _write(corpus, taken)
        finally:
            queue.leave(taken)
    if job.error is not None:
        raise job.error
    result: Result = job.result
    return result


def _write(corpus: Corpus, jobs: list[_Job]) -> None:
    """One transaction. What goes wrong with it every job is told: nobody may wait for ever."""
    try:
        with corpus.writing() as connection:
            for store, alike in groupby(jobs, attrgetter("store")):
                same = list(alike)
                for job, result in zip(same, store(connection, [one.said for one in same]), strict=True):
                    job.result = result
    except BaseException as error:
        if len(jobs) > 1 and isinstance(error, Exception) and not isinstance(error, InputError):
            for job in jobs:  # one of them cannot be written: that must not be the others' error
                _write(corpus, [job])
            return
        for job in jobs:
            job.error = error
