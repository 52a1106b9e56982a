"""What is not in the journal yet is measured, image by image; what fails is told and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from miscomp.audit.plan import ImageTask
from miscomp.audit.run import Progress
from miscomp.codecs.catalog import CODECS, open_codec, parse_spec
from miscomp.errors import ImageError, MiscompError
from miscomp.evaluate.measure import Measurement, measure, warm_up
from miscomp.evaluate.store import EvaluationFolder, measurement_key
from miscomp.images import Picture, Pixels, read
from miscomp.pairs import hash_file
from miscomp.records import Failure

Measured = dict[tuple[int, str], Measurement]
"""By number of the image and name of the setting."""


@dataclass(frozen=True, kw_only=True)
class _Event:
    kind: Literal["started", "done", "kept", "failed"]
    model: str = ""
    """Empty where the image itself failed."""
    measurement: Measurement | None = None
    reason: str = ""
    seconds: float = 0.0


def measure_all(
    store: EvaluationFolder,
    tasks: Sequence[ImageTask],
    *,
    generations: int,
    max_megapixels: float,
    progress: Callable[[Progress], None],
) -> tuple[Measured, list[Failure]]:
    """Measure every image at every setting, and tell of each how it ended."""
    worker = _Worker(store, store.load(), generations, max_megapixels)
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
    return measured, failures


@dataclass
class _Worker:
    store: EvaluationFolder
    earlier: dict[str, Measurement]
    generations: int
    max_megapixels: float
    warm: set[str] = field(default_factory=set)
    """Codecs that ran once in this process."""

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
            self._warm_up(spec.name, picture.pixels)
            measurement = measure(picture, spec, open_codec(spec.name), generations=self.generations)
        except MiscompError as error:
            return _Event(kind="failed", model=model, reason=str(error))
        except MemoryError:
            return _Event(kind="failed", model=model, reason="needs more memory than there is; scale it down")
        self.store.add(key, measurement)
        return _Event(kind="done", model=model, measurement=measurement, seconds=time.perf_counter() - begin)

    def _warm_up(self, name: str, pixels: Pixels) -> None:
        if name not in self.warm:
            warm_up(open_codec(name), pixels, CODECS[name].qualities.default)
            self.warm.add(name)
