"""Tasks in several processes: one that is killed costs the task it was at, and nothing else.

Processes end by themselves when the one that started them is gone, however it ended.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

TaskT = TypeVar("TaskT")

Serve = Callable[[Any], AbstractContextManager[Callable[[Any], Iterable[Any]]]]
"""A function of a module, called once in each process with what is the same for all tasks; what it yields is called
with each task and gives what there is to tell of it: an iterator as it comes, a sequence when the task is finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[TaskT]):
    """What a process tells of its task, or that it is gone."""

    task: TaskT
    value: Any = None
    died: str = ""
    """Why the process is gone, in words; then it has told nothing more of its task."""
    began: bool = True
    """Whether the process got as far as its first task; false for one that died while it made itself ready."""


def run_in_processes(serve: Serve, setup: object, waiting: deque[TaskT], jobs: int) -> Generator[Message[TaskT]]:
    """Work on every task that is waiting and yield what is told of each, in no fixed order. Close it to stop.

    Tasks may be added to `waiting` while one that died is looked at. A process that dies is replaced.
    """
    workers: list[_Worker[TaskT]] = []
    try:
        for _ in range(min(jobs, len(waiting))):
            workers.append(_Worker(serve, setup, waiting.popleft()))
        while workers:
            for ready in wait([worker.connection for worker in workers]):
                worker = next(worker for worker in workers if worker.connection is ready)
                try:
                    task, over, values = worker.receive()
                except EOFError:
                    workers.remove(worker)
                    yield Message(task=worker.task, died=_cause(worker.end()), began=worker.ready)
                    if waiting:
                        workers.append(_Worker(serve, setup, waiting.popleft()))
                    continue
                # It goes on while the caller looks at what it told.
                if over and waiting:
                    worker.give(waiting.popleft())
                elif over:
                    workers.remove(worker)
                    worker.stop()
                for value in values:
                    yield Message(task=task, value=value)
    finally:
        for worker in workers:
            worker.stop()


class _Worker(Generic[TaskT]):
    """A process and the task it is at."""

    def __init__(self, serve: Serve, setup: object, task: TaskT) -> None:
        # A fresh interpreter: a forked one would inherit the threads of torch in an undefined state.
        context = multiprocessing.get_context("spawn")
        self.connection, end = context.Pipe()
        self.process = context.Process(target=_work, args=(end, serve, setup), daemon=True)
        self.process.start()
        end.close()
        self.ready = False
        self.give(task)

    def give(self, task: TaskT) -> None:
        """Start with a task; if the process is already gone, the next `receive` says so."""
        self.task = task
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> tuple[TaskT, bool, list[Any]]:
        """The task, whether it is finished, and what was told. Raises `EOFError` if the process is gone."""
        try:
            over, values = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        self.ready = True  # it says so before its first task
        return self.task, over, values

    def end(self) -> int | None:
        """Wait for a process that is going, and return its exit code."""
        self.connection.close()
        self.process.join()
        return self.process.exitcode

    def stop(self) -> None:
        """End the process."""
        self.connection.close()
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            name = f"signal {-exitcode}"
        hint = "; for lack of memory, most likely: use fewer --jobs or a smaller picture" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {exitcode}; what it said is on stderr"


def _work(connection: Connection, serve: Serve, setup: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was started by hand ends the others
    threading.Thread(target=_follow_parent, daemon=True).start()
    with serve(setup) as work, suppress(EOFError, OSError):  # the other end is gone: nobody waits for more
        connection.send((False, []))
        while True:
            values = work(connection.recv())
            if isinstance(values, Sequence):
                connection.send((True, list(values)))
                continue
            for value in values:
                connection.send((False, [value]))
            connection.send((True, []))


def _follow_parent() -> None:
    """End this process at once when its parent has ended; the pipe would say so only after the task."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory that this process may use, 0 where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total
