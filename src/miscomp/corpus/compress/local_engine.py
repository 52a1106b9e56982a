"""The engine of one machine: processes that keep their codecs open, one task at a time each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from miscomp.corpus.compress.attempts import attempt, open_worker
from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.tasks import Outcome, Setup, Task
from miscomp.errors import UsageError
from miscomp.workers import cores, memory, run_in_processes

MAX_FAILED_STARTS = 5
"""Processes in a row that may end before they are ready."""
_MEMORY_PER_JOB = 3 * 2**30


class LocalEngine:
    """Processes on this machine; even a single job has one of its own, so that its end does not end the driver."""

    def __init__(self, options: EngineOptions) -> None:
        if options.jobs is not None and options.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {options.jobs}")
        if options.address or options.gpus_per_worker:
            raise UsageError("the local engine has no address and shares out no GPUs; give --engine ray, or leave them")
        self.jobs = options.jobs or max(1, min(cores(), memory() // _MEMORY_PER_JOB))

    def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
        """See `miscomp.corpus.compress.tasks.Engine`. Raises `UsageError` where no process gets as far as a task."""
        in_vain = 0
        with closing(run_in_processes(_coding, (setup, incoming), deque(tasks), self.jobs)) as messages:
            for message in messages:
                in_vain = 0 if message.began else in_vain + 1
                if in_vain == MAX_FAILED_STARTS:
                    raise UsageError(f"no worker can be started: {message.died}; look at stderr, or use fewer --jobs")
                yield Outcome(task=message.task, reason=message.died) if message.died else message.value


@contextmanager
def _coding(setup: tuple[Setup, Path]) -> Iterator[Callable[[Task], Sequence[Outcome]]]:
    about, incoming = setup
    worker = open_worker(about)

    def work(task: Task) -> Sequence[Outcome]:
        return [attempt(worker, task, incoming)]

    yield work
