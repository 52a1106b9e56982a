"""Take photographs into a corpus: what is new is preprocessed and kept, what is rejected is listed with the reason.

A picture's file takes its place first and its row follows, one picture at a time: after a kill, the next run finds
what has a row and takes the rest as if for the first time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, and_, delete

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Rejected, SourceImage, now
from miscomp.corpus.intake.files import Found
from miscomp.corpus.intake.outcome import Known, Provenance, Result, judge
from miscomp.corpus.intake.picture import Examined, Refusal, examine
from miscomp.corpus.intake.preprocess import share_of
from miscomp.corpus.schema import REJECTED, add, fetch
from miscomp.errors import InputError
from miscomp.folders import replacing
from miscomp.report.wording import visible


def add_pictures(
    corpus: Corpus, files: Iterable[Found], provenance: Provenance, *, jobs: int = 1, dry_run: bool = False
) -> Generator[Result]:
    """Take files in and yield what became of each, in their order; results do not depend on `jobs`.

    The corpus must be owned, except for `dry_run`, which writes nothing. Memory grows with `jobs`: each takes some 12
    bytes a pixel of the picture that it is at. Raises `InputError` where the corpus cannot be written; what was
    yielded before stays.
    """
    known, ledger = Known(), _Ledger(corpus, provenance.source)
    with corpus.reading() as connection:
        for there in fetch(connection, SourceImage):
            kept = bool(there.sha256) and not there.removed  # an imported row may never have had a file
            known.learn(there, lost=kept and not corpus.original(there.image_sha1).exists())
        ledger.read(connection)
    images = corpus.config.images
    share = share_of(images.scales, provenance.source)
    for found, examined in _in_order(files, partial(examine, images=images, share=share, known=known.origins), jobs):
        result, image = judge(found, examined, provenance, known)
        if image is not None and examined.made is not None:
            known.learn(image)
            restored = known.lost.pop(image.image_sha1, None) is not None
            if not dry_run:
                ledger.keep(image, examined.made.content, new=not restored)
        elif result.kind and not dry_run:
            ledger.reject(result, examined.origin_sha256)
        yield result


def _in_order(files: Iterable[Found], work: Callable[[Found], Examined], jobs: int) -> Iterator[tuple[Found, Examined]]:
    """Examine files in threads (Pillow works without Python's lock), a few ahead of the one that is asked for."""
    rest = iter(files)
    waiting: deque[tuple[Found, Future[Examined]]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                while len(waiting) < 2 * jobs and (found := next(rest, None)) is not None:
                    waiting.append((found, pool.submit(work, found)))
                if not waiting:
                    return
                found, future = waiting.popleft()
                yield found, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


@dataclass(slots=True)
class _Ledger:
    """What is written: pictures that are new, and of each file that was not taken in the last rejection."""

    corpus: Corpus
    source: str
    rejected: dict[tuple[str, str], Rejected] = field(default_factory=dict)
    """Those of this source, by name and SHA-256 of the content."""

    def read(self, connection: Connection) -> None:
        """Learn which rejections are there."""
        for one in fetch(connection, Rejected, REJECTED.c.source == self.source):
            self.rejected[one.name, one.origin_sha256] = one

    def keep(self, image: SourceImage, content: bytes, *, new: bool) -> None:
        """Write a picture's file, then the row of a new one, and drop what was said against it under other settings."""
        _store(self.corpus.original(image.image_sha1), content)
        with self.corpus.writing() as connection:
            self._forget(connection, visible(image.name), image.origin_sha256)
            if new:
                add(connection, [image])

    def reject(self, result: Result, origin_sha256: str) -> None:
        """Record a rejection, unless it is there."""
        shown = visible(result.name)
        # The name of a picture that was removed is not to come back by this way.
        name = "" if result.kind == Refusal.REMOVED else shown
        before = self.rejected.get((name, origin_sha256))
        if before is not None and (before.kind, before.reason) == (result.kind, result.reason):
            return
        rejected = Rejected(
            origin_sha256=origin_sha256,
            name=name,
            source=self.source,
            kind=result.kind,
            reason=result.reason,
            time=now(),
        )
        with self.corpus.writing() as connection:
            self._forget(connection, shown, origin_sha256)
            self._forget(connection, name, origin_sha256)
            add(connection, [rejected])
        self.rejected[name, origin_sha256] = rejected

    def _forget(self, connection: Connection, name: str, origin_sha256: str) -> None:
        """Drop what was said of this file before, also when it could not be read."""
        for digest in {origin_sha256, ""}:
            if self.rejected.pop((name, digest), None) is not None:
                here = REJECTED.c.source == self.source
                same = and_(here, REJECTED.c.name == name, REJECTED.c.origin_sha256 == digest)
                connection.execute(delete(REJECTED).where(same))


def _store(path: Path, content: bytes) -> None:
    """Write a file in one step, and have it on the disk before a row says that it is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}; what was added before stays"
        raise InputError(path, f"{problem}: see to the space and rights, and run the same again") from error
