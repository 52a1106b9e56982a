"""One original and all its reconstructions: compress, decompress, detect, measure and save, pair by pair."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from miscomp.audit.plan import ImageTask, Plan
from miscomp.audit.store import AuditFolder
from miscomp.codecs.rate import encode
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.errors import ImageError, InputError, MiscompError, UsageError
from miscomp.images import Picture, Pixels, read
from miscomp.pairs import Pair, coded_pair, given_pair, hash_file, shown
from miscomp.records import GIVEN, ImageRow, PairResult
from miscomp.registry import load

if TYPE_CHECKING:
    from miscomp.detect.reader import TextReader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened to one pair; an empty model means the image as a whole."""

    task: int
    model: str
    kind: Literal["started", "done", "kept", "failed"]
    result: PairResult | None = None
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Image:
    """An original under audit, and what is known about its codecs so far."""

    picture: Picture
    task: ImageTask
    rates: dict[str, float]
    failed: set[str]


class Auditor:
    """Audits images in this process. It opens what is costly once, and keeps nothing that changes a result."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = AuditFolder(plan.folder)
        self._audit_pair = load(f"{plan.detector}:audit_pair")
        for spec in (*plan.specs, *plan.references.values()):
            open_spec(spec)
        self._reader = _open_reader(plan)

    def events(self, task: ImageTask) -> Iterator[Event]:
        """Audit what is not yet in the folder. Failures are events, never exceptions."""
        try:
            image_sha1, _ = hash_file(task.path)
        except InputError as error:
            yield Event(task=task.number, model="", kind="failed", reason=_explain(error, task))
            return
        identities: dict[str, dict[str, str]] = {}
        rates: dict[str, float] = {}
        failed = set(task.failed)
        for model in task.models:
            try:
                identity = self._identity(task, model, image_sha1)
            except InputError as error:
                failed.add(model)
                yield Event(task=task.number, model=model, kind="failed", reason=_explain(error, task))
                continue
            kept = self._folder.load(identity)
            if kept is None:
                identities[model] = identity
                continue
            if kept.row.bpp is not None:
                rates[model] = kept.row.bpp
            yield Event(task=task.number, model=model, kind="kept", result=kept)
        if identities:
            yield from self._make(task, image_sha1, identities, rates=rates, failed=failed)

    def _make(
        self,
        task: ImageTask,
        image_sha1: str,
        identities: Mapping[str, Mapping[str, str]],
        *,
        rates: dict[str, float],
        failed: set[str],
    ) -> Iterator[Event]:
        try:
            picture = read(task.path, max_megapixels=self._plan.max_megapixels)
            if picture.image_sha1 != image_sha1:
                raise ImageError(task.path, "changed while it was read; run the audit again")
        except (MiscompError, MemoryError, OSError) as error:
            yield Event(task=task.number, model="", kind="failed", reason=_explain(error, task))
            return
        image = _Image(picture, task, rates, failed)
        # The rates that others follow come first.
        for model in sorted(identities, key=lambda name: name in self._plan.references):
            yield Event(task=task.number, model=model, kind="started")
            yield self._attempt(image, model, identities[model])

    def _attempt(self, image: _Image, model: str, identity: Mapping[str, str]) -> Event:
        begin = time.perf_counter()
        number = image.task.number
        try:
            result = self._audit(image, model, identity)
        except (MiscompError, MemoryError, OSError) as error:
            reason = _explain(error, image.task)
        except Exception as error:  # one image must not stop the others, whatever is wrong with it or with us
            _log.exception("%s, %s", shown(image.task.path), model)
            reason = f"{type(error).__name__}: {error}; this is a fault in miscomp, please report it"
        else:
            if result.row.bpp is not None:
                image.rates[model] = result.row.bpp
            return Event(task=number, model=model, kind="done", result=result, seconds=time.perf_counter() - begin)
        image.failed.add(model)
        return Event(task=number, model=model, kind="failed", reason=reason, seconds=time.perf_counter() - begin)

    def _audit(self, image: _Image, model: str, identity: Mapping[str, str]) -> PairResult:
        pair = self._pair(image, model)
        original = pair.original
        found = self._audit_pair(
            original.pixels,
            pair.reconstruction,
            filename=original.path.name,
            image_sha1=original.image_sha1,
            model=model,
            settings=self._plan.detect,
            reader=self._reader,
        )
        psnr, ssim, ms_ssim = _measure(original.pixels, pair.reconstruction)
        row = ImageRow(
            filename=original.path.name,
            image_sha1=original.image_sha1,
            model=model,
            width=original.width,
            height=original.height,
            bpp=pair.bpp,
            psnr=psnr,
            ssim=ssim,
            ms_ssim=ms_ssim,
            annotations=len(found.findings),
            multi=any(finding.annotation.multi for finding in found.findings),
        )
        warnings = tuple(f"original: {text}" for text in original.warnings) + pair.warnings + tuple(found.warnings)
        return self._folder.save(pair, row, found, identity=identity, warnings=warnings)

    def _pair(self, image: _Image, model: str) -> Pair:
        if model == GIVEN:
            if image.task.given is None:
                raise UsageError(f"{image.task.path.name} has no given reconstruction")
            return given_pair(image.picture, image.task.given, max_megapixels=self._plan.max_megapixels)
        reference = self._plan.references.get(model)
        like_bpp = None if reference is None else _rate(image, reference)
        return coded_pair(image.picture, self._plan.spec(model), like_bpp=like_bpp)

    def _identity(self, task: ImageTask, model: str, image_sha1: str) -> dict[str, str]:
        sha256 = hash_file(task.given)[1] if model == GIVEN and task.given is not None else ""
        about = {"filename": task.path.name, "image_sha1": image_sha1, "reconstruction_sha256": sha256}
        return {**self._plan.identity(model), **about}


def _rate(image: _Image, reference: CodecSpec) -> float:
    """The rate that a codec reached on this image, found out by coding where no pair of it was asked for."""
    name = str(reference)
    if name in image.failed:
        raise UsageError(f"the rate that {name} reaches is not known, because that failed")
    if name not in image.rates:
        image.rates[name] = encode(reference, image.picture.pixels).bpp
    return image.rates[name]


def _measure(original: Pixels, reconstruction: Pixels) -> tuple[float, float | None, float | None]:
    # Imported here because they bring in torch, which plain planning does not need.
    from miscomp.metrics.psnr import psnr_pixels
    from miscomp.metrics.ssim import ms_ssim, ssim

    return (
        psnr_pixels(original, reconstruction),
        ssim(original, reconstruction),
        ms_ssim(original, reconstruction),
    )


def _explain(error: BaseException, task: ImageTask) -> str:
    if isinstance(error, InputError):
        return error.problem if error.where == str(task.path) else f"{shown(Path(error.where))}: {error.problem}"
    if isinstance(error, MemoryError):
        return "needs more memory than there is; use fewer --jobs or a smaller picture"
    return str(error)


def _open_reader(plan: Plan) -> TextReader | None:
    if not plan.detect.text:
        return None
    from miscomp.detect.reader import RapidReader
    from miscomp.detect.remember import RememberingReader

    return RememberingReader(RapidReader(threads=plan.threads))
