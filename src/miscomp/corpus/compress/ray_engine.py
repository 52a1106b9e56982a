"""Workers in a Ray cluster: processes on many machines, which keep their codecs open from one task to the next.

Photographs travel to the workers and results back with the tasks, so no folder needs to be shared; only the driver
writes files. What passes between the processes is pickled: a cluster runs what anyone sends who reaches its ports.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miscomp.corpus.compress.attempts import code, explain, open_worker
from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.incoming import place_outcome
from miscomp.corpus.compress.ray_cluster import Node, cause, connected, differences, import_ray, nodes_of, on_node
from miscomp.corpus.compress.tasks import Coded, Outcome, Setup, Task, Worker
from miscomp.errors import MiscompError, UsageError

IN_FLIGHT = 2
"""Tasks that a worker has at a time: the next one's photograph is there when it has done the one before."""
_LOOK_AROUND_S = 20.0
"""How often new nodes are looked for."""
MAX_FAILED_STARTS = 5
"""Workers in a row that may end before they are ready."""

_log = logging.getLogger(__name__)


class RayEngine:
    """Runs tasks in the cluster at `options.address`, or in one of its own on this machine.

    Raises `MissingExtra` without ray, `UsageError` for options that cannot be.
    """

    def __init__(self, options: EngineOptions) -> None:
        if options.jobs is not None and options.jobs < 1:
            raise UsageError(f"jobs must be 1 or more, got {options.jobs}")
        if options.gpus_per_worker < 0:
            raise UsageError(f"the share of a GPU must be 0 or more, got {options.gpus_per_worker}")
        self._options = options
        self._ray = import_ray(options)

    def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
        """As `miscomp.corpus.compress.tasks.Engine` says.

        Raises `UsageError` for a cluster that cannot be reached, that fails, that has no node of use, or whose nodes
        have other versions than this process, since their results would differ.
        """
        with connected(self._ray, self._options):
            workers = _Workers(self._ray, setup, self._options)
            try:
                workers.look_around()
                yield from workers.run(tasks, incoming)
            except self._ray.exceptions.RayError as error:
                raise UsageError(f"the Ray cluster failed: {cause(error)}; give the command again to go on") from error
            finally:
                workers.close()


class _Coder:
    """An actor: what runs in a process of the cluster. It answers with words where a task or codec fails.

    Our errors do not survive being pickled, and an exception that Ray carries is a fault of the cluster's.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def open(self, setup: Setup) -> str:
        """Open the codecs; the answer says why not."""
        try:
            self._worker = open_worker(setup)
        except MiscompError as error:
            return str(error)
        except Exception as error:  # told by the driver, which knows the node
            return f"{type(error).__name__}: {error}"
        return ""

    def code(self, task: Task, content: bytes) -> tuple[Coded | str, float]:
        """The result or why there is none, and the seconds it took."""
        if self._worker is None:
            raise RuntimeError("code before open")
        begin = time.perf_counter()
        made = code(self._worker, task, content)
        return made, time.perf_counter() - begin


@dataclass(slots=True, kw_only=True, eq=False)
class _Seat:
    """A worker's place on a node."""

    node: Node
    actor: Any
    opening: Any
    """The answer to `open` as it comes; none once the worker is ready."""
    queue: deque[tuple[Task, Any]] = field(default_factory=deque)
    """What it was given and has not answered; it works in this order."""

    @property
    def next(self) -> Any:
        """What it answers next; none where it has nothing to do."""
        if self.opening is not None:
            return self.opening
        return self.queue[0][1] if self.queue else None


def share_out(room: Sequence[int], jobs: int | None) -> list[int]:
    """How many workers each node gets: all it has room for, or `jobs` in all, one node after the other in turn."""
    given = [0] * len(room)
    left = sum(room) if jobs is None else min(jobs, sum(room))
    while left:
        for place, most in enumerate(room):
            if left and given[place] < most:
                given[place] += 1
                left -= 1
    return given


class _Workers:
    """All workers of a run: where they are, what they have to do, and who takes the place of those that end."""

    def __init__(self, ray: Any, setup: Setup, options: EngineOptions) -> None:
        self._ray = ray
        self._setup = ray.put(setup)
        self._options = options
        self._seats: list[_Seat] = []
        self._known: dict[str, bool] = {}
        """Nodes that were looked at, and whether they are of use."""
        self._failed_starts = 0
        self._looked = 0.0
        self._waiting: deque[Task] = deque()

    def run(self, tasks: Iterable[Task], incoming: Path) -> Iterator[Outcome]:
        """Attempt every task once."""
        self._waiting.extend(tasks)
        while self._waiting or any(seat.queue for seat in self._seats):
            if not self._seats:
                raise UsageError("no node of the Ray cluster is left; start it anew, and give the command again")
            yield from self._hand_out()
            if time.monotonic() - self._looked > _LOOK_AROUND_S:
                self.look_around()
            asked = {seat.next: seat for seat in self._seats if seat.next is not None}
            answered, _ = self._ray.wait(list(asked), num_returns=1, timeout=_LOOK_AROUND_S) if asked else ([], [])
            for answer in answered:
                yield from self._take(asked[answer], answer, incoming)

    def look_around(self) -> None:
        """Start workers wherever there is room: on new nodes, and in the place of those that ended.

        Raises `UsageError` for a node of the beginning with other versions; of those that come later none is used.
        """
        self._looked = time.monotonic()
        first = not self._known
        nodes = nodes_of(self._ray, self._options.gpus_per_worker)
        if first and not nodes:
            what = "GPU" if self._options.gpus_per_worker else "CPU"
            raise UsageError(f"the Ray cluster has no node with a {what} to use; see: ray status")
        new = [node for node in nodes if node.id not in self._known]
        for node, problem in zip(new, differences(self._ray, new), strict=True):
            if problem and first:
                raise UsageError(problem)
            if problem:
                _log.warning("%s; it is not used", problem)
            if problem is not None:
                self._known[node.id] = not problem
        useful = [node for node in nodes if self._known.get(node.id)]
        taken = Counter(seat.node.id for seat in self._seats)
        room = [max(0, node.seats - taken[node.id]) for node in useful]
        left = None if self._options.jobs is None else max(0, self._options.jobs - len(self._seats))
        for node, number in zip(useful, share_out(room, left), strict=True):
            self._seats += [self._start(node) for _ in range(number)]

    def close(self) -> None:
        """Stop all workers, whatever they are at."""
        for seat in self._seats:
            with suppress(Exception):  # the cluster may be gone
                self._ray.kill(seat.actor, no_restart=True)
        self._seats.clear()

    def _start(self, node: Node) -> _Seat:
        actor = self._ray.remote(_Coder).options(
            num_cpus=1,
            num_gpus=self._options.gpus_per_worker,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=on_node(self._ray, node),
        )
        made = actor.remote()
        return _Seat(node=node, actor=made, opening=made.open.remote(self._setup))

    def _hand_out(self) -> Iterator[Outcome]:
        """Give ready workers what they have room for, each one task before any gets its next."""
        for depth in range(IN_FLIGHT):
            for seat in self._seats:
                while self._waiting and seat.opening is None and len(seat.queue) <= depth:
                    task = self._waiting.popleft()
                    try:
                        content = task.source.read_bytes()
                    except (OSError, MemoryError) as error:
                        yield Outcome(task=task, reason=explain(error, task))
                        continue
                    seat.queue.append((task, seat.actor.code.remote(task, content)))

    def _take(self, seat: _Seat, answer: Any, incoming: Path) -> Iterator[Outcome]:
        """Deal with what a worker answered."""
        try:
            said = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            yield from self._replace(seat, error)
            return
        if seat.opening is not None:
            if said:
                raise UsageError(f"a worker on the node {seat.node.host} cannot start: {said}")
            seat.opening, self._failed_starts = None, 0
            return
        task, _ = seat.queue.popleft()
        made, seconds = said
        if isinstance(made, str):
            yield Outcome(task=task, reason=made, seconds=seconds)
        else:
            yield place_outcome(incoming, task, made, seconds=seconds)

    def _replace(self, seat: _Seat, error: Exception) -> Iterator[Outcome]:
        """Put another worker where one ended; the task it was at is an outcome, its next one is for another worker.

        Raises `UsageError` where worker after worker ends before it is ready.
        """
        if seat.opening is not None:
            self._failed_starts += 1
            if self._failed_starts > MAX_FAILED_STARTS:
                raise UsageError(f"workers on the node {seat.node.host} end before they are ready: {cause(error)}")
        with suppress(Exception):  # it may be half alive, as after a broken connection
            self._ray.kill(seat.actor, no_restart=True)
        self._seats.remove(seat)
        if seat.queue:
            task, _ = seat.queue.popleft()
            self._waiting.extendleft(task for task, _ in reversed(seat.queue))
            yield Outcome(task=task, reason=f"its worker on the node {seat.node.host} ended (killed, or out of memory)")
        self.look_around()
