"""What is not in the journal yet is measured, picture by picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from miscomp.audit.plan import ImageTask
from miscomp.audit.run import Progress
from miscomp.errors import ImageError, MiscompError
from miscomp.images import read
from miscomp.pairs import hash_file
from miscomp.records import Failure
from miscomp.secure.evaluation_store import EvaluationFolder, picture_key
from miscomp.secure.evaluation_work import Request, measure_picture
from miscomp.secure.trials import PictureResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many pictures are shown, the first ones, and how large one may be."""

    pictures: int
    max_megapixels: float


class Run:
    """Measures what is not in the journal, and keeps count; what fails is told and the rest goes on."""

    def __init__(
        self,
        store: EvaluationFolder,
        request: Request,
        limits: Limits,
        progress: Callable[[Progress], None],
    ) -> None:
        self._store, self._request, self._limits, self._progress = store, request, limits, progress
        self._earlier = store.load()
        self.results: list[PictureResult] = []
        self.failures: list[Failure] = []
        self.drawn: list[tuple[str, str]] = []
        """Key and file name of those with small copies."""

    def picture(self, task: ImageTask, total: int) -> None:
        """Measure one picture, or take what is known of it."""
        name, begin = task.path.name, time.perf_counter()
        shown = task.number < self._limits.pictures
        self._progress(Progress(done=task.number, total=total, outcome="started", name=name))
        try:
            sha1, _ = hash_file(task.path)
            key = picture_key(name, sha1)
            result = self._earlier.get(key)
            kept = result is not None and not (shown and self._lacks_copies(key, result))
            if result is None or not kept:
                result = self._measure(task, key, sha1, shown=shown)
        except MiscompError as error:
            self._failed(task, error.problem if isinstance(error, ImageError) else str(error), total)
            return
        except MemoryError:
            self._failed(task, "needs more memory than there is; scale it down", total)
            return
        self.results.append(result)
        self.failures += result.failures
        self.drawn += [(key, name)] if shown else []
        self._progress(
            Progress(
                done=task.number + 1,
                total=total,
                outcome="kept" if kept else "done",
                name=name,
                seconds=time.perf_counter() - begin,
            )
        )

    def _lacks_copies(self, key: str, result: PictureResult) -> bool:
        """Whether a small copy is gone: the page needs the ones that the picture's trials tell of."""
        names = ["x", "x1", "x2"]
        edits = {row.edit for row in result.trials} & set(self._request.edits)
        names += [name for one in edits for name in (one, f"{one}.again")]
        return not all(self._store.small_copy(key, name).is_file() for name in names)

    def _measure(self, task: ImageTask, key: str, sha1: str, *, shown: bool) -> PictureResult:
        picture = read(task.path, max_megapixels=self._limits.max_megapixels)
        if picture.image_sha1 != sha1:
            raise ImageError(task.path, "changed while it was read; try again")
        if shown:
            result = measure_picture(picture, self._request, lambda name, p: self._store.add_small(key, name, p))
        else:
            result = measure_picture(picture, self._request)
        self._store.add(key, result)
        return result

    def _failed(self, task: ImageTask, reason: str, total: int) -> None:
        self.failures.append(Failure(name=task.path.name, reason=reason))
        done = task.number + 1
        self._progress(Progress(done=done, total=total, outcome="failed", name=task.path.name, reason=reason))
