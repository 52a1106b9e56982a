"""The main job for one pair: where the reconstruction may have changed what the picture means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from miscomp.detect.base import Detection, Detector, DetectSettings
from miscomp.detect.catalog import DETECTORS, open_detector
from miscomp.detect.cells import measure
from miscomp.detect.change import change_maps, change_picture
from miscomp.detect.reader import RapidReader, TextReader
from miscomp.images import Pixels
from miscomp.records import Annotation, Evidence, Finding, display_id
from miscomp.taxonomy import Origin

if TYPE_CHECKING:
    from miscomp.detect.faces import FaceSource

LABELER = "miscomp"

_UNASKED = "the detector {} does not ask this"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairFindings:
    """What was found in one pair, best first."""

    findings: tuple[Finding, ...]
    change_map: npt.NDArray[np.uint8]
    """One value per cell of 4 x 4 pixels: 0 no visible change, 255 certainly changed."""
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was left out, in sentences."""


def detector_version(settings: DetectSettings) -> str:
    """Version of the detector that the settings name, weights included, those of faces too.

    Raises `UnknownName`, `UsageError` for a detector that looks for no faces, and `WeightsError`.
    """
    sources = face_sources(settings)
    return _version(open_detector(settings.detector, sources=sources), sources)


def _version(detector: Detector, sources: Sequence[FaceSource]) -> str:
    return "+".join([detector.version, *(source.identity for source in sources)])


def face_sources(settings: DetectSettings) -> tuple[FaceSource, ...]:
    """What looks for faces, where the settings name weights for it. Raises `WeightsError`."""
    return (_opened(settings.faces, settings.face_embedding),) if settings.faces else ()


@cache
def _opened(faces: str, embedding: str) -> FaceSource:
    from miscomp.detect.faces import open_faces

    return open_faces(faces, embedding)


def audit_pair(
    original: Pixels,
    reconstruction: Pixels,
    *,
    filename: str,
    image_sha1: str,
    model: str,
    settings: DetectSettings | None = None,
    reader: TextReader | None = None,
) -> PairFindings:
    """Findings for one reconstruction of one image, both (h, w, 3) uint8 sRGB of equal size.

    `reader` is used for text when the settings ask for it; without one, the installed reader is loaded.
    Raises `SizeMismatch` for unequal sizes, `MissingExtra` when text is wanted and cannot be read, and `UnknownName`
    for a detector that is not registered.
    """
    start = time.monotonic()
    settings = settings or DetectSettings()
    reads = settings.text and DETECTORS[settings.detector].reads_text
    sources = face_sources(settings)
    detector = open_detector(settings.detector, reader=(reader or RapidReader()) if reads else None, sources=sources)
    detections = detector(original, reconstruction, settings)
    version = _version(detector, sources)
    picture = detections.change
    if picture is None:
        picture = change_picture(change_maps(measure(original, reconstruction)))
    findings = tuple(
        _finding(
            d,
            filename=filename,
            image_sha1=image_sha1,
            model=model,
            detector=settings.detector,
            version=version,
        )
        for d in detections.found
    )
    return PairFindings(
        findings=findings, change_map=picture, seconds=time.monotonic() - start, warnings=detections.warnings
    )


def _finding(found: Detection, *, filename: str, image_sha1: str, model: str, detector: str, version: str) -> Finding:
    box = found.box
    unasked = Evidence(value=0.0, words=_UNASKED.format(detector))
    annotation = Annotation(
        id=display_id(image_sha1, model, box),
        filename=filename,
        image_sha1=image_sha1,
        model=model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler=LABELER,
        origin=Origin.DETECTOR.value,
        version=version,
        category=found.category,
        symbol=found.symbol,
        score=found.score,
        note=found.note,
        changed=found.answer("changed"),
        relevant=found.answer("relevant"),
        suspicion=found.answer("suspicion"),
        expected=found.answer("expected"),
    )
    return Finding(
        annotation=annotation,
        category=found.category_evidence or unasked,
        found_by=found.source,
        changed=found.changed or unasked,
        relevant=found.relevant or unasked,
        suspicion=found.suspicion or unasked,
        expected=found.expected or unasked,
    )
