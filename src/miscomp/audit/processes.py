"""An audit's images in several processes: one that is killed costs the pair it was at, and nothing else."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from miscomp.audit.plan import ImageTask, Plan
from miscomp.audit.work import Auditor, Event


def run_tasks(plan: Plan, tasks: Sequence[ImageTask], jobs: int) -> Generator[Event]:
    """Audit every image and yield what happens, in no fixed order; with one job in this process. Close it to stop."""
    if jobs > 1 and len(tasks) > 1:
        yield from _in_processes(plan, tasks, min(jobs, len(tasks)))
    elif tasks:
        auditor = Auditor(plan)
        with _threads(plan.threads):
            for task in tasks:
                yield from auditor.events(task)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let OpenCV compute in `number` threads and torch in one, where the codecs or the detector have loaded them.

    Sums of floats depend on how many threads share them: with two, a network's picture differs in some pixels.
    """
    torch, cv2 = sys.modules.get("torch"), sys.modules.get("cv2")
    before = (torch and torch.get_num_threads(), cv2 and cv2.getNumThreads())
    if torch:
        torch.set_num_threads(1)
    if cv2:
        cv2.setNumThreads(number)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before[0])
        if cv2:
            cv2.setNumThreads(before[1])


class _Worker:
    """A process and the image it is at."""

    def __init__(self, plan: Plan) -> None:
        # A fresh interpreter: a forked one would inherit the threads of torch in an undefined state.
        context = multiprocessing.get_context("spawn")
        self.connection, end = context.Pipe()
        self.process = context.Process(target=_work, args=(end, plan), daemon=True)
        self.process.start()
        end.close()
        self.task: ImageTask | None = None
        self.model = ""
        self.left: list[str] = []

    def give(self, task: ImageTask) -> None:
        """Start with an image; if the process is already gone, the next `receive` says so."""
        self.task, self.model, self.left = task, "", list(task.models)
        with suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Event | None:
        """The next event, or none when the image is finished. Raises `EOFError` if the process is gone."""
        try:
            event: Event | None = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        if event is None:
            self.task = None
        elif event.kind == "started":
            self.model = event.model
        else:
            self.model = ""
            if event.model in self.left:
                self.left.remove(event.model)
        return event

    def stop(self) -> int | None:
        """End the process, and return its exit code."""
        self.connection.close()
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()
        return self.process.exitcode


def _in_processes(plan: Plan, tasks: Sequence[ImageTask], jobs: int) -> Iterator[Event]:
    waiting = deque(tasks)
    workers: list[_Worker] = []
    try:
        for _ in range(jobs):
            workers.append(_Worker(plan))
            workers[-1].give(waiting.popleft())
        while workers:
            for ready in wait([worker.connection for worker in workers]):
                worker = next(worker for worker in workers if worker.connection is ready)
                try:
                    event = worker.receive()
                except EOFError:
                    workers.remove(worker)
                    yield _bury(worker, waiting)
                    if waiting:
                        workers.append(_Worker(plan))
                        workers[-1].give(waiting.popleft())
                    continue
                if event is not None:
                    yield event
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    workers.remove(worker)
                    worker.stop()
    finally:
        for worker in workers:
            worker.stop()


def _bury(worker: _Worker, waiting: deque[ImageTask]) -> Event:
    """Say which pair ended a process, and put the rest of its image back in the queue."""
    worker.connection.close()
    worker.process.join()
    task = worker.task
    if task is None:
        raise RuntimeError("a process without an image cannot be waited for")
    left = tuple(model for model in worker.left if model != worker.model)
    if worker.model and left:
        waiting.append(replace(task, models=left, failed=(*task.failed, worker.model)))
    return Event(task=task.number, model=worker.model, kind="failed", reason=_cause(worker.process.exitcode))


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            name = f"signal {-exitcode}"
        hint = "; for lack of memory, most likely: use fewer --jobs or a smaller picture" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {exitcode}; what it said is on stderr"


def _work(connection: Connection, plan: Plan) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was started by hand ends the others
    auditor = Auditor(plan)
    with _threads(plan.threads), suppress(EOFError, OSError):  # the other end is gone: nobody waits for more
        while True:
            for event in auditor.events(connection.recv()):
                connection.send(event)
            connection.send(None)
