"""Pictures planted in several processes: one that is killed costs the picture it was at, and nothing else."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int, *, prepare: Callable[[], None]
) -> Generator[tuple[Task, Result | None]]:
    """Work on every task and yield it with its result, in no fixed order; none where its process was ended.

    With one job, in this process. Each process calls `prepare` first. torch, where that has loaded it, computes in
    one thread: sums of floats depend on how many share them.
    """
    if jobs > 1 and len(tasks) > 1:
        yield from _in_processes(work, tasks, min(jobs, len(tasks)), prepare)
        return
    prepare()
    with _one_thread():
        for task in tasks:
            yield task, work(task)


def _in_processes(
    work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int, prepare: Callable[[], None]
) -> Iterator[tuple[Task, Result | None]]:
    waiting = deque(tasks)
    # A pool for each process, because a pool whose process is killed loses the work of all of them.
    idle = [_pool(prepare) for _ in range(jobs)]
    busy: dict[Future[Result], tuple[ProcessPoolExecutor, Task]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                pool, task = idle.pop(), waiting.popleft()
                busy[pool.submit(work, task)] = (pool, task)
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                pool, task = busy.pop(future)
                try:
                    result: Result | None = future.result()
                    idle.append(pool)
                except BrokenExecutor:
                    pool.shutdown()
                    idle.append(_pool(prepare))
                    result = None
                yield task, result
    finally:
        for pool, _ in busy.values():  # nobody waits for what they do
            for process in list((pool._processes or {}).values()):
                process.terminate()
        for pool in [*idle, *(pool for pool, _ in busy.values())]:
            pool.shutdown(cancel_futures=True)


def _pool(prepare: Callable[[], None]) -> ProcessPoolExecutor:
    # A fresh interpreter: a forked one would inherit the threads of torch in an undefined state.
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(prepare,)
    )


def _prepare(prepare: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was started by hand ends the others
    prepare()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)
