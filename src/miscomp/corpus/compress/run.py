"""Compress a corpus: the driver, which alone writes to the database, and hands tasks to an engine.

Source of halves and codecs: SCLIC section 3.1. Every task that is done is in the database or whole in `incoming/`, so
a run may be killed at any point and the next one goes on.
"""

from __future__ import annotations

import errno
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from miscomp.corpus.compress import space
from miscomp.corpus.compress.availability import resolved_specs
from miscomp.corpus.compress.plan import CompressOptions, CompressPlan, make_plan, store_plan
from miscomp.corpus.compress.results import Intake
from miscomp.corpus.compress.tasks import Engine, Outcome, Task
from miscomp.corpus.config import CONFIG
from miscomp.corpus.corpus import INCOMING, Corpus
from miscomp.corpus.entries import FailedTask, ModelEntry, SourceImage, now
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import fetch, put
from miscomp.errors import InputError, UsageError

_TAKE_EVERY_S = 1.0
_TAKE_AT_MOST = 200
"""Results that are taken in at once; until then they are whole in `incoming/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the work is."""

    done: int
    """Tasks that have ended, well or for good."""
    total: int
    task: Task
    outcome: Literal["done", "again", "failed"]
    """`again`: failed, and is tried once more."""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressReport:
    """What was done."""

    plan: CompressPlan
    recovered: int
    """Results of an earlier run that were whole and are now taken in."""
    done: int
    """Results of this run."""
    failed: tuple[FailedTask, ...]
    set_aside: tuple[str, ...]
    """Results that did not fit the corpus, where they lie now and why."""
    stopped: str
    """Why it ended before all was tried; empty where it did not."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done or looked at."""
        return not (self.failed or self.set_aside or self.stopped or self.plan.missing)


def compress_corpus(
    corpus: Corpus,
    engine: Engine,
    options: CompressOptions | None = None,
    *,
    announce: Callable[[CompressPlan], None] = lambda plan: None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> CompressReport:
    """Do every task that is not done yet; `announce` is told the plan before the work.

    What fails is tried again, then listed. Ctrl-C, SIGTERM and a full disk stop it; what is done by then is kept.
    Raises `UsageError` for what `make_plan` refuses and where another command changes the corpus, and `InputError`
    where the disk is too small.
    """
    options = options or CompressOptions()
    with corpus.owned(), _terminable():
        specs = resolved_specs(corpus.config)
        intake = _open_intake(corpus, specs)
        recovered = intake.take_waiting()
        plan = make_plan(corpus, options, specs)
        space.check(corpus, plan.need_bytes, plan.free_bytes)
        announce(plan)
        store_plan(corpus, options, plan)
        intake.entries = _entries(corpus, specs)
        run = _Run(corpus, engine, plan, intake, options, progress)
        failed = run.work()
        write_manifest(corpus)
    return CompressReport(
        plan=plan,
        recovered=recovered,
        done=len(intake.taken) - recovered,
        failed=failed,
        set_aside=tuple(intake.set_aside),
        stopped=run.stopped,
    )


def plan_only(corpus: Corpus, options: CompressOptions) -> CompressPlan:
    """What `compress_corpus` would do; nothing is changed."""
    specs = resolved_specs(corpus.config)
    _entries(corpus, specs)
    return make_plan(corpus, options, specs)


def _open_intake(corpus: Corpus, specs: Mapping[str, str]) -> Intake:
    entries = _entries(corpus, specs)
    with corpus.reading() as connection:
        images = {one.image_sha1: one for one in fetch(connection, SourceImage)}
    return Intake(corpus, images, entries)


def _entries(corpus: Corpus, specs: Mapping[str, str]) -> dict[str, ModelEntry]:
    """What the database knows of the models in the settings. Raises `UsageError` where one means something else now."""
    with corpus.reading() as connection:
        recorded = {one.model: one for one in fetch(connection, ModelEntry) if one.model in specs}
    changed = [
        f"{name} is {specs[name]} in {CONFIG}, and its results here were made by {one.spec}"
        for name, one in recorded.items()
        if one.spec and one.spec != specs[name]
    ]
    if changed:
        raise UsageError(
            f"one name must mean one thing in a corpus: {'; '.join(changed)}; put {CONFIG} back, or give the changed "
            "model another name"
        )
    return recorded


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM what Ctrl-C is."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class _Run:
    """The rounds of a run: all tasks, then those that failed."""

    corpus: Corpus
    engine: Engine
    plan: CompressPlan
    intake: Intake
    options: CompressOptions
    progress: Callable[[Progress], None]
    stopped: str = ""
    _ended: int = 0
    _tries: Counter[str] = field(default_factory=Counter)
    _reasons: dict[str, str] = field(default_factory=dict)
    """Why the last attempt failed, by the task's key."""
    _batch: list[Outcome] = field(default_factory=list)
    _taken_at: float = field(default_factory=time.monotonic)

    def work(self) -> tuple[FailedTask, ...]:
        """Do what is planned, and return what failed for good; `stopped` says why it ended before."""
        waiting: Sequence[Task] = self.plan.tasks
        try:
            while waiting and not self.stopped:
                self._round(waiting)
                waiting = [one for one in waiting if one.key in self._reasons and not self._is_last(one)]
        except KeyboardInterrupt:
            self.stopped = "it was interrupted"
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.stopped = "the disk is full"
        if self.stopped:
            # What was finished meanwhile; where that fails too, the next run takes it in.
            with suppress(OSError, InputError):
                self.intake.take_waiting()
        return self._record()

    def _is_last(self, task: Task) -> bool:
        return self._tries[task.key] >= self.corpus.config.compress.attempts

    def _round(self, tasks: Sequence[Task]) -> None:
        incoming = self.corpus.folder.absolute() / INCOMING
        with closing(self.engine.run(self.plan.setup, tasks, incoming)) as outcomes:
            for outcome in outcomes:
                if outcome.full:
                    self.stopped = f"the disk is full: {outcome.reason}"
                    return
                self._tries[outcome.task.key] += 1
                if outcome.reason:
                    self._failed(outcome, outcome.reason)
                else:
                    self._batch.append(outcome)
                if len(self._batch) >= _TAKE_AT_MOST or time.monotonic() - self._taken_at > _TAKE_EVERY_S:
                    self._take()
                if self.stopped:
                    return
        self._take()

    def _take(self) -> None:
        """Take in what is finished, and see that there is room for more."""
        batch, self._batch = self._batch, []
        incoming = self.corpus.folder / INCOMING
        self.intake.take(incoming / one.task.key for one in batch)
        for one in batch:
            if (one.task.image_sha1, one.task.model) in self.intake.taken:
                self._reasons.pop(one.task.key, None)
                self._tell(one, "done")
            else:
                reason = self.intake.problems.get(one.task.key, "its result was not there")
                self._failed(one, f"its result was not taken in: {reason}")
        self._taken_at = time.monotonic()
        free, kept = self.options.free_bytes(self.corpus.folder), space.least(self.corpus)
        if free < kept:
            self.stopped = f"the disk is nearly full: {space.describe_left(free, kept)}"

    def _failed(self, outcome: Outcome, reason: str) -> None:
        self._reasons[outcome.task.key] = reason
        self._tell(outcome, "failed" if self._is_last(outcome.task) else "again", reason)

    def _tell(self, one: Outcome, outcome: Literal["done", "again", "failed"], reason: str = "") -> None:
        self._ended += outcome != "again"
        self.progress(
            Progress(
                done=self._ended,
                total=len(self.plan.tasks),
                task=one.task,
                outcome=outcome,
                reason=reason,
                seconds=one.seconds,
            )
        )

    def _record(self) -> tuple[FailedTask, ...]:
        failed = tuple(
            FailedTask(
                image_sha1=one.image_sha1,
                model=one.model,
                attempts=self._tries[one.key],
                reason=self._reasons[one.key],
                time=now(),
            )
            for one in self.plan.tasks
            if one.key in self._reasons and self._is_last(one)
        )
        if failed:
            with self.corpus.writing() as connection:
                put(connection, failed)
        return failed
