"""What is not in the journal yet is measured, image by image, and then the memory of every setting.

What fails is told and the rest goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from miscomp.audit.plan import ImageTask
from miscomp.audit.run import Progress
from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.spec import CodecSpec, open_spec, parse_spec
from miscomp.errors import ImageError, MiscompError
from miscomp.evaluate.measure import MeasuredRow, Measurement, measure, warm_up
from miscomp.evaluate.memory import MemoryRow, measure_memory
from miscomp.evaluate.store import EvaluationFolder, measurement_key
from miscomp.images import Picture, Pixels, read
from miscomp.pairs import hash_file
from miscomp.records import Failure

Measured = dict[tuple[int, str], Measurement]
"""By number of the image and name of the setting."""

Memory = dict[str, MemoryRow]
"""By name of the setting."""


@dataclass(frozen=True, kw_only=True)
class _Event:
    kind: Literal["started", "done", "kept", "failed"]
    model: str = ""
    """Empty where the image itself failed."""
    measurement: Measurement | None = None
    memory: MemoryRow | None = None
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was measured, now or earlier, and what could not be."""

    measured: Measured
    memory: Memory
    failures: tuple[Failure, ...]


def measure_all(
    store: EvaluationFolder,
    tasks: Sequence[ImageTask],
    *,
    generations: int,
    memory: bool,
    max_megapixels: float,
    progress: Callable[[Progress], None],
) -> Outcome:
    """Measure every image at every setting and then the memory of every setting, and tell of each how it ended."""
    journal = store.load()
    worker = _Worker(store, journal.measurements, generations, max_megapixels)
    total, done = sum(len(task.models) for task in tasks), 0
    measured: Measured = {}
    failures: list[Failure] = []
    progress(Progress(done=0, total=total, outcome="planned"))
    for task in tasks:
        name = task.path.name
        for event in worker.image(task):
            if event.kind != "started":
                done += 1 if event.model else len(task.models)
            if event.measurement is not None:
                measured[task.number, event.model] = event.measurement
            if event.kind == "failed":
                reason = ": ".join(filter(None, (event.model, event.reason)))
                failures.append(Failure(name=name, reason=reason))
            progress(
                Progress(
                    done=done,
                    total=total,
                    outcome=event.kind,
                    name=name,
                    model=event.model,
                    reason=event.reason,
                    seconds=event.seconds,
                )
            )
    if not memory:
        return Outcome(measured=measured, memory={}, failures=tuple(failures))
    held, failed = _measure_memory(
        store, journal.memory, tasks, measured, max_megapixels=max_megapixels, progress=progress
    )
    return Outcome(measured=measured, memory=held, failures=(*failures, *failed))


@dataclass
class _Worker:
    store: EvaluationFolder
    earlier: dict[str, Measurement]
    generations: int
    max_megapixels: float
    warm: set[CodecSpec] = field(default_factory=set)
    """Settings that ran once in this process."""

    def image(self, task: ImageTask) -> Iterator[_Event]:
        """Every setting of one image in order; the picture is read only if any is wanted."""
        try:
            sha1, _ = hash_file(task.path)
            keys = {model: measurement_key(task.path.name, sha1, model) for model in task.models}
            wanted = any(key not in self.earlier for key in keys.values())
            picture = read(task.path, max_megapixels=self.max_megapixels) if wanted else None
            if picture is not None and picture.image_sha1 != sha1:
                raise ImageError(task.path, "changed while it was read; try again")
        except ImageError as error:
            yield _Event(kind="failed", reason=error.problem)
            return
        for model, key in keys.items():
            if key in self.earlier:
                yield _Event(kind="kept", model=model, measurement=self.earlier[key])
            elif picture is not None:
                yield _Event(kind="started", model=model)
                yield self._setting(picture, model, key)

    def _setting(self, picture: Picture, model: str, key: str) -> _Event:
        begin = time.perf_counter()
        spec = parse_spec(model)
        try:
            codec = open_spec(spec)
            self._warm_up(spec, codec, picture.pixels)
            measurement = measure(picture, spec, codec, generations=self.generations)
        except MiscompError as error:
            return _Event(kind="failed", model=model, reason=str(error))
        except MemoryError:
            return _Event(kind="failed", model=model, reason="needs more memory than there is; scale it down")
        self.store.add(key, measurement)
        return _Event(kind="done", model=model, measurement=measurement, seconds=time.perf_counter() - begin)

    def _warm_up(self, spec: CodecSpec, codec: Codec, pixels: Pixels) -> None:
        # By setting, because a codec may have a network for each quality.
        if spec not in self.warm:
            quality = spec.fixed_quality
            warm_up(codec, pixels, CODECS[spec.name].qualities.default if quality is None else quality)
            self.warm.add(spec)


def _measure_memory(
    store: EvaluationFolder,
    earlier: Memory,
    tasks: Sequence[ImageTask],
    measured: Measured,
    *,
    max_megapixels: float,
    progress: Callable[[Progress], None],
) -> tuple[Memory, list[Failure]]:
    """Measure the memory of every setting on the largest picture that has all of them.

    On one picture only: what a codec holds follows a picture's size and little else, and each value takes two
    processes. Nothing is measured where no picture has every setting.
    """
    whole = [task for task in tasks if task.models and all((task.number, model) in measured for model in task.models)]
    if not whole:
        return {}, []
    task = max(whole, key=lambda one: _pixels(measured[one.number, one.models[0]].row))
    try:
        picture = read(task.path, max_megapixels=max_megapixels)
    except ImageError as error:  # it changed since
        return {}, [Failure(name=task.path.name, reason=f"memory: {error.problem}")]
    found: Memory = {}
    failures: list[Failure] = []
    for done, model in enumerate(task.models, 1):
        event = _memory(store, earlier, picture, measured[task.number, model].row, model)
        if event.memory is not None:
            found[model] = event.memory
        else:
            failures.append(Failure(name=task.path.name, reason=f"{event.model}: {event.reason}"))
        progress(
            Progress(
                done=done,
                total=len(task.models),
                outcome=event.kind,
                name=task.path.name,
                model=event.model,
                reason=event.reason,
                seconds=event.seconds,
            )
        )
    return found, failures


def _memory(store: EvaluationFolder, earlier: Memory, picture: Picture, row: MeasuredRow, model: str) -> _Event:
    begin, told = time.perf_counter(), f"{model}, memory"
    key = measurement_key(picture.path.name, picture.image_sha1, model)
    if key in earlier:
        return _Event(kind="kept", model=told, memory=earlier[key])
    try:
        memory = measure_memory(picture, parse_spec(model), row.quality)
    except MiscompError as error:
        return _Event(kind="failed", model=told, reason=str(error))
    store.add(key, memory)
    return _Event(kind="done", model=told, memory=memory, seconds=time.perf_counter() - begin)


def _pixels(row: MeasuredRow) -> int:
    return row.width * row.height
