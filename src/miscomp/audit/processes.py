"""An audit's images in several processes: one that is killed costs the pair it was at, and nothing else."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from miscomp.audit.plan import ImageTask, Plan
from miscomp.audit.work import Auditor, Event
from miscomp.workers import run_in_processes


def run_tasks(plan: Plan, tasks: Sequence[ImageTask], jobs: int) -> Generator[Event]:
    """Audit every image and yield what happens, in no fixed order; with one job in this process. Close it to stop."""
    if jobs > 1 and len(tasks) > 1:
        yield from _in_processes(plan, tasks, min(jobs, len(tasks)))
    elif tasks:
        with _auditing(plan) as events:
            for task in tasks:
                yield from events(task)


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


@contextmanager
def _auditing(plan: Plan) -> Iterator[Callable[[ImageTask], Iterator[Event]]]:
    auditor = Auditor(plan)
    with _threads(plan.threads):
        yield auditor.events


def _in_processes(plan: Plan, tasks: Sequence[ImageTask], jobs: int) -> Iterator[Event]:
    waiting = deque(tasks)
    under_way: dict[int, _Image] = {}
    with closing(run_in_processes(_auditing, plan, waiting, jobs)) as messages:
        for message in messages:
            image = under_way.setdefault(message.task.number, _Image(message.task))
            if message.died:
                del under_way[message.task.number]
                if image.rest is not None:
                    waiting.append(image.rest)
                yield Event(task=message.task.number, model=image.model, kind="failed", reason=message.died)
            else:
                image.note(message.value)
                yield message.value


class _Image:
    """What a process has told of the image that it is at."""

    def __init__(self, task: ImageTask) -> None:
        self.task = task
        self.model = ""
        """The pair that it is at."""
        self.left = list(task.models)

    def note(self, event: Event) -> None:
        """Follow what is told."""
        if event.kind == "started":
            self.model = event.model
        else:
            self.model = ""
            if event.model in self.left:
                self.left.remove(event.model)

    @property
    def rest(self) -> ImageTask | None:
        """What to put back in the queue when its process is gone: all but the pair that it was at."""
        left = tuple(model for model in self.left if model != self.model)
        if not (self.model and left):
            return None
        return replace(self.task, models=left, failed=(*self.task.failed, self.model))
